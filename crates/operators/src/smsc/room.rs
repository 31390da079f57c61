//! How many segments one operator gets at once: no more than its sessions can send in time. What has no room waits in its queue, where it
//! costs nothing, and not at an operator until its time is over.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{Lane, PerLane};
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, timeout},
};

use super::{config::SmppConfig, pool::Sessions};

/// How often what changes by itself is looked at: the pace of the last seconds, and how many sessions there are.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// A session's window as often may wait where nothing is known of its pace.
const WINDOWS: usize = 2;

/// The places of one operator, for each lane: neither waits for the other.
pub(super) struct Room {
    state: Mutex<State>,
    lanes: PerLane<Entrance>,
    window: usize,
    wait: Duration,
    /// What is sent in half of the time that a message waits, where the operator's pace is bounded.
    bounded: Option<usize>,
}

/// One at a time waits for places, so that they are given in order.
struct Entrance {
    turn: Semaphore,
    freed: Notify,
}

struct State {
    taken: PerLane<usize>,
    pace: Pace,
}

/// How many were sent in this second, and in the one before.
struct Pace {
    second: Instant,
    sent: [usize; 2],
}

/// Places that are taken, until this is dropped.
pub(crate) struct Places {
    room: Arc<Room>,
    lane: Lane,
    count: usize,
}

impl Room {
    pub(super) fn new(config: &SmppConfig) -> Self {
        let pace = Pace { second: Instant::now(), sent: [0; 2] };
        let in_half =
            |tps: u32| usize::try_from(tps).unwrap_or(usize::MAX).saturating_mul(halves(config.wait())) / 1_000;
        Self {
            state: Mutex::new(State { taken: PerLane::from_fn(|_| 0), pace }),
            lanes: PerLane::from_fn(|_| Entrance { turn: Semaphore::new(1), freed: Notify::new() }),
            window: config.window.into(),
            wait: config.wait(),
            bounded: (config.tps > 0).then(|| in_half(config.tps).max(1)),
        }
    }

    /// Waits for `count` places in a lane; one that asks for more than there are gets them when nobody else has any. Cancel safe.
    pub(super) async fn take(self: &Arc<Self>, lane: Lane, count: usize, sessions: impl Fn() -> Sessions) -> Places {
        let Entrance { turn, freed } = &self.lanes[lane];
        let _turn = turn.acquire().await.expect("the semaphore is never closed");
        loop {
            if self.fits(lane, count, sessions()) {
                return Places { room: Arc::clone(self), lane, count };
            }
            let _looks_again = timeout(LOOK_AGAIN, freed.notified()).await;
        }
    }

    fn fits(&self, lane: Lane, count: usize, sessions: Sessions) -> bool {
        let mut state = self.lock();
        let most = self.most_by(&mut state.pace, sessions);
        let taken = state.taken[lane];
        let fits = most > 0 && (taken == 0 || taken + count <= most);
        if fits {
            state.taken[lane] += count;
        }
        fits
    }

    /// How many places each lane has.
    pub(super) fn most(&self, sessions: Sessions) -> usize {
        self.most_by(&mut self.lock().pace, sessions)
    }

    /// What is unanswered, and what waits. The last of these waits until all before it are sent, so at a bounded pace both are as many as
    /// it can send in that time. A session that was asked to slow down takes one at a time, whatever its pace was, and none while it pauses for
    /// longer than that: what waits for it in vain would come back from the outbox long after it goes on.
    fn most_by(&self, pace: &mut Pace, Sessions { bound, throttled, paused, .. }: Sessions) -> usize {
        let free = usize::from(bound.saturating_sub(throttled + paused));
        let in_windows = self.window * free + usize::from(throttled);
        let pace = if free > 0 { pace.of(Instant::now()) } else { 0 };
        let by_pace = pace.saturating_mul(halves(self.wait)) / 1_000;
        let bounded = self.bounded.unwrap_or(usize::MAX);
        in_windows.min(bounded) + by_pace.max(WINDOWS * in_windows).min(bounded)
    }

    /// A part is sent.
    pub(super) fn sent(&self, now: Instant) {
        self.lock().pace.count(now);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Half of it in milliseconds.
fn halves(wait: Duration) -> usize {
    usize::try_from(wait.as_millis() / 2).unwrap_or(usize::MAX)
}

impl Pace {
    fn count(&mut self, now: Instant) {
        self.of(now);
        self.sent[0] += 1;
    }

    /// How many were sent in a second lately.
    fn of(&mut self, now: Instant) -> usize {
        let over = now.saturating_duration_since(self.second).as_secs();
        if over > 0 {
            self.sent = if over == 1 { [0, self.sent[0]] } else { [0; 2] };
            self.second += Duration::from_secs(over);
        }
        self.sent[0].max(self.sent[1])
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.room.lock().taken[self.lane] -= self.count;
        self.room.lanes[self.lane].freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smsc::config::tests::parsed;

    fn room(parameters: &str) -> Arc<Room> {
        Arc::new(Room::new(&parsed(&format!("smpp://u:p@host?{parameters}")).expect("accepted")))
    }

    fn sessions(bound: u16, throttled: u16) -> Sessions {
        Sessions { bound, throttled, paused: 0, receivers: 0, since: None }
    }

    /// How many single places there are now.
    async fn free(room: &Arc<Room>, lane: Lane) -> Vec<Places> {
        let mut places = Vec::new();
        while let Ok(place) = timeout(Duration::from_secs(1), room.take(lane, 1, || sessions(1, 0))).await {
            places.push(place);
        }
        places
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_known_to_be_fast_gets_a_few_windows() {
        let room = room("window=10");
        let normal = free(&room, Lane::Normal).await;
        assert_eq!(normal.len(), 30);
        assert_eq!(free(&room, Lane::Express).await.len(), 30, "a full lane leaves the other alone");
        drop(normal);
        assert_eq!(free(&room, Lane::Normal).await.len(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_fast_gets_what_it_sends_in_time() {
        let room = room("window=10");
        for _ in 0..1_000 {
            room.sent(Instant::now());
        }
        let place = room.take(Lane::Normal, 2_500, || sessions(1, 0)).await;
        assert!(timeout(Duration::from_millis(100), room.take(Lane::Normal, 11, || sessions(1, 0))).await.is_err());
        drop(room.take(Lane::Normal, 10, || sessions(1, 0)).await);
        drop(place);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_session_gets_little_and_a_paused_one_nothing() {
        let room = room("window=10");
        for _ in 0..1_000 {
            room.sent(Instant::now());
        }
        assert_eq!(room.most(sessions(1, 1)), 3);
        assert!(room.most(sessions(2, 1)) > 2_500);
        let place = room.take(Lane::Normal, 3, || sessions(1, 1)).await;
        assert!(timeout(Duration::from_secs(1), room.take(Lane::Normal, 1, || sessions(1, 1))).await.is_err());
        drop(room.take(Lane::Express, 3, || sessions(1, 1)).await);
        drop(place);
        let paused = || Sessions { paused: 1, ..sessions(1, 0) };
        assert!(timeout(Duration::from_secs(1), room.take(Lane::Normal, 1, paused)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_a_bounded_pace_sends_in_time() {
        assert_eq!(free(&room("window=10&tps=2"), Lane::Normal).await.len(), 5 + 5);
        assert_eq!(free(&room("window=1&tps=1&timeout_ms=100"), Lane::Normal).await.len(), 1 + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn places_come_in_order_and_large_wishes_are_met_alone() {
        let room = room("window=1");
        let first = room.take(Lane::Normal, 3, || sessions(1, 0)).await;
        let large = room.take(Lane::Normal, 64, || sessions(1, 0));
        tokio::pin!(large);
        assert!(timeout(Duration::from_secs(1), &mut large).await.is_err());
        drop(first);
        let large = timeout(Duration::from_secs(1), large).await.expect("it is alone");
        assert!(timeout(Duration::from_secs(1), room.take(Lane::Normal, 1, || sessions(1, 0))).await.is_err());
        drop(large);
        assert!(
            timeout(Duration::from_secs(1), room.take(Lane::Normal, 1, || sessions(0, 0))).await.is_err(),
            "no session, no room"
        );
    }
}

//! A bounded open loop: requests leave at a fixed rate, whatever becomes of those before them.

use std::time::Duration;

use test_support::wait_until;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    client::{Client, Kind, Submission, TopUp},
    journal::Journal,
};

/// The customers of the traffic: 1 to this.
pub(crate) const USERS: i64 = 20;
/// Every so many requests add credits instead of sending.
const TOP_UP_EVERY: usize = 10;
/// Longer than any traffic lasts.
const PATIENCE: Duration = Duration::from_mins(2);

/// Requests on their way, in the background.
pub(crate) struct Traffic {
    issued: watch::Receiver<usize>,
    running: JoinSet<Journal>,
}

impl Traffic {
    /// `count` requests, `rate` a second.
    pub(crate) fn start(client: &Client, rate: u32, count: usize) -> Self {
        let (progress, issued) = watch::channel(0);
        let mut running = JoinSet::new();
        running.spawn(run(client.clone(), Duration::from_secs(1) / rate, count, progress));
        Self { issued, running }
    }

    /// Waits until that many requests have left.
    pub(crate) async fn issued(&self, count: usize) {
        let mut issued = self.issued.clone();
        tokio::time::timeout(PATIENCE, issued.wait_for(|issued| *issued >= count))
            .await
            .unwrap_or_else(|_| panic!("fewer than {count} requests in {PATIENCE:?}"))
            .expect("the traffic goes on to its end");
    }

    /// Waits for the last answer.
    pub(crate) async fn finish(mut self) -> Journal {
        wait_until(PATIENCE, "the end of the traffic", async || self.running.join_next().await)
            .await
            .expect("the traffic does not panic")
    }
}

async fn run(client: Client, pause: Duration, count: usize, progress: watch::Sender<usize>) -> Journal {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    for index in 0..count {
        ticks.tick().await;
        requests.spawn(request(client.clone(), index));
        progress.send_replace(index + 1);
    }
    let mut journal = Journal::default();
    while let Some(finished) = requests.join_next().await {
        journal.extend(finished.expect("a request does not panic"));
    }
    journal
}

async fn request(client: Client, index: usize) -> Journal {
    let user = 1 + i64::try_from(index).expect("few requests") % USERS;
    let mut journal = Journal::default();
    if index % TOP_UP_EVERY == TOP_UP_EVERY - 1 {
        let top_up = TopUp::new(user, 7);
        let answer = client.top_up(&top_up).await;
        journal.top_ups.push((top_up, answer));
    } else {
        let kind = if index.is_multiple_of(3) { Kind::Express } else { Kind::Normal };
        // The last digit decides how a mixed operator answers; see `Platform::mix_operators`.
        let recipients = (0..=index % 3).map(|place| format!("+98{index:06}{place}{}", (index / 3 + place) % 10));
        let submission = Submission { recipients: recipients.collect(), ..Submission::new(user, kind, &[]) };
        let answer = client.send(&submission).await;
        journal.sends.push((submission, answer));
    }
    journal
}

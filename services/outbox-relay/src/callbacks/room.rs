//! How much may be sent now: to each endpoint and in all.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::Duration,
};

use persistence::DueEndpoint;
use tokio::time::Instant;

/// Requests under way to one endpoint.
const PER_ENDPOINT: usize = 8;
/// Requests under way in all.
const IN_ALL: usize = 256;
/// In which an endpoint's own limit is kept.
const SECOND: Duration = Duration::from_secs(1);

/// What is under way, and what endpoints with a limit of their own were sent within the last second.
#[derive(Debug, Default)]
pub(super) struct Room {
    under_way: HashMap<i64, usize>,
    in_all: usize,
    /// When each of these was sent: not more than the limit in any second, whereas a bucket that fills while it is emptied gives twice
    /// as many.
    sent: HashMap<i64, VecDeque<Instant>>,
}

/// What one look gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// How many events of each endpoint.
    pub(super) wanted: Vec<(i64, usize)>,
    /// The last endpoint that had its turn, where there was no room for those behind it.
    pub(super) stopped_at: Option<i64>,
    /// When the first of those may be sent more that have reached their own limit.
    pub(super) limited_until: Option<Instant>,
}

impl Room {
    /// Shares what there is room for among endpoints, in their order: the same for each, so that none waits for those that have much.
    /// What is left of that is for the next look.
    pub(super) fn share(&mut self, due: &[DueEndpoint], now: Instant) -> Share {
        let mut left = IN_ALL.saturating_sub(self.in_all);
        let each = (left / due.len().max(1)).max(1);
        let (mut share, mut last) = (Share::default(), None);
        for endpoint in due {
            if left == 0 {
                share.stopped_at = last;
                break;
            }
            let room = self.for_endpoint(endpoint, now).min(each);
            if room > 0 {
                left -= room;
                share.wanted.push((endpoint.row, room));
            }
            share.limited_until = [share.limited_until, self.limited_until(endpoint)].into_iter().flatten().min();
            last = Some(endpoint.row);
        }
        share
    }

    /// How many events of this endpoint may be sent now. One that fails gets a single one, to see if it is back.
    fn for_endpoint(&mut self, endpoint: &DueEndpoint, now: Instant) -> usize {
        let under_way = self.under_way.get(&endpoint.row).copied().unwrap_or(0);
        let most = if endpoint.is_probed { 1 } else { PER_ENDPOINT };
        let free = most.saturating_sub(under_way).min(IN_ALL.saturating_sub(self.in_all));
        match endpoint.per_second {
            Some(limit) => free.min(self.rest(endpoint.row, limit.get(), now)),
            None => free,
        }
    }

    /// What its own limit leaves.
    fn rest(&mut self, row: i64, limit: u32, now: Instant) -> usize {
        let sent = self.sent.entry(row).or_default();
        while sent.front().is_some_and(|at| now.saturating_duration_since(*at) >= SECOND) {
            sent.pop_front();
        }
        usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(sent.len())
    }

    fn limited_until(&self, endpoint: &DueEndpoint) -> Option<Instant> {
        let (limit, sent) = (endpoint.per_second?.get(), self.sent.get(&endpoint.row)?);
        let has_reached_it = sent.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        sent.front().filter(|_| has_reached_it).map(|first| *first + SECOND)
    }

    /// Takes the place of one request.
    pub(super) fn take(&mut self, row: i64, now: Instant) {
        *self.under_way.entry(row).or_default() += 1;
        self.in_all += 1;
        if let Some(sent) = self.sent.get_mut(&row) {
            sent.push_back(now);
        }
    }

    /// Gives it back.
    pub(super) fn free(&mut self, row: i64) {
        if let Entry::Occupied(mut under_way) = self.under_way.entry(row) {
            self.in_all -= 1;
            *under_way.get_mut() -= 1;
            if *under_way.get() == 0 {
                under_way.remove();
            }
        }
    }

    /// Whether anything may be sent at all.
    pub(super) fn is_full(&self) -> bool {
        self.in_all >= IN_ALL
    }

    /// Those that were sent nothing for a second.
    pub(super) fn forget_quiet(&mut self, now: Instant) {
        self.sent.retain(|_, sent| sent.back().is_some_and(|at| now.saturating_duration_since(*at) < SECOND));
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, num::NonZeroU32};

    use super::*;

    fn endpoint(row: i64, per_second: Option<u32>, is_probed: bool) -> DueEndpoint {
        DueEndpoint {
            row,
            id: String::new(),
            url: String::new(),
            secret_version: 1,
            signs_with_previous: false,
            is_failing: is_probed,
            is_probed,
            per_second: per_second.and_then(NonZeroU32::new),
        }
    }

    #[test]
    fn an_endpoint_has_eight_and_one_that_fails_has_one() {
        let (mut room, now) = (Room::default(), Instant::now());
        assert_eq!(room.for_endpoint(&endpoint(1, None, true), now), 1);
        for left in (0..8).rev() {
            room.take(1, now);
            assert_eq!(room.for_endpoint(&endpoint(1, None, false), now), left);
        }
        assert_eq!(room.for_endpoint(&endpoint(1, None, true), now), 0);
        room.free(1);
        assert_eq!(room.for_endpoint(&endpoint(1, None, false), now), 1);
    }

    #[test]
    fn all_of_them_have_256() {
        let (mut room, now) = (Room::default(), Instant::now());
        (0..256).for_each(|n| room.take(n / 8, now));
        assert!(room.is_full());
        assert_eq!(room.for_endpoint(&endpoint(99, None, false), now), 0);
        room.free(0);
        assert_eq!(room.for_endpoint(&endpoint(99, None, false), now), 1);
        room.free(77);
        assert_eq!(room.for_endpoint(&endpoint(99, None, false), now), 1, "one that has nothing gives nothing back");
    }

    #[test]
    fn a_limit_of_its_own_holds_within_any_second() {
        let mut room = Room::default();
        let (began, limited) = (Instant::now(), endpoint(1, Some(4), false));
        let mut sent = Vec::new();
        // Looked at every 50 ms, as after any end; each request ends at once.
        for now in (0..100).map(|look| began + look * Duration::from_millis(50)) {
            room.forget_quiet(now);
            for _ in 0..room.for_endpoint(&limited, now) {
                room.take(1, now);
                room.free(1);
                sent.push(now);
            }
        }
        assert_eq!(sent.len(), 20, "in five seconds");
        let within_a_second = |from: &Instant| sent.iter().filter(|at| *at >= from && **at < *from + SECOND).count();
        assert!(sent.iter().map(within_a_second).all(|count| count <= 4), "{sent:?}");
        let now = began + Duration::from_secs(5);
        assert_eq!(room.share(std::slice::from_ref(&limited), now).limited_until, None);
        (0..4).for_each(|_| room.take(1, now));
        let share = room.share(&[limited], now + Duration::from_millis(10));
        assert_eq!((share.wanted, share.limited_until), (Vec::new(), Some(now + SECOND)));
        room.forget_quiet(began + Duration::from_mins(1));
        assert!(room.sent.is_empty());
    }

    #[test]
    fn three_hundred_endpoints_with_endless_work_all_get_something() {
        let (mut room, now) = (Room::default(), Instant::now());
        let all: Vec<_> = (1..=300).map(|row| endpoint(row, None, false)).collect();
        let (mut got, mut behind, mut under_way) = (HashSet::new(), 0, VecDeque::new());
        for look in 0..6 {
            // A page, as the database gives it.
            let page: Vec<_> = all.iter().filter(|endpoint| endpoint.row > behind).take(256).cloned().collect();
            let share = room.share(&page, now);
            behind = share.stopped_at.unwrap_or(if page.len() == 256 { page[255].row } else { 0 });
            for (row, count) in share.wanted {
                got.insert(row);
                (0..count).for_each(|_| room.take(row, now));
                under_way.extend(vec![row; count]);
            }
            assert!(room.in_all <= IN_ALL, "{} are under way", room.in_all);
            assert_eq!(room.in_all, under_way.len());
            if look == 0 {
                assert_eq!((room.in_all, behind), (256, 256), "there is room for one of each of the page");
            }
            // A quarter of them ends.
            under_way.drain(..under_way.len() / 4).for_each(|row| room.free(row));
        }
        assert_eq!(got.len(), 300);
    }

    #[test]
    fn who_found_no_room_is_the_first_of_the_next_look() {
        let (mut room, now) = (Room::default(), Instant::now());
        (0..254).for_each(|n| room.take(1_000 + n / 8, now));
        let due: Vec<_> = (1..=4).map(|row| endpoint(row, None, false)).collect();
        let mut share = |due: &[DueEndpoint]| {
            let share = room.share(due, now);
            (share.wanted, share.stopped_at)
        };
        assert_eq!(share(&due), (vec![(1, 1), (2, 1)], Some(2)));
        assert_eq!(share(&due[2..]), (vec![(3, 1), (4, 1)], None));
        assert_eq!(share(&[]), (Vec::new(), None));
    }
}

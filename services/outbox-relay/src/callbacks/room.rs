//! How much may be sent now: to each endpoint and in all.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use persistence::DueEndpoint;
use tokio::time::Instant;

/// Requests under way to one endpoint.
const PER_ENDPOINT: usize = 8;
/// Requests under way in all.
pub(super) const IN_ALL: usize = 256;
/// A request in its thousandths.
const WHOLE: u64 = 1_000;
/// An endpoint of which nothing was heard for so long has its full rate again, and is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// What is under way, and what endpoints were sent within the last second.
#[derive(Debug, Default)]
pub(super) struct Room {
    under_way: HashMap<i64, usize>,
    in_all: usize,
    rates: HashMap<i64, Rate>,
}

/// A bucket of one second.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// In thousandths of a request.
    left: u64,
    at: Instant,
}

impl Room {
    /// How many events of this endpoint may be sent now. One that fails gets a single one, to see if it is back.
    pub(super) fn for_endpoint(&mut self, endpoint: &DueEndpoint, now: Instant) -> usize {
        let under_way = self.under_way.get(&endpoint.row).copied().unwrap_or(0);
        let most = if endpoint.is_probed { 1 } else { PER_ENDPOINT };
        let free = most.saturating_sub(under_way).min(IN_ALL.saturating_sub(self.in_all));
        match endpoint.per_second {
            Some(limit) => free.min(self.rate(endpoint.row, limit.get().into(), now)),
            None => free,
        }
    }

    /// Whole requests that its own limit leaves.
    fn rate(&mut self, row: i64, limit: u64, now: Instant) -> usize {
        let full = limit * WHOLE;
        let rate = self.rates.entry(row).or_insert(Rate { left: full, at: now });
        // As many thousandths in a millisecond as there are requests in a second.
        let millis = u64::try_from(now.saturating_duration_since(rate.at).as_millis()).unwrap_or(u64::MAX);
        *rate = Rate { left: rate.left.saturating_add(millis.saturating_mul(limit)).min(full), at: now };
        usize::try_from(rate.left / WHOLE).unwrap_or(usize::MAX)
    }

    /// Takes the place of one request.
    pub(super) fn take(&mut self, row: i64) {
        *self.under_way.entry(row).or_default() += 1;
        self.in_all += 1;
        if let Some(rate) = self.rates.get_mut(&row) {
            rate.left = rate.left.saturating_sub(WHOLE);
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

    pub(super) fn forget_quiet(&mut self, now: Instant) {
        self.rates.retain(|_, rate| now.saturating_duration_since(rate.at) < FORGOTTEN_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

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
            room.take(1);
            assert_eq!(room.for_endpoint(&endpoint(1, None, false), now), left);
        }
        assert_eq!(room.for_endpoint(&endpoint(1, None, true), now), 0);
        room.free(1);
        assert_eq!(room.for_endpoint(&endpoint(1, None, false), now), 1);
    }

    #[test]
    fn all_of_them_have_256() {
        let (mut room, now) = (Room::default(), Instant::now());
        (0..256).for_each(|n| room.take(n / 8));
        assert!(room.is_full());
        assert_eq!(room.for_endpoint(&endpoint(99, None, false), now), 0);
        room.free(0);
        assert_eq!(room.for_endpoint(&endpoint(99, None, false), now), 1);
        room.free(77);
        assert_eq!(room.for_endpoint(&endpoint(99, None, false), now), 1, "one that has nothing gives nothing back");
    }

    #[test]
    fn a_limit_of_its_own_holds_within_a_second() {
        let (mut room, now) = (Room::default(), Instant::now());
        let limited = endpoint(1, Some(2), false);
        assert_eq!(room.for_endpoint(&limited, now), 2);
        (0..2).for_each(|_| room.take(1));
        assert_eq!(room.for_endpoint(&limited, now), 0);
        assert_eq!(room.for_endpoint(&limited, now + Duration::from_millis(500)), 1);
        room.forget_quiet(now + Duration::from_mins(1));
        assert!(room.rates.is_empty());
    }
}

//! What came in the last second.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// The times within the second that ends with the last one.
#[derive(Debug, Default)]
pub(crate) struct LastSecond(VecDeque<Instant>);

impl LastSecond {
    /// How many there are at `now`, which never goes back.
    pub(crate) fn count(&mut self, now: Instant) -> usize {
        while self.0.front().is_some_and(|first| now.duration_since(*first) >= SECOND) {
            self.0.pop_front();
        }
        self.0.len()
    }

    /// Adds `now`, and tells how many there are with it.
    pub(crate) fn add(&mut self, now: Instant) -> usize {
        self.0.push_back(now);
        self.count(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_slides() {
        let (mut last, start) = (LastSecond::default(), Instant::now());
        let counts = [0, 400, 999, 1000, 1399, 1400, 5000].map(|at| last.add(start + Duration::from_millis(at)));
        assert_eq!(counts, [1, 2, 3, 3, 4, 4, 1]);
        assert_eq!(last.count(start + Duration::from_secs(6)), 0);
    }
}

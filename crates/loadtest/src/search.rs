//! Finding the highest rate that holds: upwards in steps until one does not, then by halving.

/// Factor from one rate to the next on the way up.
const UP: f64 = 1.5;

/// A search in progress. Feed it what came of each rate it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    next: f64,
    holds: Option<f64>,
    breaks: Option<f64>,
    precision: f64,
}

impl Search {
    /// Starts at `first` and ends when the highest rate that held and the lowest that did not are within `precision`
    /// (0.05 is 5 %) of each other.
    pub fn new(first: f64, precision: f64) -> Self {
        Self { next: first, holds: None, breaks: None, precision }
    }

    /// The rate to try next; `None` when the search is over.
    pub fn next(&self) -> Option<f64> {
        let is_over = match (self.holds, self.breaks) {
            (Some(holds), Some(breaks)) => breaks <= holds * (1.0 + self.precision),
            // Not even one request a second holds.
            (None, Some(breaks)) => breaks <= 1.0,
            _ => false,
        };
        (!is_over).then_some(self.next)
    }

    /// Tells whether the rate named last held.
    pub fn tell(&mut self, held: bool) {
        let bound = if held { &mut self.holds } else { &mut self.breaks };
        *bound = Some(self.next);
        self.next = match (self.holds, self.breaks) {
            (Some(holds), Some(breaks)) => f64::midpoint(holds, breaks),
            (Some(holds), None) => holds * UP,
            (None, Some(breaks)) => breaks / UP,
            (None, None) => self.next,
        };
    }

    /// The highest rate that held.
    pub fn found(&self) -> Option<f64> {
        self.holds
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(first: f64, limit: f64) -> (Option<f64>, u32) {
        let (mut search, mut steps) = (Search::new(first, 0.05), 0);
        while let Some(rate) = search.next() {
            search.tell(rate <= limit);
            steps += 1;
        }
        (search.found(), steps)
    }

    proptest! {
        #[test]
        fn the_limit_is_found_to_five_percent_in_a_few_steps(limit in 10.0f64..20_000.0) {
            let (found, steps) = search(1_000.0, limit);
            let found = found.expect("it is above 1");
            prop_assert!(found <= limit && found * 1.05 >= limit, "{found} for {limit}");
            prop_assert!(steps <= 20, "{steps}");
        }
    }

    #[test]
    fn where_nothing_holds_the_search_ends() {
        let (found, steps) = search(1_000.0, 0.0);
        assert_eq!(found, None);
        assert!(steps < 30);
    }
}

//! Fair order: whose message goes next when many wait.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996): a message starts where its customer's last one ended, or where
//! its lane is now, whichever is later, and ends as many steps further as it has recipients times segments. Served in the order of
//! their starts, customers with a backlog take turns, however much each has waiting, and whoever has nothing waiting
//! is served next. Nothing is held back: where one customer is alone, it gets everything.

use std::collections::HashMap;

use crate::{CustomerId, Recipients, SegmentCount};

/// Steps that a lane with nothing waiting moves on in a millisecond: more than it could ever serve, so that nobody's
/// last message ends later than "now" for long.
const STEPS_PER_MILLISECOND: i64 = 100;

/// Customers whose last message is remembered at most. One beyond them is treated as if it had nothing waiting.
const MAX_REMEMBERED: usize = 100_000;

/// A place in a lane's order: lower ones go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn(i64);

impl Turn {
    /// Where a lane with nothing waiting is at this time, in milliseconds since 1970.
    pub fn at(unix_millis: i64) -> Self {
        Self(unix_millis.saturating_mul(STEPS_PER_MILLISECOND).max(1))
    }

    /// A turn as the database stores it.
    pub fn from_stored(turn: i64) -> Self {
        Self(turn)
    }

    /// The turn as the database stores it.
    pub fn get(self) -> i64 {
        self.0
    }
}

/// Gives the messages of one lane their turns.
#[derive(Debug)]
pub struct FairOrder {
    now: Turn,
    /// Where each customer's last message ends; nothing for those whose last message was served.
    ends: HashMap<CustomerId, i64>,
}

impl FairOrder {
    /// An order in which nothing waits and the lane is at `now`.
    pub fn starting_at(now: Turn) -> Self {
        Self { now, ends: HashMap::new() }
    }

    /// Where the lane is.
    pub fn now(&self) -> Turn {
        self.now
    }

    /// The lane has come to `now`: every message with an earlier turn has left it.
    pub fn move_to(&mut self, now: Turn) {
        self.now = now;
        self.ends.retain(|_, end| *end > now.0);
        self.ends.shrink_to(2 * self.ends.len());
    }

    /// As much of it as these customers' next messages depend on.
    #[must_use]
    pub fn of(&self, customers: impl IntoIterator<Item = CustomerId>) -> Self {
        let ends = customers.into_iter().filter_map(|customer| Some((customer, *self.ends.get(&customer)?)));
        Self { now: self.now, ends: ends.collect() }
    }

    /// Takes over where the customers of a part of it are now.
    pub fn merge(&mut self, part: Self) {
        self.move_to(part.now);
        for (customer, end) in part.ends {
            if self.ends.len() < MAX_REMEMBERED || self.ends.contains_key(&customer) {
                self.ends.insert(customer, end);
            }
        }
    }

    /// The turn of a customer's next message.
    pub fn take(&mut self, customer: CustomerId, recipients: &Recipients, segments: SegmentCount) -> Turn {
        let steps = i64::try_from(recipients.count() * usize::from(segments.get())).unwrap_or(i64::MAX);
        self.take_steps(customer, steps)
    }

    /// The same of a message with so many recipients times segments.
    pub fn take_steps(&mut self, customer: CustomerId, steps: i64) -> Turn {
        let start = self.ends.get(&customer).copied().unwrap_or(0).max(self.now.0);
        if self.ends.len() < MAX_REMEMBERED || self.ends.contains_key(&customer) {
            self.ends.insert(customer, start.saturating_add(steps));
        }
        Turn(start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn customer(id: i64) -> CustomerId {
        CustomerId::try_from(id).expect("valid")
    }

    fn to(count: usize) -> Recipients {
        Recipients::parse((0..count).map(|number| format!("{:05}", 10_000 + number)).collect()).expect("valid")
    }

    /// The customers in the order in which their messages go.
    fn served(mut waiting: Vec<(Turn, i64)>) -> Vec<i64> {
        waiting.sort_by_key(|(turn, _)| *turn);
        waiting.into_iter().map(|(_, customer)| customer).collect()
    }

    #[test]
    fn a_large_backlog_holds_nobody_up() {
        let mut order = FairOrder::starting_at(Turn::at(0));
        let mut waiting: Vec<_> =
            (0..50_000).map(|_| (order.take(customer(1), &to(1), SegmentCount::ONE), 1)).collect();
        waiting.extend((2..=11).map(|other| (order.take(customer(other), &to(1), SegmentCount::ONE), other)));
        waiting.extend((0..10).map(|_| (order.take(customer(12), &to(1), SegmentCount::ONE), 12)));
        let order = served(waiting);
        let last_of_others = order.iter().rposition(|customer| *customer != 1).expect("they are there");
        assert!(last_of_others < 31, "served after {last_of_others} others");
    }

    #[test]
    fn recipients_are_what_is_shared() {
        let mut order = FairOrder::starting_at(Turn::at(0));
        let large: Vec<_> = (0..10).map(|_| (order.take(customer(1), &to(100), SegmentCount::ONE), 1)).collect();
        let small: Vec<_> = (0..1_000).map(|_| (order.take(customer(2), &to(1), SegmentCount::ONE), 2)).collect();
        let order = served(large.into_iter().chain(small).collect());
        let half = &order[..505];
        assert_eq!(half.iter().filter(|customer| **customer == 1).count(), 5, "a message of 100 for 100 of one");
    }

    #[test]
    fn and_their_segments() {
        let mut order = FairOrder::starting_at(Turn::at(0));
        let segments = SegmentCount::new(5, 10).expect("few");
        let turns = [(); 2].map(|()| order.take(customer(1), &to(2), segments).get());
        assert_eq!(turns[1] - turns[0], 10);
    }

    #[test]
    fn nobody_pays_for_what_was_idle_capacity() {
        let mut order = FairOrder::starting_at(Turn::at(0));
        let served_alone =
            (0..10_000).map(|_| order.take(customer(1), &to(1), SegmentCount::ONE)).last().expect("many");
        order.move_to(served_alone);
        let turns =
            [1, 2, 1, 2].map(|id| order.take(customer(id), &to(1), SegmentCount::ONE).get() - served_alone.get());
        assert_eq!(turns, [1, 0, 2, 1]);
    }

    #[test]
    fn whoever_was_served_is_forgotten() {
        let mut order = FairOrder::starting_at(Turn::at(0));
        for id in 1..=1_000 {
            order.take(customer(id), &to(1), SegmentCount::ONE);
        }
        order.move_to(Turn::at(1));
        assert!(order.ends.is_empty() && order.ends.capacity() < 100);
    }

    #[test]
    fn memory_is_bounded() {
        let mut order = FairOrder::starting_at(Turn::at(0));
        let one = to(1);
        for id in 1..=i64::try_from(MAX_REMEMBERED + 10).expect("fits") {
            order.take(customer(id), &one, SegmentCount::ONE);
        }
        assert_eq!(order.ends.len(), MAX_REMEMBERED);
    }

    proptest! {
        #[test]
        fn turns_of_one_customer_rise_wherever_the_lane_is(steps in prop::collection::vec((1_usize..5, -50_i64..50), 1..50)) {
            let mut order = FairOrder::starting_at(Turn::at(1));
            let mut last = Turn::from_stored(0);
            for (recipients, lane_moves) in steps {
                order.move_to(Turn::from_stored((order.now.get() + lane_moves).min(last.get() + 1).max(1)));
                let turn = order.take(customer(1), &to(recipients), SegmentCount::ONE);
                prop_assert!(turn > last, "{turn:?} after {last:?}");
                last = turn;
            }
        }
    }
}

//! Receipts that wait: for their time, for a session, or to be sent again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use crate::smsc::{SmscReceipt, receipts::Message};

/// The pause before a receipt is sent for the second time; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a receipt that is not taken is sent again.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What an answer waits for: it may be given once nobody has this any more.
#[derive(Debug)]
pub(crate) struct Hold;

/// A receipt that is to be sent.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) receipt: SmscReceipt,
    /// Kept until the first answer to it.
    hold: Option<Arc<Hold>>,
    refused: Option<Refused>,
}

/// Since when a receipt is refused, and how long it waits next.
#[derive(Debug, Clone, Copy)]
struct Refused {
    since: Instant,
    pause: Duration,
}

impl Delivery {
    pub(crate) fn new(message: &Arc<Message>, receipt: &SmscReceipt) -> Self {
        Self { message: Arc::clone(message), receipt: receipt.clone(), hold: None, refused: None }
    }

    /// The same, which keeps `hold` until it is answered.
    pub(crate) fn holding(self, hold: &Arc<Hold>) -> Self {
        Self { hold: Some(Arc::clone(hold)), ..self }
    }

    /// Lets the answer to its message go; tells whether one may be waiting for that.
    pub(crate) fn release(&mut self) -> bool {
        self.hold.take().is_some()
    }

    /// When it is to be sent again after it was refused; `None` once that goes on for too long.
    fn again(&mut self, now: Instant) -> Option<Instant> {
        let Refused { since, pause } = self.refused.unwrap_or(Refused { since: now, pause: FIRST_PAUSE });
        self.refused = Some(Refused { since, pause: (pause * 2).min(LONGEST_PAUSE) });
        let again = now + pause;
        (again <= since + LONGEST_RETRY).then_some(again)
    }
}

/// Whether an answer that waits for `hold` may be given.
pub(crate) fn is_released(hold: &Weak<Hold>) -> bool {
    hold.strong_count() == 0
}

/// Receipts in the order of their time, and among those of one time in the order in which they came.
#[derive(Debug)]
pub(crate) struct Deliveries {
    waiting: BTreeMap<(Instant, u64), Delivery>,
    pushed: u64,
    capacity: usize,
}

impl Deliveries {
    /// At most `capacity` of them.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { waiting: BTreeMap::new(), pushed: 0, capacity }
    }

    /// Adds one; gives it back where too many wait.
    pub(crate) fn push(&mut self, due: Instant, delivery: Delivery) -> Result<(), Delivery> {
        if self.waiting.len() >= self.capacity {
            return Err(delivery);
        }
        self.pushed += 1;
        self.waiting.insert((due, self.pushed), delivery);
        Ok(())
    }

    /// Adds one that was refused; gives it back where too many wait, or it was refused for too long.
    pub(crate) fn push_again(&mut self, now: Instant, mut delivery: Delivery) -> Result<(), Delivery> {
        match delivery.again(now) {
            Some(due) => self.push(due, delivery),
            None => Err(delivery),
        }
    }

    /// At most `room` of those whose time has come.
    pub(crate) fn take(&mut self, now: Instant, room: usize) -> Vec<Delivery> {
        let mut due = Vec::new();
        while due.len() < room && self.next().is_some_and(|next| next <= now) {
            due.extend(self.waiting.pop_first().map(|(_, delivery)| delivery));
        }
        due
    }

    /// The time of the next one.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use smpp::{Address, MessageState};

    use super::*;
    use crate::receipts::Accepted;

    fn delivery(id: &str) -> Delivery {
        let accepted = Accepted { seq: 1, id: id.to_owned(), recipient: "1".to_owned() };
        let message = Message { accepted, source: Address::default(), destination: Address::default() };
        Delivery::new(&Arc::new(message), &SmscReceipt::of(MessageState::Delivered))
    }

    fn ids(deliveries: &[Delivery]) -> Vec<&str> {
        deliveries.iter().map(|delivery| delivery.message.accepted.id.as_str()).collect()
    }

    #[test]
    fn receipts_come_in_the_order_of_their_time() {
        let (mut deliveries, now) = (Deliveries::new(4), Instant::now());
        for (id, after) in [("c", 20), ("a", 10), ("b", 10), ("d", 30)] {
            deliveries.push(now + Duration::from_millis(after), delivery(id)).expect("there is room");
        }
        assert!(deliveries.push(now, delivery("e")).is_err(), "there are four");
        assert!(deliveries.take(now, 9).is_empty());
        let later = now + Duration::from_millis(20);
        assert_eq!(ids(&deliveries.take(later, 2)), ["a", "b"]);
        assert_eq!(ids(&deliveries.take(later, 2)), ["c"]);
        assert_eq!((deliveries.len(), deliveries.next()), (1, Some(now + Duration::from_millis(30))));
    }

    #[test]
    fn what_is_refused_is_sent_again_for_a_minute() {
        let (mut deliveries, start) = (Deliveries::new(4), Instant::now());
        let (mut now, mut pauses, mut refused) = (start, Vec::new(), delivery("a"));
        while deliveries.push_again(now, refused).is_ok() {
            let next = deliveries.next().expect("it waits");
            pauses.push((next - now).as_millis());
            now = next;
            refused = deliveries.take(now, 1).pop().expect("it is due");
        }
        assert_eq!(pauses[..7], [100, 200, 400, 800, 1600, 2000, 2000]);
        assert!((58..=60).contains(&(now - start).as_secs()));
    }

    #[test]
    fn a_hold_ends_with_its_last_receipt() {
        let hold = Arc::new(Hold);
        let (weak, mut first, second) =
            (Arc::downgrade(&hold), delivery("a").holding(&hold), delivery("b").holding(&hold));
        drop(hold);
        assert!(first.release() && !first.release());
        assert!(!is_released(&weak));
        drop(second);
        assert!(is_released(&weak));
    }
}

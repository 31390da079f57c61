//! Which publishes wait for the broker's confirm. No I/O and no waiting here: tags in, outcomes out.
//!
//! On a channel in confirm mode the n-th publish has delivery tag n. The broker confirms single tags, or all up to a
//! tag (`multiple`), in any order. A message no queue takes comes back (`basic.return`, which has no tag) before it is
//! confirmed; it is found again by its message id.

use std::{collections::VecDeque, time::Instant};

use crate::Published;

/// The publishes in flight on one channel, each with a ticket of the caller's that comes back exactly once.
#[derive(Debug)]
pub(crate) struct ConfirmWindow<T> {
    capacity: usize,
    /// Tag of the first slot.
    first_tag: u64,
    /// One slot for each tag from `first_tag` on; emptied when settled. The first slot is never empty.
    slots: VecDeque<Option<InFlight<T>>>,
}

#[derive(Debug)]
struct InFlight<T> {
    ticket: T,
    message_id: String,
    sent_at: Instant,
    returned: Option<String>,
}

/// A publish whose fate is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled<T> {
    pub(crate) ticket: T,
    pub(crate) outcome: Published,
    pub(crate) sent_at: Instant,
}

impl<T> ConfirmWindow<T> {
    /// A window for a new channel: the first publish has tag 1.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, first_tag: 1, slots: VecDeque::new() }
    }

    /// Whether another publish may be sent. Counts from the oldest unsettled one, so the window's memory is bounded too.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.len() < self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When the oldest unsettled publish was sent.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.slots.front().and_then(Option::as_ref).map(|publish| publish.sent_at)
    }

    /// When the oldest unsettled one of `wanted` was sent.
    pub(crate) fn oldest_of(&self, wanted: impl Fn(&T) -> bool) -> Option<Instant> {
        self.slots.iter().flatten().find(|publish| wanted(&publish.ticket)).map(|publish| publish.sent_at)
    }

    /// Notes the next publish of the channel and gives its delivery tag.
    pub(crate) fn sent(&mut self, message_id: String, ticket: T, sent_at: Instant) -> u64 {
        self.slots.push_back(Some(InFlight { ticket, message_id, sent_at, returned: None }));
        self.last_tag()
    }

    /// The broker has the message with this tag, or (`multiple`) all up to it; 0 with `multiple` means all.
    pub(crate) fn ack(&mut self, tag: u64, multiple: bool) -> Vec<Settled<T>> {
        self.settle(tag, multiple, &Published::Confirmed)
    }

    /// The broker refused the message with this tag, or (`multiple`) all up to it.
    pub(crate) fn nack(&mut self, tag: u64, multiple: bool) -> Vec<Settled<T>> {
        self.settle(tag, multiple, &Published::Nacked)
    }

    /// A message came back. If several in flight have this id, one more of them counts as returned, oldest first; they
    /// are copies of each other, so only the number matters.
    pub(crate) fn returned(&mut self, message_id: &str, reason: String) {
        let mut in_flight = self.slots.iter_mut().flatten();
        if let Some(publish) = in_flight.find(|one| one.message_id == message_id && one.returned.is_none()) {
            publish.returned = Some(reason);
        }
    }

    /// The channel is gone: nobody will ever know, except about messages that came back.
    pub(crate) fn fail_all(&mut self) -> Vec<Settled<T>> {
        self.settle(0, true, &Published::Unknown)
    }

    /// Tags that are not in flight (settled before, or never sent) are ignored.
    fn settle(&mut self, tag: u64, multiple: bool, outcome: &Published) -> Vec<Settled<T>> {
        let tag = if tag == 0 && multiple { self.last_tag() } else { tag };
        if tag < self.first_tag || tag > self.last_tag() {
            return Vec::new();
        }
        let last = usize::try_from(tag - self.first_tag).expect("a slot's index fits usize");
        let first = if multiple { 0 } else { last };
        let publishes = self.slots.range_mut(first..=last).filter_map(Option::take);
        let settled = publishes.map(|publish| publish.settled(outcome.clone())).collect();
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first_tag += 1;
        }
        settled
    }

    fn last_tag(&self) -> u64 {
        self.first_tag + self.slots.len() as u64 - 1
    }
}

impl<T> InFlight<T> {
    /// A returned message is in no queue, whatever the confirm says: the broker acks it all the same.
    fn settled(self, outcome: Published) -> Settled<T> {
        let outcome = self.returned.map_or(outcome, |reason| Published::Returned { reason });
        Settled { ticket: self.ticket, outcome, sent_at: self.sent_at }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, ops::RangeInclusive};

    use proptest::prelude::*;

    use super::*;

    fn window_of(count: usize) -> ConfirmWindow<usize> {
        let mut window = ConfirmWindow::new(count);
        for ticket in 0..count {
            window.sent(format!("id-{ticket}"), ticket, Instant::now());
        }
        window
    }

    fn outcomes(settled: Vec<Settled<usize>>) -> Vec<(usize, Published)> {
        settled.into_iter().map(|one| (one.ticket, one.outcome)).collect()
    }

    fn back() -> Published {
        Published::Returned { reason: "no route".to_owned() }
    }

    #[test]
    fn tags_count_from_one_and_go_on_after_confirms() {
        let mut window = ConfirmWindow::new(2);
        assert_eq!(window.sent("a".to_owned(), 0, Instant::now()), 1);
        assert_eq!(window.sent("b".to_owned(), 1, Instant::now()), 2);
        assert!(!window.has_room());
        assert_eq!(outcomes(window.ack(2, true)), [(0, Published::Confirmed), (1, Published::Confirmed)]);
        assert!(window.has_room() && window.is_empty() && window.oldest().is_none());
        assert_eq!(window.sent("c".to_owned(), 2, Instant::now()), 3);
    }

    #[test]
    fn the_oldest_of_some_is_found_behind_others() {
        let mut window = window_of(2);
        assert!(window.oldest().is_some() && window.oldest_of(|ticket| *ticket == 1).is_some());
        window.ack(2, false);
        assert!(window.oldest().is_some() && window.oldest_of(|ticket| *ticket == 1).is_none());
    }

    #[test]
    fn a_gap_keeps_the_window_bounded() {
        let mut window = window_of(3);
        assert_eq!(outcomes(window.nack(3, false)), [(2, Published::Nacked)]);
        assert!(!window.has_room(), "tag 1 still holds the window");
        assert_eq!(outcomes(window.ack(1, false)), [(0, Published::Confirmed)]);
        assert!(window.has_room());
    }

    #[test]
    fn tag_zero_means_all_only_with_multiple() {
        let mut window = window_of(2);
        assert!(window.ack(0, false).is_empty());
        assert_eq!(window.ack(0, true).len(), 2);
    }

    #[test]
    fn returned_messages_stay_returned_whatever_follows() {
        let mut window = window_of(3);
        window.returned("id-0", "no route".to_owned());
        window.returned("id-2", "no route".to_owned());
        window.returned("id-7", "no route".to_owned());
        assert_eq!(outcomes(window.ack(2, true)), [(0, back()), (1, Published::Confirmed)]);
        assert_eq!(outcomes(window.fail_all()), [(2, back())]);
    }

    #[test]
    fn returns_of_copies_are_counted() {
        let mut window = ConfirmWindow::new(3);
        for ticket in 0..3 {
            window.sent("same".to_owned(), ticket, Instant::now());
        }
        window.returned("same", "no route".to_owned());
        window.returned("same", "no route".to_owned());
        assert_eq!(outcomes(window.ack(3, true)), [(0, back()), (1, back()), (2, Published::Confirmed)]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Send,
        Ack { tag: u64, multiple: bool },
        Nack { tag: u64, multiple: bool },
        Return { tag: u64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let tag = 0u64..40;
        let step = prop_oneof![
            4 => Just(Step::Send),
            2 => (tag.clone(), any::<bool>()).prop_map(|(tag, multiple)| Step::Ack { tag, multiple }),
            1 => (tag.clone(), any::<bool>()).prop_map(|(tag, multiple)| Step::Nack { tag, multiple }),
            1 => tag.prop_map(|tag| Step::Return { tag }),
        ];
        proptest::collection::vec(step, 0..80)
    }

    /// The same rules over a plain map of tag to "came back": what must come out of settling `tag`.
    fn expected(
        open: &mut BTreeMap<u64, bool>,
        range: RangeInclusive<u64>,
        plain: &Published,
    ) -> Vec<(u64, Published)> {
        let tags: Vec<u64> = open.keys().copied().filter(|tag| range.contains(tag)).collect();
        let outcome = |returned| if returned { back() } else { plain.clone() };
        tags.into_iter().filter_map(|tag| open.remove(&tag).map(|returned| (tag, outcome(returned)))).collect()
    }

    /// The tags a confirm is about, when `sent` publishes were sent; a tag never sent is about none.
    #[expect(clippy::reversed_empty_ranges, reason = "an empty range is what is meant")]
    fn covered(tag: u64, multiple: bool, sent: u64) -> RangeInclusive<u64> {
        match (tag, multiple) {
            (0, true) => 1..=sent,
            (tag, _) if tag > sent => 1..=0,
            (tag, true) => 1..=tag,
            (tag, false) => tag..=tag,
        }
    }

    proptest! {
        #[test]
        fn every_publish_is_settled_exactly_once(steps in steps(), capacity in 1usize..50) {
            let mut window = ConfirmWindow::new(capacity);
            let mut open = BTreeMap::new();
            let (mut sent, mut settled) = (0u64, Vec::new());
            let tickets = |settled: Vec<Settled<u64>>| -> Vec<(u64, Published)> {
                settled.into_iter().map(|one| (one.ticket, one.outcome)).collect()
            };
            for step in steps {
                let (got, wanted) = match step {
                    Step::Send => {
                        if window.has_room() {
                            sent += 1;
                            prop_assert_eq!(window.sent(format!("id-{sent}"), sent, Instant::now()), sent);
                            open.insert(sent, false);
                        }
                        continue;
                    }
                    Step::Return { tag } => {
                        window.returned(&format!("id-{tag}"), "no route".to_owned());
                        open.entry(tag).and_modify(|returned| *returned = true);
                        continue;
                    }
                    Step::Ack { tag, multiple } => (
                        tickets(window.ack(tag, multiple)),
                        expected(&mut open, covered(tag, multiple, sent), &Published::Confirmed),
                    ),
                    Step::Nack { tag, multiple } => (
                        tickets(window.nack(tag, multiple)),
                        expected(&mut open, covered(tag, multiple, sent), &Published::Nacked),
                    ),
                };
                settled.extend(got.iter().map(|(ticket, _)| *ticket));
                prop_assert_eq!(got, wanted);
                prop_assert_eq!(window.is_empty(), open.is_empty());
            }
            let left = tickets(window.fail_all());
            settled.extend(left.iter().map(|(ticket, _)| *ticket));
            prop_assert_eq!(left, expected(&mut open, 1..=sent, &Published::Unknown));
            settled.sort_unstable();
            prop_assert_eq!(settled, (1..=sent).collect::<Vec<_>>());
        }
    }
}

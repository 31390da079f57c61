//! Batches of which some messages are not settled; each is answered as a whole when its last message is.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::Published;

/// A message's place in its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    batch: u64,
    index: usize,
}

/// The open batches of one session.
#[derive(Debug, Default)]
pub(super) struct Batches {
    open: HashMap<u64, OpenBatch>,
    begun: u64,
}

#[derive(Debug)]
struct OpenBatch {
    outcomes: Vec<Published>,
    unsettled: usize,
    reply: oneshot::Sender<Vec<Published>>,
}

impl Batches {
    /// Opens a batch of `count` messages and gives their tickets; an empty one is answered at once.
    pub(super) fn begin(
        &mut self,
        count: usize,
        reply: oneshot::Sender<Vec<Published>>,
    ) -> impl Iterator<Item = Ticket> + use<> {
        self.begun += 1;
        let batch = self.begun;
        if count == 0 {
            answer(reply, Vec::new());
        } else {
            let outcomes = vec![Published::Unknown; count];
            self.open.insert(batch, OpenBatch { outcomes, unsettled: count, reply });
        }
        (0..count).map(move |index| Ticket { batch, index })
    }

    /// Notes what became of a message. Every ticket is settled once; the last of its batch answers the batch.
    pub(super) fn settle(&mut self, ticket: Ticket, outcome: Published) {
        let Some(batch) = self.open.get_mut(&ticket.batch) else { return };
        batch.outcomes[ticket.index] = outcome;
        batch.unsettled -= 1;
        if batch.unsettled == 0
            && let Some(batch) = self.open.remove(&ticket.batch)
        {
            answer(batch.reply, batch.outcomes);
        }
    }
}

fn answer(reply: oneshot::Sender<Vec<Published>>, outcomes: Vec<Published>) {
    // The caller may have stopped waiting; then nobody needs the answer.
    let _unheard = reply.send(outcomes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_is_answered_in_order_when_its_last_message_is_settled() {
        let mut batches = Batches::default();
        let (reply, mut first) = oneshot::channel();
        let tickets: Vec<_> = batches.begin(2, reply).collect();
        let (reply, second) = oneshot::channel();
        let other: Vec<_> = batches.begin(1, reply).collect();
        batches.settle(tickets[1], Published::Nacked);
        assert!(first.try_recv().is_err(), "one message is still open");
        batches.settle(other[0], Published::NotSent);
        batches.settle(tickets[0], Published::Confirmed);
        assert_eq!(first.try_recv(), Ok(vec![Published::Confirmed, Published::Nacked]));
        assert_eq!(second.await, Ok(vec![Published::NotSent]));
    }

    #[tokio::test]
    async fn an_empty_batch_is_answered_at_once() {
        let (reply, answer) = oneshot::channel();
        assert_eq!(Batches::default().begin(0, reply).count(), 0);
        assert_eq!(answer.await, Ok(Vec::new()));
    }
}

//! The answer to a delivery.

use tokio::sync::mpsc;

use crate::message::Answer;

/// Takes the answer to one delivery back to the channel it came from, and to no other.
#[derive(Debug)]
pub(crate) struct Acker {
    tag: u64,
    /// `None` once answered.
    answers: Option<mpsc::Sender<(u64, Answer)>>,
}

impl Acker {
    pub(super) fn new(tag: u64, answers: mpsc::Sender<(u64, Answer)>) -> Self {
        Self { tag, answers: Some(answers) }
    }

    pub(crate) async fn answer(mut self, answer: Answer) {
        if let Some(answers) = self.answers.take()
            && answers.send((self.tag, answer)).await.is_err()
        {
            tracing::debug!(?answer, "the delivery's channel is gone; the broker delivers it again");
        }
    }

    pub(crate) fn give_back(mut self) {
        self.answer_now(Answer::Return);
    }

    fn answer_now(&mut self, answer: Answer) {
        if let Some(answers) = self.answers.take() {
            // There is room for an answer to every delivery of the prefetch; a closed channel needs none.
            let _requeued_by_the_broker = answers.try_send((self.tag, answer));
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.answers.as_ref().is_some_and(mpsc::Sender::is_closed)
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        self.answer_now(Answer::Requeue);
    }
}

//! What operators tell by themselves: receipts, and answers that come too late for who asked.

use domain::{MessageId, Receipt, Recipient};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::submitted::LateVerdict;
use crate::OperatorName;

/// What became of a message, as an operator tells it.
#[derive(Debug)]
pub struct Report {
    /// Who tells it.
    pub operator: OperatorName,
    /// What it tells.
    pub receipt: Receipt,
    /// Whether its id is written as in the operator's answers.
    pub exact: bool,
    /// To be told that the receipt is stored. The operator is answered then; dropped, it is asked to tell it again.
    pub stored: oneshot::Sender<()>,
}

/// What an operator answered about a message when nobody waited for that any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Who answered.
    pub operator: OperatorName,
    /// The message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: Recipient,
    /// What that says of the message.
    pub verdict: LateVerdict,
}

/// Where operators work when nobody asks them anything.
#[derive(Debug, Clone)]
pub struct Background {
    /// Holds the tasks of sessions.
    pub tasks: TaskTracker,
    /// Ends them: sessions unbind then, so it is for after the last submission.
    pub stop: CancellationToken,
    /// Takes what operators tell. Where it is full they are asked to tell it again.
    pub reports: mpsc::Sender<Report>,
    /// Takes late answers, which are told but once: it is to hold more than can come while nobody listens.
    pub late: mpsc::Sender<Late>,
}

impl Background {
    /// For operators that tell nothing by themselves, such as those over HTTP: nobody listens.
    pub fn none() -> Self {
        let ((reports, _), (late, _)) = (mpsc::channel(1), mpsc::channel(1));
        Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), reports, late }
    }
}

//! What operators tell by themselves: receipts, and answers that come too late for who asked.

use domain::{MessageId, Receipt, Recipient};
use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::submitted::PartIds;
use crate::OperatorName;

/// Something that an operator tells.
#[derive(Debug)]
pub enum Report {
    /// What became of a message.
    Receipt {
        /// Who tells it.
        operator: OperatorName,
        /// What it tells.
        receipt: Receipt,
        /// To be told that the receipt is stored. The operator is answered then; dropped, it is asked to tell it again.
        stored: oneshot::Sender<()>,
    },
    /// That it took a message after all.
    Late(LateAcceptance),
}

/// An operator took a message, and said so when nobody waited for it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateAcceptance {
    /// Who took it.
    pub operator: OperatorName,
    /// The message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: Recipient,
    /// What the operator calls its parts.
    pub ids: PartIds,
}

/// Where operators work when nobody asks them anything.
#[derive(Debug, Clone)]
pub struct Background {
    /// Holds the tasks of sessions.
    pub tasks: TaskTracker,
    /// Ends them: sessions unbind then, so it is for after the last submission.
    pub stop: CancellationToken,
    /// Takes what operators tell. Where it is full they are asked to tell it again.
    pub reports: tokio::sync::mpsc::Sender<Report>,
}

impl Background {
    /// For operators that tell nothing by themselves, such as those over HTTP: nobody listens.
    pub fn none() -> Self {
        let (reports, _) = tokio::sync::mpsc::channel(1);
        Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), reports }
    }
}

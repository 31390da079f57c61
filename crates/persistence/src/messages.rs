//! A message from its acceptance to its end, and the list of them.

mod accept;
mod cancel;
mod delivery;
mod details;
mod filter;
mod history;
mod late;
mod operator_messages;
mod references;
mod settle;
mod states;
mod take;
mod tell;

pub use accept::{AcceptOutcome, AcceptRequest};
pub use cancel::{Cancel, Cancelled};
pub use delivery::{
    Begin, BeginRequest, Called, ClaimedRecipient, Deferral, Deferred, Outcome, PutOff, Resumed, Settlement,
};
pub use details::{Charged, MessageDetails, MessageOverview, RecipientEntry};
pub use filter::HistoryFilter;
pub use history::{Extra, HistoryEntry};
pub use late::{LateAnswer, Said};
pub use operator_messages::OperatorMessage;
pub use states::{StateWrite, StateWritten};

use domain::{MessageId, Recipient};
use sea_orm::{ColumnTrait as _, Condition, Value};

use crate::{engine::statements::padded, entity::message_status::Column};

/// The rows of these recipients of messages. One term a row, each a lookup in the unique index; MariaDB does not optimise lists of
/// pairs.
fn these<'a>(pairs: impl IntoIterator<Item = (&'a MessageId, &'a Recipient)>) -> Condition {
    padded(pairs).into_iter().fold(Condition::any(), |any, pair| any.add(this(pair)))
}

fn this((message_id, recipient): (&MessageId, &Recipient)) -> Condition {
    Condition::all()
        .add(Column::MessageIdentifier.eq(message_id.as_str()))
        .add(Column::Recipient.eq(recipient.as_str()))
}

/// As they stand in the row.
fn names((message_id, recipient): (&MessageId, &Recipient)) -> [Value; 2] {
    [message_id.as_str().into(), recipient.as_str().into()]
}

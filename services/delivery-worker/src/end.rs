//! What becomes of a recipient after a round.

use std::time::Duration;

use callbacks::OperatorSecrets;
use domain::{Expiry, Lane, MessageBody, MessageType, Part, ProviderMessageId};
use operators::{OperatorName, Operators, Verdict};
use persistence::{Called, ClaimedRecipient, Outcome, Resumed, Settlement};

use crate::age;

/// For so long after its time is over a message is still asked about that an operator may have.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);

/// The longest pause where each time that an operator is asked may be one more message.
const SENT_AGAIN: Duration = Duration::from_hours(1);

/// What becomes of a recipient after a round.
pub(crate) enum End {
    /// It is over.
    Settled(Settlement),
    /// An operator may have it: it is asked about again.
    MaybeTaken,
    /// None has it, and it may be sent for a while yet.
    Untaken,
}

/// How verdicts are recorded.
#[derive(Clone)]
pub(crate) struct Rules {
    operators: Operators,
    /// Operators over HTTP that tell what became of what they took.
    reporting: OperatorSecrets,
}

impl Rules {
    pub(crate) fn new(operators: &Operators, reporting: &OperatorSecrets) -> Self {
        Self { operators: operators.clone(), reporting: reporting.clone() }
    }

    /// Whether nobody asks any more whether an operator has it. Operators that know what comes again are asked until its time is long
    /// over, for that costs nothing; to others each time may be one more message, so that is over with its time, or after a day.
    /// `since_due` is the time since it was accepted, or since its time came.
    pub(crate) fn is_given_up(&self, resumed: Resumed, since_due: Duration, expiry: Option<Expiry>) -> bool {
        let Resumed { age, now } = resumed;
        match (expiry, self.operators.recognise_repetitions()) {
            (Some(expiry), true) => expiry.over_for(now, age) >= GIVEN_UP_AFTER,
            (Some(expiry), false) => expiry.is_over(now, age),
            (None, true) => false,
            (None, false) => since_due >= GIVEN_UP_AFTER,
        }
    }

    /// How long what an operator may have waits at most until it is asked about again: `usually`, or longer where operators do not know
    /// what comes again.
    pub(crate) fn longest_pause(&self, usually: Duration) -> Duration {
        if self.operators.recognise_repetitions() { usually } else { SENT_AGAIN }
    }

    /// Whether no message is sent again that an operator may have, so that a refusal that comes late speaks for it.
    pub(crate) fn sends_once(&self) -> bool {
        self.operators.hold_unknown()
    }

    /// How a verdict is recorded. With a validity nothing fails because operators could not take it now: what a first round left with nobody
    /// waits for another first round, and what an earlier one may have left with somebody is never given back for want of an answer.
    /// Without one the same holds for a while for what waits for room: that operators are busy is not the message's fault.
    pub(crate) fn end_of(
        &self,
        recipient: &ClaimedRecipient,
        verdict: Verdict,
        expiry: Option<Expiry>,
        body: &MessageBody,
    ) -> End {
        let failed = |provider| End::Settled(Settlement::new(recipient, Outcome::Failed { provider }));
        let is_fresh = || age::of(body).is_none_or(|age| age < waits_for_room(body.kind));
        match verdict {
            Verdict::Accepted { operator, ids } => {
                let done = Outcome::Done { provider: operator.to_string() };
                End::Settled(Settlement::new(recipient, done).called(self.called(&operator, ids)))
            }
            Verdict::Rejected { operator, .. } => failed(operator.to_string()),
            Verdict::NeverKnown { .. } => End::Settled(Settlement::new(recipient, Outcome::NeverKnown)),
            Verdict::Waiting { .. } if recipient.resumed.is_none() && (expiry.is_some() || is_fresh()) => End::Untaken,
            Verdict::Waiting { .. } if recipient.resumed.is_none() => failed(String::new()),
            Verdict::Failed { .. } if expiry.is_none() => failed(String::new()),
            Verdict::Failed { .. } if recipient.resumed.is_none() => End::Untaken,
            Verdict::Failed { .. } | Verdict::Waiting { .. } | Verdict::Unknown { .. } => End::MaybeTaken,
        }
    }

    /// What an operator calls the parts that it took. A part without an id cannot be told of.
    pub(crate) fn called(&self, operator: &OperatorName, ids: Vec<Option<ProviderMessageId>>) -> Vec<Called> {
        let reports = self.reporting.has(operator.as_str()) || self.operators.reports(operator);
        let of = u8::try_from(ids.len()).unwrap_or(u8::MAX);
        let parts = (1..=of).filter_map(|number| Part::new(number, of));
        parts.zip(ids).filter_map(|(part, id)| Some(Called { id: id?, reports, part })).collect()
    }
}

/// For so long a message without a validity waits for room at an operator: as long as its validity is in Compose and in the manifests.
fn waits_for_room(kind: MessageType) -> Duration {
    match Lane::of(kind) {
        Lane::Express => Duration::from_mins(2),
        Lane::Normal => Duration::from_hours(1),
    }
}

//! What the unit tests of this crate share.

use std::{sync::Arc, time::Duration};

use domain::{MessageId, MessageType, Recipient};

use crate::{BreakerConfig, OperatorName, OperatorsConfig, Prior, Submission, round::Round};

pub(crate) fn name(text: &str) -> OperatorName {
    OperatorName::parse(text).expect("a valid name")
}

pub(crate) fn submission() -> Submission {
    let message_id = MessageId::try_from("0199-m".to_owned()).expect("valid");
    let recipient = Recipient::try_from("+4915112345".to_owned()).expect("valid");
    Submission::plain(message_id, recipient, "your code is 1234".into(), MessageType::Express)
}

/// A first round of it.
pub(crate) fn round() -> Arc<Round> {
    Round::new(submission(), Prior::First)
}

/// No operators yet, and a breaker that stays closed.
pub(crate) fn patient_config() -> OperatorsConfig {
    OperatorsConfig {
        operators: vec![],
        timeout: Duration::from_secs(2),
        max_retries: 2,
        retry_backoff: Duration::from_millis(200),
        breaker: BreakerConfig { failure_threshold: 100, success_threshold: 1, open_timeout: Duration::from_secs(5) },
    }
}

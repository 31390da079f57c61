//! How an SMSC answers.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer};
use smpp::Status;

use crate::{AnsweredId, InvalidBehaviour, choice, smsc::SmscReceipt};

/// What happens to one `submit_sm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmscMode {
    /// Recorded as accepted at once, answered after the delay.
    Accept {
        /// The wait before the answer; may be zero, or longer than a client waits.
        delay: Duration,
    },
    /// Answered with a status that is no acceptance.
    Status {
        /// Any but [`Status::OK`].
        code: Status,
        /// The wait before the answer; may be zero, or longer than a client waits.
        delay: Duration,
    },
    /// Accepted, never answered.
    Silent,
    /// Accepted, then the connection is closed, once earlier answers are written.
    Cut,
}

impl SmscMode {
    /// Accepted and answered at once.
    pub const ACCEPT: Self = Self::Accept { delay: Duration::ZERO };
    /// `ESME_RTHROTTLED`.
    pub const THROTTLE: Self = Self::refuse(Status::THROTTLED);
    /// `ESME_RMSGQFUL`.
    pub const QUEUE_FULL: Self = Self::refuse(Status::QUEUE_FULL);

    /// Answered at once with this status, which is any but [`Status::OK`].
    pub const fn refuse(code: Status) -> Self {
        Self::Status { code, delay: Duration::ZERO }
    }
}

/// A mode, for all submits or for the first ones of each recipient.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RuleFields")]
pub struct SmscRule {
    /// What happens.
    pub mode: SmscMode,
    /// For how many submits of each recipient, counted since the behaviour was set, after which they are accepted;
    /// `None` is for all.
    pub times: Option<u32>,
    /// What is reported of those accepted, be it after `times`; `None` is what the behaviour says of all.
    pub receipts: Option<Vec<SmscReceipt>>,
}

impl SmscRule {
    /// The same rule, for the first `times` submits of each recipient.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The same rule, with these receipts of what it accepts.
    #[must_use]
    pub fn with_receipts(mut self, receipts: Vec<SmscReceipt>) -> Self {
        self.receipts = Some(receipts);
        self
    }
}

impl From<SmscMode> for SmscRule {
    fn from(mode: SmscMode) -> Self {
        Self { mode, times: None, receipts: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    mode: ModeName,
    #[serde(default, deserialize_with = "status")]
    code: Option<Status>,
    delay_ms: Option<u64>,
    times: Option<u32>,
    receipts: Option<Vec<SmscReceipt>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeName {
    Accept,
    Late,
    Status,
    Throttle,
    QueueFull,
    Silent,
    Cut,
}

impl TryFrom<RuleFields> for SmscRule {
    type Error = InvalidBehaviour;

    fn try_from(fields: RuleFields) -> Result<Self, InvalidBehaviour> {
        let RuleFields { mode, code, delay_ms, times, receipts } = fields;
        let delay = delay_ms.map(Duration::from_millis);
        let mode = match (mode, code, delay) {
            (ModeName::Accept, None, delay) => SmscMode::Accept { delay: delay.unwrap_or_default() },
            (ModeName::Late, None, Some(delay)) => SmscMode::Accept { delay },
            (ModeName::Status, Some(code), delay) if code != Status::OK => {
                SmscMode::Status { code, delay: delay.unwrap_or_default() }
            }
            (ModeName::Throttle, None, None) => SmscMode::THROTTLE,
            (ModeName::QueueFull, None, None) => SmscMode::QUEUE_FULL,
            (ModeName::Silent, None, None) => SmscMode::Silent,
            (ModeName::Cut, None, None) => SmscMode::Cut,
            _ => {
                return Err(InvalidBehaviour(
                    "code, but not 0, belongs to the mode status, delay_ms to accept, late and status",
                ));
            }
        };
        Ok(Self { mode, times, receipts })
    }
}

/// How an SMSC answers: by whole number, else by the longest suffix that fits, else the default. Numbers are as they
/// come in `destination_addr`, mostly without a `+`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmscBehaviour {
    /// For all other recipients.
    pub default: SmscRule,
    /// By the whole number.
    pub recipients: BTreeMap<String, SmscRule>,
    /// By the number's last digits.
    pub suffixes: BTreeMap<String, SmscRule>,
    /// The form of message ids in answers.
    pub ids: AnsweredId,
    /// What is reported of messages accepted under rules that say nothing of receipts.
    pub receipts: Vec<SmscReceipt>,
    /// Most submits that are taken in any second, whatever the rules say; those above are answered `ESME_RTHROTTLED`. 0
    /// is any number.
    pub tps: u32,
    /// Most sessions that are bound at once; one more is refused with `ESME_RALYBND`. `None` is any number.
    pub max_binds: Option<usize>,
    /// The status with which every bind is refused.
    #[serde(deserialize_with = "status")]
    pub refuse_binds: Option<Status>,
    /// Whether `enquire_link` is answered: a frozen SMSC does not.
    pub answers_enquire_link: bool,
    /// How often each session is sent an `enquire_link`.
    #[serde(rename = "enquire_ms", deserialize_with = "milliseconds")]
    pub enquires: Option<Duration>,
}

impl Default for SmscBehaviour {
    /// Accepts everything and reports nothing.
    fn default() -> Self {
        Self::from(SmscMode::ACCEPT)
    }
}

impl From<SmscMode> for SmscBehaviour {
    /// The same for all recipients.
    fn from(mode: SmscMode) -> Self {
        Self::from(SmscRule::from(mode))
    }
}

impl From<SmscRule> for SmscBehaviour {
    /// The same for all recipients.
    fn from(default: SmscRule) -> Self {
        Self {
            default,
            recipients: BTreeMap::new(),
            suffixes: BTreeMap::new(),
            ids: AnsweredId::Hex,
            receipts: Vec::new(),
            tps: 0,
            max_binds: None,
            refuse_binds: None,
            answers_enquire_link: true,
            enquires: None,
        }
    }
}

impl SmscBehaviour {
    /// The same behaviour, but `rule` for the whole number `recipient`.
    #[must_use]
    pub fn with_recipient(mut self, recipient: impl Into<String>, rule: impl Into<SmscRule>) -> Self {
        self.recipients.insert(recipient.into(), rule.into());
        self
    }

    /// The same behaviour, but `rule` for numbers that end in `suffix`.
    #[must_use]
    pub fn with_suffix(mut self, suffix: impl Into<String>, rule: impl Into<SmscRule>) -> Self {
        self.suffixes.insert(suffix.into(), rule.into());
        self
    }

    /// The same behaviour, with receipts of what is accepted under rules that say nothing of them.
    #[must_use]
    pub fn with_receipts(mut self, receipts: Vec<SmscReceipt>) -> Self {
        self.receipts = receipts;
        self
    }

    pub(crate) fn check(&self) -> Result<(), InvalidBehaviour> {
        let mut rules = self.recipients.values().chain(self.suffixes.values()).chain([&self.default]);
        match rules.any(|rule| matches!(rule.mode, SmscMode::Status { code: Status::OK, .. })) {
            true => Err(InvalidBehaviour("the code of mode status must not be that of acceptance")),
            false if self.refuse_binds == Some(Status::OK) => Err(InvalidBehaviour("status 0 refuses no bind")),
            false if self.enquires == Some(Duration::ZERO) => Err(InvalidBehaviour("enquire_ms must be at least 1")),
            false => Ok(()),
        }
    }

    pub(crate) fn rule_for(&self, recipient: &str) -> &SmscRule {
        choice::most_specific(&self.recipients, &self.suffixes, recipient).unwrap_or(&self.default)
    }
}

/// A status by its number or its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum StatusFields {
    Number(u32),
    Name(String),
}

fn status<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Status>, D::Error> {
    Ok(match Option::deserialize(value)? {
        None => None,
        Some(StatusFields::Number(number)) => Some(Status(number)),
        Some(StatusFields::Name(name)) => {
            let mut known = (0..0x200).map(Status);
            let found = known.find(|status| status.name() == name && name.starts_with("ESME_"));
            Some(found.ok_or_else(|| serde::de::Error::custom("a status is a number or a name such as ESME_RSYSERR"))?)
        }
    })
}

fn milliseconds<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
    Ok(Option::deserialize(value)?.map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use smpp::MessageState;

    use super::*;

    fn parse(json: &str) -> Result<SmscBehaviour, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn behaviours_are_written_as_they_are_built() {
        let written = r#"{"default": {"mode": "late", "delay_ms": 5}, "recipients": {"4912": {"mode": "silent"}},
            "suffixes": {"2": {"mode": "cut"},
                         "12": {"mode": "throttle", "times": 2, "receipts": [{"status": "DELIVRD"}]},
                         "3": {"mode": "status", "code": "ESME_RINVDSTADR"}, "4": {"mode": "queue_full"}},
            "ids": "decimal", "receipts": [{"status": 5}], "tps": 7, "max_binds": 1, "refuse_binds": 13,
            "answers_enquire_link": false, "enquire_ms": 50}"#;
        let throttle = SmscRule::from(SmscMode::THROTTLE).times(2);
        let mut built = SmscBehaviour::from(SmscMode::Accept { delay: Duration::from_millis(5) })
            .with_recipient("4912", SmscMode::Silent)
            .with_suffix("2", SmscMode::Cut)
            .with_suffix("12", throttle.with_receipts(vec![SmscReceipt::of(MessageState::Delivered)]))
            .with_suffix("3", SmscMode::refuse(Status::INVALID_DESTINATION))
            .with_suffix("4", SmscMode::QUEUE_FULL)
            .with_receipts(vec![SmscReceipt::of(MessageState::Undeliverable)]);
        built.ids = AnsweredId::Decimal;
        (built.tps, built.max_binds, built.refuse_binds) = (7, Some(1), Some(Status::BIND_FAILED));
        (built.answers_enquire_link, built.enquires) = (false, Some(Duration::from_millis(50)));
        assert_eq!(parse(written).expect("valid"), built);
        assert_eq!(parse("{}").expect("valid"), SmscBehaviour::default());
        assert_eq!(built.rule_for("5512").times, Some(2), "the longest suffix that fits");
        assert_eq!(built.rule_for("4912").mode, SmscMode::Silent);
    }

    #[test]
    fn wrong_behaviours_are_refused() {
        for wrong in [
            r#"{"default": {"mode": "explode"}}"#,
            r#"{"default": {"mode": "status"}}"#,
            r#"{"default": {"mode": "status", "code": 0}}"#,
            r#"{"default": {"mode": "status", "code": "vendor"}}"#,
            r#"{"default": {"mode": "late"}}"#,
            r#"{"default": {"mode": "silent", "code": 8}}"#,
            r#"{"default": {"mode": "accept", "receipts": [{"status": "LOST"}]}}"#,
            r#"{"refuse_binds": "ESME_NONE"}"#,
            r#"{"defaults": {"mode": "accept"}}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
        for wrong in [r#"{"refuse_binds": 0}"#, r#"{"enquire_ms": 0}"#] {
            assert!(parse(wrong).expect("well-formed").check().is_err(), "{wrong} was taken");
        }
        assert!(SmscBehaviour::from(SmscMode::refuse(Status::OK)).check().is_err());
    }
}

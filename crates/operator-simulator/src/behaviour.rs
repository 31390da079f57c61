//! How an operator answers.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use crate::{Receipts, choice};

/// Why a behaviour was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBehaviour(pub(crate) &'static str);

/// What happens to one submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Recorded as accepted at once, answered with 200 after the delay.
    Accept {
        /// The wait before the answer; may be zero.
        delay: Duration,
    },
    /// Answered with a status that is no acceptance, 300 to 599.
    Status {
        /// The status.
        code: u16,
    },
    /// Answered with a status that means "never", 400 to 499.
    Reject {
        /// The status.
        code: u16,
    },
    /// Read, never answered.
    Stall,
    /// Read, then the connection is closed.
    Reset,
    /// Accepted, never answered.
    AcceptThenStall,
    /// Accepted, then the connection is closed.
    AcceptThenReset,
}

impl Mode {
    /// Accepted and answered at once.
    pub const ACCEPT: Self = Self::Accept { delay: Duration::ZERO };

    fn check(self) -> Result<(), InvalidBehaviour> {
        match self {
            Self::Status { code } if !(300..=599).contains(&code) => {
                Err(InvalidBehaviour("the code of mode status must be 300 to 599"))
            }
            Self::Reject { code } if !(400..=499).contains(&code) => {
                Err(InvalidBehaviour("the code of mode reject must be 400 to 499"))
            }
            _ => Ok(()),
        }
    }
}

/// A mode, for all calls or for the first ones of each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RuleFields")]
pub struct Rule {
    /// What happens.
    pub mode: Mode,
    /// For how many calls of each key, counted since the behaviour was set; `None` is for all.
    pub times: Option<u32>,
}

impl Rule {
    /// The mode of a key's call number `call`, counted from 1.
    pub(crate) fn mode_of_call(&self, call: u32) -> Mode {
        match self.times {
            Some(times) if call > times => Mode::ACCEPT,
            _ => self.mode,
        }
    }
}

impl From<Mode> for Rule {
    fn from(mode: Mode) -> Self {
        Self { mode, times: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    mode: ModeName,
    code: Option<u16>,
    delay_ms: Option<u64>,
    times: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeName {
    Accept,
    Status,
    Reject,
    Stall,
    Reset,
    AcceptThenStall,
    AcceptThenReset,
}

impl TryFrom<RuleFields> for Rule {
    type Error = InvalidBehaviour;

    fn try_from(fields: RuleFields) -> Result<Self, InvalidBehaviour> {
        let RuleFields { mode, code, delay_ms, times } = fields;
        let mode = match (mode, code, delay_ms) {
            (ModeName::Accept, None, delay) => Mode::Accept { delay: Duration::from_millis(delay.unwrap_or(0)) },
            (ModeName::Status, Some(code), None) => Mode::Status { code },
            (ModeName::Reject, Some(code), None) => Mode::Reject { code },
            (ModeName::Stall, None, None) => Mode::Stall,
            (ModeName::Reset, None, None) => Mode::Reset,
            (ModeName::AcceptThenStall, None, None) => Mode::AcceptThenStall,
            (ModeName::AcceptThenReset, None, None) => Mode::AcceptThenReset,
            _ => return Err(InvalidBehaviour("code belongs to the modes status and reject, delay_ms to accept")),
        };
        mode.check()?;
        Ok(Self { mode, times })
    }
}

/// How one operator answers: by whole number, else by the longest suffix that fits, else the default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// For all other recipients.
    pub default: Rule,
    /// By the whole number.
    pub recipients: BTreeMap<String, Rule>,
    /// By the number's last digits.
    pub suffixes: BTreeMap<String, Rule>,
    /// Whether a key accepted before is recognised.
    pub dedupe: bool,
    /// What it reports of submissions that it accepted; `None` is nothing.
    pub receipts: Option<Receipts>,
}

impl Default for Behaviour {
    /// Accepts everything and recognises keys.
    fn default() -> Self {
        Self::from(Mode::ACCEPT)
    }
}

impl From<Mode> for Behaviour {
    /// The same for all recipients.
    fn from(mode: Mode) -> Self {
        Self::from(Rule::from(mode))
    }
}

impl From<Rule> for Behaviour {
    /// The same for all recipients.
    fn from(default: Rule) -> Self {
        Self { default, recipients: BTreeMap::new(), suffixes: BTreeMap::new(), dedupe: true, receipts: None }
    }
}

impl Behaviour {
    /// The same behaviour, but `rule` for the whole number `recipient`.
    #[must_use]
    pub fn with_recipient(mut self, recipient: impl Into<String>, rule: impl Into<Rule>) -> Self {
        self.recipients.insert(recipient.into(), rule.into());
        self
    }

    /// The same behaviour, but `rule` for numbers that end in `suffix`.
    #[must_use]
    pub fn with_suffix(mut self, suffix: impl Into<String>, rule: impl Into<Rule>) -> Self {
        self.suffixes.insert(suffix.into(), rule.into());
        self
    }

    /// The same behaviour, with delivery receipts for what it accepts.
    #[must_use]
    pub fn with_receipts(mut self, receipts: Receipts) -> Self {
        self.receipts = Some(receipts);
        self
    }

    pub(crate) fn check(&self) -> Result<(), InvalidBehaviour> {
        let mut rules = self.recipients.values().chain(self.suffixes.values()).chain([&self.default]);
        rules.try_for_each(|rule| rule.mode.check())
    }

    pub(crate) fn rule_for(&self, recipient: &str) -> Rule {
        *choice::most_specific(&self.recipients, &self.suffixes, recipient).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Behaviour, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_most_specific_rule_counts() {
        let behaviour = parse(
            r#"{"default": {"mode": "accept", "delay_ms": 5}, "recipients": {"+4912": {"mode": "stall"}},
                "suffixes": {"2": {"mode": "reset"}, "12": {"mode": "reject", "code": 422, "times": 2}}}"#,
        )
        .expect("valid");
        assert_eq!(behaviour.rule_for("+4912").mode, Mode::Stall);
        assert_eq!(behaviour.rule_for("+5512"), Rule { mode: Mode::Reject { code: 422 }, times: Some(2) });
        assert_eq!(behaviour.rule_for("+5502").mode, Mode::Reset);
        assert_eq!(behaviour.rule_for("+550").mode, Mode::Accept { delay: Duration::from_millis(5) });
        assert!(behaviour.dedupe);
        assert_eq!(parse("{}").expect("valid"), Behaviour::default());
    }

    #[test]
    fn wrong_behaviours_are_refused() {
        for wrong in [
            r#"{"default": {"mode": "explode"}}"#,
            r#"{"default": {"mode": "status"}}"#,
            r#"{"default": {"mode": "status", "code": 200}}"#,
            r#"{"default": {"mode": "reject", "code": 503}}"#,
            r#"{"default": {"mode": "stall", "code": 503}}"#,
            r#"{"default": {"mode": "accept", "delay": 5}}"#,
            r#"{"defaults": {"mode": "accept"}}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
        assert!(Behaviour::from(Mode::Status { code: 204 }).check().is_err());
    }
}

//! What a customer asks to be sent.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{CustomerId, Invalid};

/// Most characters (Unicode scalar values) of one text.
pub const MAX_TEXT_CHARACTERS: usize = 1600;
/// Most recipients of one request.
pub const MAX_RECIPIENTS: usize = 1000;

/// How urgent a message is, and what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// Delivered in turn.
    #[default]
    Normal,
    /// One-time passwords and the like: a lane of its own, never behind normal messages.
    Express,
}

impl MessageType {
    /// Both types, for loops over lanes.
    pub const ALL: [Self; 2] = [Self::Express, Self::Normal];

    /// The name used in bodies, tables and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Express => "express",
        }
    }

    /// `outbox_events.priority` of the type, as in the reference.
    pub fn priority(self) -> i32 {
        match self {
            Self::Normal => 0,
            Self::Express => 10,
        }
    }

    /// Parses a type's name.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == value)
            .ok_or_else(|| Invalid::new("type", "must be normal or express"))
    }
}

/// A phone number: an optional `+` and 3 to 15 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recipient(String);

impl Recipient {
    /// The number as the customer wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Recipient {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        let digits = value.strip_prefix('+').unwrap_or(&value);
        if (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(value))
        } else {
            Err(Invalid::new("recipients", "must each be an optional + and 3 to 15 digits"))
        }
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> String {
        recipient.0
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 1 to 1000 different recipients, in the order given; repeated ones are kept once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Recipient>", into = "Vec<Recipient>")]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Parses raw numbers; the limit counts what the client sent, repeated or not.
    pub fn parse(values: Vec<String>) -> Result<Self, Invalid> {
        Self::check_count(values.len())?;
        let parsed: Result<Vec<_>, _> = values.into_iter().map(Recipient::try_from).collect();
        parsed.map(Self::without_repeats)
    }

    /// The recipients in order.
    pub fn as_slice(&self) -> &[Recipient] {
        &self.0
    }

    /// How many different recipients there are, 1 to 1000.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn check_count(count: usize) -> Result<(), Invalid> {
        if (1..=MAX_RECIPIENTS).contains(&count) {
            Ok(())
        } else {
            Err(Invalid::new("recipients", format!("must hold 1 to {MAX_RECIPIENTS} phone numbers")))
        }
    }

    fn without_repeats(mut recipients: Vec<Recipient>) -> Self {
        let mut seen = HashSet::with_capacity(recipients.len());
        recipients.retain(|recipient| seen.insert(recipient.clone()));
        Self(recipients)
    }
}

impl TryFrom<Vec<Recipient>> for Recipients {
    type Error = Invalid;

    fn try_from(recipients: Vec<Recipient>) -> Result<Self, Invalid> {
        Self::check_count(recipients.len())?;
        Ok(Self::without_repeats(recipients))
    }
}

impl From<Recipients> for Vec<Recipient> {
    fn from(recipients: Recipients) -> Self {
        recipients.0
    }
}

/// What is sent: 1 to 1600 characters, not only white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageText(String);

impl MessageText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MessageText {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        if value.trim().is_empty() || value.chars().count() > MAX_TEXT_CHARACTERS {
            return Err(Invalid::new(
                "text",
                format!("must have 1 to {MAX_TEXT_CHARACTERS} characters and not be blank"),
            ));
        }
        Ok(Self(value))
    }
}

impl From<MessageText> for String {
    fn from(text: MessageText) -> String {
        text.0
    }
}

/// A request to send one text to some recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who pays.
    pub customer: CustomerId,
    /// What is sent.
    pub text: MessageText,
    /// To whom.
    pub recipients: Recipients,
    /// How urgently.
    pub kind: MessageType,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn recipients_are_digits_with_an_optional_plus() {
        for right in ["123", "+123", "123456789012345", "09128582812"] {
            assert!(Recipient::try_from(right.to_owned()).is_ok(), "{right} was refused");
        }
        for wrong in ["", "+", "12", "1234567890123456", "12a", "++123", "123\n", " 123", "١٢٣"] {
            assert!(Recipient::try_from(wrong.to_owned()).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn repeated_recipients_are_kept_once_in_order() {
        let recipients = Recipients::parse(numbers(&["333", "111", "333", "222", "111"])).expect("valid");
        let kept: Vec<_> = recipients.as_slice().iter().map(Recipient::as_str).collect();
        assert_eq!(kept, ["333", "111", "222"]);
    }

    #[test]
    fn the_recipient_limit_counts_what_was_sent() {
        assert!(Recipients::parse(vec![]).is_err());
        assert!(Recipients::parse(vec!["123".to_owned(); 1000]).is_ok());
        assert!(Recipients::parse(vec!["123".to_owned(); 1001]).is_err());
    }

    #[test]
    fn text_is_counted_in_characters() {
        assert!(MessageText::try_from("é".repeat(1600)).is_ok());
        assert!(MessageText::try_from("é".repeat(1601)).is_err());
        assert!(MessageText::try_from(" \t\u{a0}\n".to_owned()).is_err());
    }

    #[test]
    fn types_are_a_closed_set() {
        assert_eq!(MessageType::parse("express"), Ok(MessageType::Express));
        assert!(MessageType::parse("EXPRESS").is_err());
    }

    proptest! {
        #[test]
        fn parsing_numbers_never_panics_and_keeps_what_it_takes(value in ".{0,20}") {
            if let Ok(recipient) = Recipient::try_from(value.clone()) {
                prop_assert_eq!(recipient.as_str(), value);
            }
        }
    }
}

//! What a customer asks to be sent.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{CustomerId, Encoding, Invalid, Sender, invisible::is_invisible};

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

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    /// Parses raw numbers; the limit counts what the client sent, repeated or not. The error tells which one is wrong
    /// by its place and never shows it.
    pub fn parse(values: Vec<String>) -> Result<Self, Invalid> {
        Self::check_count(values.len())?;
        let parse = |(index, value)| {
            Recipient::try_from(value).map_err(|Invalid { field, expected }| {
                Invalid::new(field, format!("{expected}; the one at index {index}, counted from 0, is not"))
            })
        };
        let parsed: Result<Vec<_>, _> = values.into_iter().enumerate().map(parse).collect();
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
            Err(Invalid::new("recipients", format!("must hold 1 to {MAX_RECIPIENTS} phone numbers, not {count}")))
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

/// What is sent: 1 to 1600 characters, one of them visible.
///
/// Only what clients send must show something ([`parse`](Self::parse)). A stored text was accepted and charged, by an
/// earlier release perhaps, which knew fewer blanks: it is read as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageText(String);

impl MessageText {
    /// Parses the text of a request.
    pub fn parse(value: String) -> Result<Self, Invalid> {
        if value.chars().all(is_invisible) { Err(Self::wrong()) } else { Self::try_from(value) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn wrong() -> Invalid {
        Invalid::new("text", format!("must have 1 to {MAX_TEXT_CHARACTERS} characters and not be blank"))
    }
}

impl TryFrom<String> for MessageText {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        if value.trim().is_empty() || value.chars().count() > MAX_TEXT_CHARACTERS {
            return Err(Self::wrong());
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
    /// From whom, if the request says so.
    pub from: Option<Sender>,
    /// How it goes over the air, where the request used a field that asks about it; a plain request leaves that to the operators.
    pub encoding: Option<Encoding>,
}

impl Message {
    /// A request that says no more than what every one says.
    pub fn plain(customer: CustomerId, text: MessageText, recipients: Recipients, kind: MessageType) -> Self {
        Self { customer, text, recipients, kind, from: None, encoding: None }
    }
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
    fn the_error_names_the_place_of_a_wrong_recipient_and_never_the_number() {
        for (index, values) in [(0, ["12x", "123"]), (1, ["123", "9128582812345678"])] {
            let error = Recipients::parse(numbers(&values)).expect_err("refused").to_string();
            assert!(error.contains(&format!("the one at index {index}, counted from 0, is not")), "{error}");
            assert!(!error.contains("12x") && !error.contains("9128582812345678"), "{error}");
        }
        let error = Recipients::parse(vec!["123".to_owned(); 1001]).expect_err("refused").to_string();
        assert_eq!(error, "recipients must hold 1 to 1000 phone numbers, not 1001");
    }

    #[test]
    fn text_is_counted_in_characters() {
        assert!(MessageText::parse("é".repeat(1600)).is_ok());
        assert!(MessageText::parse("é".repeat(1601)).is_err());
        assert!(MessageText::parse(String::new()).is_err());
    }

    #[test]
    fn a_text_of_invisible_characters_is_blank() {
        let blanks = [
            " ",
            " \t\u{a0}\n",
            "\0",
            "\u{1}\u{7f}\u{85}",
            "\u{200b}",
            "\u{200c}\u{200d}",
            "\u{200e}\u{200f}",
            "\u{2060}\u{2061}\u{2062}\u{2063}\u{2064}",
            "\u{feff}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{2800}",
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{180e}",
            "\u{202a}\u{202c}",
            "\u{2066}\u{2069}",
            "\u{fe0f}",
            "\u{e0100}",
            "\u{e0041}\u{e007f}",
            " \u{200b}\u{feff}\0\u{2800}\r\n",
        ];
        for blank in blanks {
            for count in [1, 3, 100] {
                let text = blank.repeat(count);
                assert!(MessageText::parse(text.clone()).is_err(), "{text:?} was taken");
                for visible in ["a", ".", "\u{301}", "😀"] {
                    for text in
                        [format!("{text}{visible}"), format!("{visible}{text}"), format!("{text}{visible}{text}")]
                    {
                        let taken = MessageText::parse(text.clone()).expect("one character is visible");
                        assert_eq!(taken.as_str(), text, "it stays as it is");
                    }
                }
            }
        }
    }

    #[test]
    fn a_stored_text_is_read_though_it_shows_nothing() {
        assert!(MessageText::try_from("\u{200b}".to_owned()).is_ok(), "it was charged under an older rule");
        assert!(MessageText::try_from("  ".to_owned()).is_err());
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

//! From whom a message is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Most characters of a sender that has letters.
const MAX_LETTERS: usize = 11;

/// A sender as recipients see it: 1 to 11 letters, digits and a few signs with at least one letter, or a phone number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sender(String);

impl Sender {
    /// Parses the field `from`.
    pub fn parse(value: String) -> Result<Self, Invalid> {
        Self::parse_as("from", value)
    }

    /// Parses a sender that the client named `field`.
    pub fn parse_as(field: &'static str, value: String) -> Result<Self, Invalid> {
        if is_name(&value) || is_number(&value) {
            return Ok(Self(value));
        }
        let expected = "must be 1 to 11 letters, digits, spaces or &+_-. with at least one letter, or an optional + and 3 \
                        to 15 digits";
        Err(Invalid::new(field, expected))
    }

    /// The sender as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(value: &str) -> bool {
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b" &+_-.".contains(&byte);
    (1..=MAX_LETTERS).contains(&value.len())
        && value.bytes().all(is_taken)
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !value.starts_with(' ')
        && !value.ends_with(' ')
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('+').unwrap_or(value);
    (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl TryFrom<String> for Sender {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        Self::parse(value)
    }
}

impl From<Sender> for String {
    fn from(sender: Sender) -> String {
        sender.0
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_short_names_or_numbers() {
        for right in ["BANK", "a", "My Shop-24.", "A&B+C_D", "12345678901a", "+989128582812", "123", "10008000"] {
            let is_taken = Sender::parse(right.to_owned()).is_ok();
            assert_eq!(is_taken, right.len() <= 11 || right.starts_with('+'), "{right}");
        }
        for wrong in [
            "",
            " BANK",
            "BANK ",
            "BÄNK",
            "BANK!",
            "TwelveLetter",
            "12",
            "+12",
            "1234567890123456",
            "1.2",
            "+",
            "-&-",
            "a\n",
        ] {
            let error = Sender::parse(wrong.to_owned()).expect_err(wrong).to_string();
            assert!(error.starts_with("from must be 1 to 11 letters, digits, spaces or &+_-. with at least one letter, or an optional + and 3 to 15 digits"), "{error}");
        }
        assert_eq!(Sender::parse_as("sender", String::new()).expect_err("empty").field, "sender");
    }
}

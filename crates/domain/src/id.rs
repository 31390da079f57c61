//! Identifiers, one type each, so that none can be passed in place of another.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Invalid;

/// Longest identifier the tables hold (`VARCHAR(50)` in the reference's schema).
pub const MAX_IDENTIFIER_LENGTH: usize = 50;

/// A business that sends messages and owns a balance: 1 to 2^63-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct CustomerId(i64);

impl CustomerId {
    /// The id as the database stores it.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Parses an id that the client named `field`.
    pub fn parse(field: &'static str, value: i64) -> Result<Self, Invalid> {
        Self::named(field, value)
    }

    fn named(field: &'static str, value: i64) -> Result<Self, Invalid> {
        if value < 1 {
            return Err(Invalid::new(field, format!("must be a whole number from 1 to {}", i64::MAX)));
        }
        Ok(Self(value))
    }
}

impl TryFrom<i64> for CustomerId {
    type Error = Invalid;

    fn try_from(value: i64) -> Result<Self, Invalid> {
        Self::named("customer_id", value)
    }
}

impl From<CustomerId> for i64 {
    fn from(id: CustomerId) -> i64 {
        id.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Defines an identifier stored as text: new ones are UUIDv7 (index locality), older rows may hold any
/// short visible ASCII string.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new identifier from a fresh UUIDv7.
            pub fn from_uuid(id: Uuid) -> Self {
                Self(id.hyphenated().to_string())
            }

            /// The identifier as it stands in tables and bodies.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(value: String) -> Result<Self, Invalid> {
                let length_is_right = (1..=MAX_IDENTIFIER_LENGTH).contains(&value.len());
                if length_is_right && value.bytes().all(|byte| byte.is_ascii_graphic()) {
                    Ok(Self(value))
                } else {
                    Err(Invalid::new($field, format!("must be 1 to {MAX_IDENTIFIER_LENGTH} visible ASCII characters")))
                }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id! {
    /// One accepted request: its recipients share it (`message_identifier`).
    MessageId, "message_identifier"
}

impl MessageId {
    /// When it was made, as time since 1970 on its maker's clock; `None` of one that is no UUIDv7.
    pub fn made_at(&self) -> Option<Duration> {
        let made = Uuid::parse_str(&self.0).ok().filter(|id| id.get_version_num() == 7)?.get_timestamp()?;
        let (seconds, nanos) = made.to_unix();
        Some(Duration::new(seconds, nanos))
    }
}

text_id! {
    /// One entry of the ledger (`user_transactions.transaction_id`).
    TransactionId, "transaction_id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_message_says_when_it_was_made() {
        let made = |id: &str| MessageId::try_from(id.to_owned()).expect("an id").made_at();
        assert_eq!(made("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), Some(Duration::from_secs(1_645_557_742)));
        assert_eq!(made("4f3c1a52-93c7-4c47-8c09-3a6b0a7e9f10"), None, "a random one");
        assert_eq!(made("order-4711"), None);
    }

    #[test]
    fn customer_ids_start_at_one() {
        assert!(CustomerId::try_from(0).is_err());
        assert!(CustomerId::try_from(-1).is_err());
        assert_eq!(CustomerId::try_from(i64::MAX).map(CustomerId::get), Ok(i64::MAX));
    }

    #[test]
    fn text_ids_are_short_visible_ascii() {
        for wrong in [String::new(), "a b".into(), "é".into(), "x".repeat(51), "a\n".into()] {
            assert!(MessageId::try_from(wrong.clone()).is_err(), "{wrong:?} was taken");
        }
        assert!(MessageId::try_from("x".repeat(50)).is_ok());
        assert_eq!(MessageId::from_uuid(Uuid::nil()).as_str().len(), 36);
    }
}

//! The client's own name for a message.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Longest reference, in characters.
pub const MAX_REFERENCE_LENGTH: usize = 64;

/// What a client calls its message: 1 to 64 visible ASCII characters, not unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientReference(String);

impl ClientReference {
    /// Parses the field `client_reference`.
    pub fn parse(value: String) -> Result<Self, Invalid> {
        if (1..=MAX_REFERENCE_LENGTH).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(value));
        }
        Err(Invalid::new("client_reference", format!("must be 1 to {MAX_REFERENCE_LENGTH} visible ASCII characters")))
    }

    /// The reference as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientReference {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        Self::parse(value)
    }
}

impl From<ClientReference> for String {
    fn from(reference: ClientReference) -> String {
        reference.0
    }
}

impl fmt::Display for ClientReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_short_visible_ascii() {
        assert!(ClientReference::parse("order-4711".to_owned()).is_ok());
        assert!(ClientReference::parse("!".repeat(64)).is_ok());
        for wrong in [String::new(), "a b".into(), "é".into(), "a\n".into(), "x".repeat(65)] {
            let error = ClientReference::parse(wrong).expect_err("refused").to_string();
            assert_eq!(error, "client_reference must be 1 to 64 visible ASCII characters");
        }
    }
}

//! The client's key that makes a retried request harmless.

use crate::Invalid;

/// Longest key, in characters.
pub const MAX_KEY_LENGTH: usize = 255;

/// Value of the `Idempotency-Key` header: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses the header's bytes.
    pub fn parse(value: &[u8]) -> Result<Self, Invalid> {
        let length_is_right = (1..=MAX_KEY_LENGTH).contains(&value.len());
        if length_is_right && value.iter().all(u8::is_ascii_graphic) {
            Ok(Self(value.iter().copied().map(char::from).collect()))
        } else {
            Err(Invalid::new("Idempotency-Key", format!("must be 1 to {MAX_KEY_LENGTH} visible ASCII characters")))
        }
    }

    /// The key as the client sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_visible_ascii() {
        assert!(IdempotencyKey::parse(b"").is_err());
        assert!(IdempotencyKey::parse(b"two words").is_err());
        assert!(IdempotencyKey::parse("é".as_bytes()).is_err());
        assert!(IdempotencyKey::parse(&[b'a'; 256]).is_err());
        assert!(IdempotencyKey::parse(&[b'a'; 255]).is_ok());
    }
}

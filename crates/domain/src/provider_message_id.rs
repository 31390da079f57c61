//! What an operator calls a message that it took.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest id that is kept as it was given, in bytes.
pub const MAX_GIVEN: usize = 255;
/// Longest id that is compared as it is, in characters; of longer ones a digest is.
const MAX_COMPARED: usize = 64;
/// Hexadecimal digits of that digest.
const DIGEST_LENGTH: usize = 31;

/// An operator's id for a message: 1 to 255 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMessageId(String);

impl ProviderMessageId {
    /// The id in an operator's answer; `None` where it is no id that can be kept.
    pub fn parse(given: &str) -> Option<Self> {
        let given = given.trim_matches(|character: char| character.is_whitespace() || character == '\0');
        let is_kept = (1..=MAX_GIVEN).contains(&given.len()) && !given.contains(char::is_control);
        is_kept.then(|| Self(given.to_owned()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As ids are compared: small letters, and no zeros before the rest. Operators write the same id in one way when they take a
    /// message and in another when they report of it (jookies/jasmin issues 366, 408, 423, 643 and 1129). Visible ASCII of at
    /// most 64 characters: others are `#` and a part of their SHA-256.
    pub fn normalised(&self) -> String {
        let lower = self.0.to_lowercase();
        let stripped = lower.trim_start_matches('0');
        let normalised = if stripped.is_empty() { "0" } else { stripped };
        if normalised.len() <= MAX_COMPARED && normalised.bytes().all(|byte| byte.is_ascii_graphic()) {
            return normalised.to_owned();
        }
        let mut digest = "#".to_owned();
        for byte in Sha256::digest(normalised) {
            write!(digest, "{byte:02x}").expect("writing to a string cannot fail");
        }
        digest.truncate(1 + DIGEST_LENGTH);
        digest
    }
}

/// How the id in a receipt is the id in the operator's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdMatch {
    /// It is the same.
    Same,
    /// The answer had it in hexadecimal digits, the receipt in decimal ones.
    HexDec,
    /// The other way round.
    DecHex,
}

impl IdMatch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Same, Self::HexDec, Self::DecHex];

    /// The name used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::HexDec => "hex_dec",
            Self::DecHex => "dec_hex",
        }
    }
}

/// Longest id that may be a number, in hexadecimal digits.
const MAX_NUMBER: usize = 16;

/// What else a normalised id may have been in the operator's answer, or in a receipt: the same number in the other digits (Vonage answers
/// in hexadecimal ones and reports in decimal ones; jookies/jasmin issues 210, 535 and 1034).
pub fn other_digits(normalised: &str) -> Vec<(IdMatch, String)> {
    if normalised.len() > MAX_NUMBER {
        return Vec::new();
    }
    let in_hex = normalised.parse::<u64>().ok().map(|number| (IdMatch::HexDec, format!("{number:x}")));
    let in_decimal = u64::from_str_radix(normalised, 16).ok().map(|number| (IdMatch::DecHex, number.to_string()));
    // Both parsers take a sign.
    let is_number = normalised.bytes().all(|byte| byte.is_ascii_hexdigit());
    let others = in_hex.into_iter().chain(in_decimal).filter(|(_, other)| is_number && other != normalised);
    others.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_written_in_other_digits() {
        let others = |id: &str| {
            other_digits(id).into_iter().map(|(how, other)| format!("{} {other}", how.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(others("439041048"), ["hex_dec 1a2b3c18", "dec_hex 18136436808"]);
        assert_eq!(others("1a2b3c18"), ["dec_hex 439041048"]);
        assert_eq!(others("ffffffffffffffff"), ["dec_hex 18446744073709551615"]);
        for none in ["7", "x-1", "+12", "-5", "", "0123456789abcdef0", "0199f2b4-5d0e"] {
            assert_eq!(others(none), Vec::<String>::new(), "{none}");
        }
    }

    fn normalised(given: &str) -> String {
        ProviderMessageId::parse(given).expect("an id").normalised()
    }

    #[test]
    fn ids_are_compared_in_one_form() {
        for (given, compared) in [
            ("X-1", "x-1"),
            ("000439041048", "439041048"),
            ("0", "0"),
            ("000", "0"),
            (" 0A1b\0", "a1b"),
            ("0199F2B4-5D0E-7CC0-8F6E-2F1B0C9A7D11", "199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11"),
        ] {
            assert_eq!(normalised(given), compared, "{given:?}");
        }
    }

    #[test]
    fn what_is_long_or_no_visible_ascii_is_a_digest() {
        assert_eq!(normalised(&"a".repeat(64)), "a".repeat(64));
        for odd in ["a".repeat(65), "a b".to_owned(), "é".to_owned()] {
            let digest = normalised(&odd);
            assert!(digest.len() == 32 && digest.starts_with('#'), "{odd}: {digest}");
            assert_eq!(digest, normalised(&format!("00{}", odd.to_uppercase())));
        }
    }

    #[test]
    fn what_is_no_id_is_none() {
        for wrong in ["", "  ", "\0", "a\nb", &"x".repeat(256)] {
            assert_eq!(ProviderMessageId::parse(wrong), None, "{wrong:?}");
        }
    }
}

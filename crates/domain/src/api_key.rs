//! API keys: what a client shows to say who it is, and what is kept of one.
//!
//! `<prefix><32 characters of base 62 from the system's randomness><6 characters of base 62: CRC-32 of all before>`. The prefix lets
//! people and scanners see what it is, and the checksum lets garbage be told from a key without a look at the database. Both are as in
//! GitHub's tokens (github.blog, 2021-04-05, "Behind GitHub's new authentication token formats").

use std::fmt;

use rand::{CryptoRng, RngExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The digits of base 62.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX_LENGTH: usize = 4;
const RANDOM_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;
/// Characters of a key.
pub const KEY_LENGTH: usize = PREFIX_LENGTH + RANDOM_LENGTH + CHECKSUM_LENGTH;
/// Characters at a key's end by which people tell their keys apart.
const HINT_LENGTH: usize = 4;

/// Whose keys begin how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Of one customer: `mpk_`.
    Tenant,
    /// Of those who run the platform: `mpa_`.
    Platform,
    /// Of an operator that sends receipts and cannot sign them: `mpr_`. It allows nothing else.
    Receipt,
}

impl KeyKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Tenant, Self::Platform, Self::Receipt];

    /// What keys of this kind begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Tenant => "mpk_",
            Self::Platform => "mpa_",
            Self::Receipt => "mpr_",
        }
    }
}

/// A key in full. It is shown once, to whom it is made for, and never stored or logged.
#[derive(Clone)]
pub struct ApiKey {
    kind: KeyKind,
    text: SecretString,
}

impl ApiKey {
    /// A new key; `random` must be the system's, for nothing else protects the key.
    pub fn generate(kind: KeyKind, random: &mut impl CryptoRng) -> Self {
        let mut text = kind.prefix().to_owned();
        // 62^32: 190.5 bits.
        text.extend((0..RANDOM_LENGTH).map(|_| char::from(DIGITS[random.random_range(0..DIGITS.len())])));
        text.push_str(&checksum(&text));
        Self { kind, text: text.into() }
    }

    /// The key, where `text` has the form of one and its checksum is right.
    pub fn parse(text: &str) -> Option<Self> {
        let kind = KeyKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
        let is_formed = text.len() == KEY_LENGTH && text.bytes().skip(PREFIX_LENGTH).all(|byte| DIGITS.contains(&byte));
        if !is_formed {
            return None;
        }
        let (body, sum) = text.split_at(KEY_LENGTH - CHECKSUM_LENGTH);
        (checksum(body) == sum).then(|| Self { kind, text: text.into() })
    }

    /// Whose it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What is stored in place of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.text.expose_secret()).into())
    }

    /// Its last four characters.
    pub fn hint(&self) -> &str {
        &self.text.expose_secret()[KEY_LENGTH - HINT_LENGTH..]
    }

    /// The key itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for ApiKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// CRC-32 (IEEE) in base 62, with zeros before it.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % DIGITS.len()];
        rest /= DIGITS.len();
    }
    digits.iter().copied().map(char::from).collect()
}

/// SHA-256 of a key. No salt and no slow hash: 190 bits cannot be guessed, and a slow one would let strangers use up our processors.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The bytes as they are stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    /// Nothing of it: logs name keys by their ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const TENANT: &str = "mpk_0123456789abcdefghijABCDEFGHIJ011PgylC";

    fn hex(hash: &KeyHash) -> String {
        let digits: Vec<_> = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat()
    }

    /// Made with Python's `zlib.crc32` and `hashlib`.
    #[test]
    fn keys_are_formed_as_others_form_them() {
        let key = ApiKey::parse(TENANT).expect("a key");
        assert_eq!((key.kind(), key.hint()), (KeyKind::Tenant, "gylC"));
        let hash = hex(&key.hash());
        assert!(hash.starts_with("e354b01f") && hash.ends_with("3bd7"), "{hash}");
        let platform = format!("mpa_{}16kT6G", "Z".repeat(32));
        assert_eq!(ApiKey::parse(&platform).expect("a key").kind(), KeyKind::Platform);
    }

    #[test]
    fn what_is_no_key_is_told_without_a_look_at_the_database() {
        for wrong in [
            "",
            "mpk_",
            "mpr_0123456789abcdefghijABCDEFGHIJ011PgylC",
            "mpa_0123456789abcdefghijABCDEFGHIJ011PgylC",
            "MPK_0123456789abcdefghijABCDEFGHIJ011PgylC",
            "mpk_0123456789abcdefghijABCDEFGHIJ011PgylD",
            "mpk_1123456789abcdefghijABCDEFGHIJ011PgylC",
            "mpk_0123456789abcdefghijABCDEFGHIJ011PgylC ",
            "mpk_0123456789abcdefghijABCDEFGHIJ01PgylC",
            "mpk_0123456789abcdefghijABCDEFGHI-011PgylC",
            "mpk_0123456789abcdefghijABCDEFGHIé11PgylC",
        ] {
            assert!(ApiKey::parse(wrong).is_none(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn no_output_shows_a_key_or_its_hash() {
        let key = ApiKey::parse(TENANT).expect("a key");
        let shown = format!("{key:?} {:?}", key.hash());
        assert!(!shown.contains("0123") && !shown.contains("gylC") && !shown.contains("227"), "{shown}");
    }

    #[test]
    fn hashes_are_compared_whole() {
        let key = ApiKey::parse(TENANT).expect("a key").hash();
        let mut other = key;
        other.0[31] ^= 1;
        assert!(key.is(&key) && !key.is(&other));
    }

    proptest! {
        #[test]
        fn new_keys_are_read_back(seed: u64) {
            for kind in KeyKind::ALL {
                let mut random = StdRng::seed_from_u64(seed);
                let key = ApiKey::generate(kind, &mut random);
                let again = ApiKey::parse(key.expose()).expect("well-formed");
                prop_assert_eq!((again.kind(), again.hash()), (kind, key.hash()));
                let next = ApiKey::generate(kind, &mut random);
                prop_assert_ne!(next.expose(), key.expose());
            }
        }
    }
}

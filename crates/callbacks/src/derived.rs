//! The secrets of customers' endpoints. They are stored nowhere: each is made from the platform's master key and the endpoint's name, so
//! a copy of the database holds none.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::signing::Secret;

/// Characters that a master key has at least.
const MIN_MASTER_KEY: usize = 32;

/// What secrets are made from: a text of at least 32 characters, taken as it is. Base64 or hexadecimal digits of 32 random bytes will do.
#[derive(Debug, Clone)]
pub struct MasterKey(SecretString);

impl MasterKey {
    /// The key of this text; `None` where it is too short or has white space, which would be a mistake of a file.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = text.chars().count() >= MIN_MASTER_KEY && !text.contains(char::is_whitespace);
        is_one.then(|| Self(SecretString::from(text)))
    }

    /// `HMAC-SHA256(key, "<endpoint>:<version>")`.
    fn secret(&self, endpoint: &str, version: u32) -> Secret {
        let key = self.0.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(format!("{endpoint}:{version}").as_bytes());
        Secret::from_bytes(mac.finalize().into_bytes().to_vec()).expect("a secret may have 32 bytes")
    }
}

/// The master key, and the one before it while customers change over.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    /// That of the secrets that customers are shown.
    pub current: MasterKey,
    /// Its secrets sign too.
    pub previous: Option<MasterKey>,
}

impl MasterKeys {
    /// The secret of an endpoint, as its customer is shown it.
    pub fn secret(&self, endpoint: &str, version: u32) -> Secret {
        self.current.secret(endpoint, version)
    }

    /// All secrets that sign for an endpoint, the current one first; `with_previous` while the version before is still good.
    pub fn signing(&self, endpoint: &str, version: u32, with_previous: bool) -> Vec<Secret> {
        let before = version.checked_sub(1).filter(|_| with_previous);
        let versions: Vec<u32> = [version].into_iter().chain(before).collect();
        let keys = [&self.current].into_iter().chain(&self.previous);
        keys.flat_map(|key| versions.iter().map(|version| key.secret(endpoint, *version))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "whsec_Co6Y53Joiw/WZYUZF3l5czeRD01wwiFsaFiTAA3mGN8=";

    fn key(text: &str) -> MasterKey {
        MasterKey::parse(&text.repeat(32)).expect("a key")
    }

    #[test]
    fn a_secret_belongs_to_one_endpoint_version_and_key() {
        let keys = MasterKeys { current: key("a"), previous: None };
        // What Python's hmac made of these.
        assert_eq!(keys.secret("ep_1", 1).expose(), EXPECTED);
        for other in [keys.secret("ep_1", 2), keys.secret("ep_2", 1), key("b").secret("ep_1", 1)] {
            assert_ne!(other.expose(), EXPECTED);
        }
    }

    #[test]
    fn while_something_changes_all_that_is_good_signs() {
        let keys = MasterKeys { current: key("a"), previous: None };
        let exposed = |secrets: Vec<Secret>| secrets.iter().map(Secret::expose).collect::<Vec<_>>();
        assert_eq!(exposed(keys.signing("ep_1", 2, false)), [keys.secret("ep_1", 2).expose()]);
        let both = [keys.secret("ep_1", 2).expose(), keys.secret("ep_1", 1).expose()];
        assert_eq!(exposed(keys.signing("ep_1", 2, true)), both);
        let changing = MasterKeys { previous: Some(key("b")), ..keys };
        let of_b = |version| key("b").secret("ep_1", version).expose();
        assert_eq!(exposed(changing.signing("ep_1", 2, true)), [&both[..], &[of_b(2), of_b(1)]].concat());
    }

    #[test]
    fn a_key_is_long_and_shown_to_nobody() {
        for wrong in ["", &"x".repeat(31), &format!("{}\n", "x".repeat(32))] {
            assert!(MasterKey::parse(wrong).is_none(), "{wrong:?}");
        }
        assert!(!format!("{:?}", key("secret")).contains("secretsecret"));
    }
}

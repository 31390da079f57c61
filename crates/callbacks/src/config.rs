//! What whoever runs the platform says of callbacks: the same for those that send them and those that register where they go.

use secrecy::{ExposeSecret as _, SecretString};
use settings::{SettingError, Source};

use crate::{
    addresses::Allowed,
    derived::{MasterKey, MasterKeys},
};

const KEY: &str = "CALLBACK_MASTER_KEY";
const PREVIOUS_KEY: &str = "CALLBACK_MASTER_KEY_PREVIOUS";
const ACCEPTED_KEY: &str = "at least 32 characters without white space, such as the base64 of 32 random bytes";
const ACCEPTED_NETS: &str = "networks such as 10.0.0.0/8,fd00::/8, separated by commas";

/// How callbacks are signed, and where they may go.
#[derive(Debug, Clone)]
pub struct CallbackConfig {
    /// `CALLBACK_MASTER_KEY` (none) and `CALLBACK_MASTER_KEY_PREVIOUS` (none): what the secrets of endpoints are made from. Without it
    /// nothing is sent and no endpoint can be made.
    pub keys: Option<MasterKeys>,
    /// `CALLBACK_ALLOW_HTTP` (false): whether a URL may be http.
    pub allow_http: bool,
    /// `CALLBACK_ALLOW_NETS` (none): networks besides the public ones to which callbacks may go.
    pub allowed: Allowed,
}

impl CallbackConfig {
    /// Reads the section.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted; a previous key without a current one.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let (current, previous) = (key(source, KEY)?, key(source, PREVIOUS_KEY)?);
        if current.is_none() && previous.is_some() {
            return Err(SettingError::because(PREVIOUS_KEY, format!("it needs {KEY} beside it")));
        }
        Ok(Self {
            keys: current.map(|current| MasterKeys { current, previous }),
            allow_http: source.boolean("CALLBACK_ALLOW_HTTP", false)?,
            allowed: source
                .parsed_with("CALLBACK_ALLOW_NETS", ACCEPTED_NETS, |nets| nets.parse().ok())?
                .unwrap_or_default(),
        })
    }
}

fn key(source: &Source, name: &'static str) -> Result<Option<MasterKey>, SettingError> {
    let read = |text: SecretString| {
        MasterKey::parse(text.expose_secret()).ok_or_else(|| SettingError::hidden(name, ACCEPTED_KEY))
    };
    source.secret(name).map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<CallbackConfig, SettingError> {
        CallbackConfig::load(&Source::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn without_anything_said_nothing_is_signed_and_only_the_public_is_reached() {
        let config = load(&[]).expect("accepted");
        assert!(config.keys.is_none() && !config.allow_http);
        assert!(config.allowed.check("10.0.0.1".parse().expect("an address")).is_err());
    }

    #[test]
    fn a_wrong_key_is_not_shown() {
        let long = "x".repeat(32);
        assert!(load(&[(KEY, &long), (PREVIOUS_KEY, &long)]).expect("accepted").keys.is_some());
        let error = load(&[(KEY, "short-secret")]).expect_err("refused").to_string();
        assert!(error.contains(KEY) && !error.contains("short-secret"), "{error}");
        assert!(load(&[(PREVIOUS_KEY, &long)]).is_err(), "of what it is the previous one is not said");
        assert!(load(&[("CALLBACK_ALLOW_NETS", "10.0.0.1/8")]).is_err());
    }
}

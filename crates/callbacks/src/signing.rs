//! Signatures as Standard Webhooks 1.0.0 has them: `v1,<base64 of HMAC-SHA256(secret, "{id}.{timestamp}.{body}")>`, several of them
//! separated by spaces while several secrets are valid.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// The header with the id of the event: the same for each of its attempts.
pub const WEBHOOK_ID: &str = "webhook-id";
/// The header with the time of the attempt, in whole seconds since 1970.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// How far a timestamp may be from the receiver's clock, as the libraries of Standard Webhooks have it.
pub const TOLERANCE: Duration = Duration::from_mins(5);

const PREFIX: &str = "whsec_";
/// Bytes that a secret may have (Standard Webhooks, "Signature scheme").
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Longest id of an event that is looked at.
const MAX_ID: usize = 255;
/// Signatures that are compared at most: as many secrets as may be valid at once, with some to spare.
const MAX_SIGNATURES: usize = 8;

/// A secret that both sides know. `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// The secret in its written form; `None` where it has no such form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        Self::from_bytes(bytes)
    }

    /// A secret of these bytes; `None` where they are too few or too many.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        SECRET_BYTES.contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// The written form, for whoever is to hold it.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0.expose_secret()))
    }

    fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes keys of any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(whsec_[hidden])")
    }
}

/// The value of [`WEBHOOK_SIGNATURE`] for an event that is sent at `timestamp` (seconds since 1970): one signature for each secret.
pub fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let timestamp = timestamp.to_string();
    let signed = |secret: &Secret| format!("v1,{}", STANDARD.encode(secret.signature(id, &timestamp, body)));
    secrets.iter().map(signed).collect::<Vec<_>>().join(" ")
}

/// What a request says of its signature.
#[derive(Debug, Clone, Copy)]
pub struct SignatureHeaders<'a> {
    /// [`WEBHOOK_ID`].
    pub id: &'a str,
    /// [`WEBHOOK_TIMESTAMP`].
    pub timestamp: &'a str,
    /// [`WEBHOOK_SIGNATURE`].
    pub signatures: &'a str,
}

/// Why a signature was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header has no such form.
    #[error("{WEBHOOK_ID}, {WEBHOOK_TIMESTAMP} and {WEBHOOK_SIGNATURE} are not those of Standard Webhooks")]
    Malformed,
    /// It was signed too long ago, or lies ahead.
    #[error("{WEBHOOK_TIMESTAMP} is more than {} seconds from this clock", TOLERANCE.as_secs())]
    Stale,
    /// None of the signatures is one of this body with this secret.
    #[error("no signature is that of this body")]
    Forged,
}

impl SignatureHeaders<'_> {
    /// Whether one of the signatures is that of `body` with `secret`, made within [`TOLERANCE`] of `now` (seconds since 1970).
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify(&self, secret: &Secret, now: i64, body: &[u8]) -> Result<(), Rejection> {
        let is_formed =
            (1..=MAX_ID).contains(&self.id.len()) && self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let timestamp: Option<i64> = self.timestamp.parse().ok();
        let Some(timestamp) = timestamp.filter(|_| is_formed) else { return Err(Rejection::Malformed) };
        if now.abs_diff(timestamp) > TOLERANCE.as_secs() {
            return Err(Rejection::Stale);
        }
        let expected = secret.signature(self.id, self.timestamp, body);
        let is_expected = |signature: &str| {
            let given = signature.strip_prefix("v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
            given.is_some_and(|given| bool::from(given.as_slice().ct_eq(&expected)))
        };
        let mut signatures = self.signatures.split(' ').filter(|signature| !signature.is_empty());
        if signatures.by_ref().take(MAX_SIGNATURES).any(is_expected) { Ok(()) } else { Err(Rejection::Forged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What npm and PyPI `standardwebhooks` made of these.
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const BODY: &[u8] = br#"{"type":"message.delivered"}"#;
    const SIGNATURE: &str = "v1,YshH8nNawUVyHCzuTie5/KrFpJghinuajbazDbeS/4k=";
    const NOW: i64 = 1_700_000_000;

    fn secret() -> Secret {
        Secret::parse(SECRET).expect("a secret")
    }

    fn verify(id: &str, timestamp: &str, signatures: &str, now: i64, body: &[u8]) -> Result<(), Rejection> {
        SignatureHeaders { id, timestamp, signatures }.verify(&secret(), now, body)
    }

    #[test]
    fn a_signature_is_that_of_other_libraries() {
        assert_eq!(sign(&[secret()], "evt_01", NOW, BODY), SIGNATURE);
        assert_eq!(verify("evt_01", "1700000000", SIGNATURE, NOW, BODY), Ok(()));
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let other = Secret::from_bytes(vec![7; 24]).expect("a secret");
        let both = sign(&[other.clone(), secret()], "evt_01", NOW, BODY);
        assert_eq!(both.split(' ').count(), 2);
        assert_eq!(verify("evt_01", "1700000000", &both, NOW, BODY), Ok(()));
        let foreign = sign(&[other], "evt_01", NOW, BODY);
        assert_eq!(verify("evt_01", "1700000000", &foreign, NOW, BODY), Err(Rejection::Forged));
        let asymmetric = format!("v1a,xyz {SIGNATURE}");
        assert_eq!(verify("evt_01", "1700000000", &asymmetric, NOW, BODY), Ok(()), "of other kinds none is looked at");
    }

    #[test]
    fn what_differs_in_anything_is_refused() {
        let forged = Err(Rejection::Forged);
        assert_eq!(verify("evt_02", "1700000000", SIGNATURE, NOW, BODY), forged);
        assert_eq!(verify("evt_01", "1700000001", SIGNATURE, NOW, BODY), forged);
        assert_eq!(verify("evt_01", "1700000000", SIGNATURE, NOW, b"{}"), forged);
        for wrong in ["", "v1,", "v1", SIGNATURE.trim_start_matches("v1,"), &SIGNATURE[..20]] {
            assert_eq!(verify("evt_01", "1700000000", wrong, NOW, BODY), forged, "{wrong}");
        }
        for odd in ["", "x", "-1700000000", "1700000000.0", "99999999999999999999"] {
            assert_eq!(verify("evt_01", odd, SIGNATURE, NOW, BODY), Err(Rejection::Malformed), "{odd}");
        }
        assert_eq!(verify("", "1700000000", SIGNATURE, NOW, BODY), Err(Rejection::Malformed));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_both_ways() {
        for (seconds, expected) in
            [(300, Ok(())), (-300, Ok(())), (301, Err(Rejection::Stale)), (-301, Err(Rejection::Stale))]
        {
            assert_eq!(verify("evt_01", "1700000000", SIGNATURE, NOW + seconds, BODY), expected, "{seconds}");
        }
        assert_eq!(verify("evt_01", "1700000000", SIGNATURE, i64::MIN, BODY), Err(Rejection::Stale));
    }

    #[test]
    fn a_secret_is_written_as_it_was_read_and_shown_to_nobody() {
        assert_eq!(secret().expose(), SECRET);
        assert_eq!(format!("{:?}", secret()), "Secret(whsec_[hidden])");
        for wrong in ["", "whsec_", "whsec_AAEC", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_%%%"] {
            assert!(Secret::parse(wrong).is_none(), "{wrong}");
        }
        assert!(Secret::from_bytes(vec![0; 65]).is_none() && Secret::from_bytes(vec![0; 64]).is_some());
    }
}

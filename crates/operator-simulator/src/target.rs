//! Where receipts go, and how they show whom they are from.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{
    Client, RequestBuilder, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use sha2::Sha256;

use crate::{InvalidBehaviour, clock};

/// What secrets that sign begin with.
const SIGNING: &str = "whsec_";

/// Where receipts are posted, and with what.
#[derive(Debug)]
pub(crate) struct Target {
    url: Url,
    proof: Proof,
}

/// How a post shows whom it is from.
enum Proof {
    /// A value of `Authorization`.
    Bearer(HeaderValue),
    /// The key of a signature as Standard Webhooks has it.
    Signature(Vec<u8>),
}

impl Target {
    /// The target that `to` and `secret` of a behaviour name.
    pub(crate) fn parse(to: &str, secret: &str) -> Result<Self, InvalidBehaviour> {
        let url = Url::parse(to).ok().filter(|url| url.scheme() == "http");
        let url = url.ok_or(InvalidBehaviour("receipts are posted to an http:// URL"))?;
        Ok(Self { url, proof: Proof::parse(secret)? })
    }

    /// A post of `body`; `id` tells it from all others, but not from its own repetitions.
    pub(crate) fn request(&self, client: &Client, id: &str, body: String) -> RequestBuilder {
        let request = client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = match &self.proof {
            Proof::Bearer(value) => request.header(AUTHORIZATION, value.clone()),
            Proof::Signature(key) => {
                let timestamp = clock::now_ms() / 1000;
                let signature = sign(key, id, timestamp, &body);
                request
                    .header("webhook-id", id)
                    .header("webhook-timestamp", timestamp)
                    .header("webhook-signature", signature)
            }
        };
        request.body(body)
    }
}

impl Proof {
    fn parse(secret: &str) -> Result<Self, InvalidBehaviour> {
        if let Some(encoded) = secret.strip_prefix(SIGNING) {
            let key = STANDARD.decode(encoded).ok().filter(|key| !key.is_empty());
            return key.map(Self::Signature).ok_or(InvalidBehaviour("a secret goes on in base64 after whsec_"));
        }
        let is_token = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
        let value = HeaderValue::try_from(format!("Bearer {secret}")).ok().filter(|_| is_token);
        let mut value = value.ok_or(InvalidBehaviour("a secret is one word of visible ASCII"))?;
        value.set_sensitive(true);
        Ok(Self::Bearer(value))
    }
}

impl fmt::Debug for Proof {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer([hidden])",
            Self::Signature(_) => "Signature([hidden])",
        })
    }
}

/// The signature of Standard Webhooks 1.0.0. The platform has its own: each of them is tested by the other.
fn sign(key: &[u8], id: &str, timestamp: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let Proof::Signature(key) = Proof::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret") else {
            panic!("it does not sign");
        };
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn wrong_targets_are_refused_and_secrets_are_not_printed() {
        for (to, secret) in [
            ("", "mpr_1"),
            ("/receipts", "mpr_1"),
            ("https://localhost/", "mpr_1"),
            ("http://localhost/", ""),
            ("http://localhost/", "mpr_1 2"),
            ("http://localhost/", "whsec_"),
            ("http://localhost/", "whsec_%"),
        ] {
            assert!(Target::parse(to, secret).is_err(), "{to} with {secret} was taken");
        }
        let target = Target::parse("http://localhost/", "mpr_1").expect("a target");
        assert!(!format!("{target:?}").contains("mpr_1"));
    }
}

//! Keys and senders as they are shown.

use domain::ApiKey;
use persistence::{RegisteredSender, StoredKey};
use serde::Serialize;
use utoipa::ToSchema;

use crate::time::rfc3339;

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKeyResponse {
    /// What it is named by.
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20")]
    id: String,
    /// The key. It is shown here and never again.
    #[schema(example = "mpk_...")]
    key: String,
    /// Its last four characters.
    #[schema(example = "gylC")]
    hint: String,
    #[schema(example = "shop")]
    name: String,
    /// Whose it is; null for a key of the platform.
    #[schema(example = 1)]
    customer_id: Option<i64>,
    #[schema(example = json!(["send", "read"]))]
    scopes: Vec<&'static str>,
    /// Its own limit; null for none.
    #[schema(example = 50)]
    requests_per_second: Option<u32>,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
    /// When it ends; null for never.
    expires_at: Option<String>,
}

impl NewKeyResponse {
    pub(super) fn of(key: &ApiKey, stored: StoredKey) -> Self {
        Self {
            id: stored.id,
            key: key.expose().to_owned(),
            hint: stored.hint,
            name: stored.name.as_str().to_owned(),
            customer_id: stored.grant.owner().customer().map(Into::into),
            scopes: stored.grant.scopes().names().collect(),
            requests_per_second: stored.requests_per_second.map(Into::into),
            created_at: rfc3339(stored.created_at),
            expires_at: stored.expires_at.map(rfc3339),
        }
    }
}

/// A key, without the key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyItem {
    #[schema(example = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d20")]
    id: String,
    #[schema(example = "gylC")]
    hint: String,
    #[schema(example = "shop")]
    name: String,
    #[schema(example = 1)]
    customer_id: Option<i64>,
    #[schema(example = json!(["send", "read"]))]
    scopes: Vec<&'static str>,
    #[schema(example = 50)]
    requests_per_second: Option<u32>,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// To about a minute.
    last_used_at: Option<String>,
}

impl From<StoredKey> for KeyItem {
    fn from(stored: StoredKey) -> Self {
        Self {
            id: stored.id,
            hint: stored.hint,
            name: stored.name.as_str().to_owned(),
            customer_id: stored.grant.owner().customer().map(Into::into),
            scopes: stored.grant.scopes().names().collect(),
            requests_per_second: stored.requests_per_second.map(Into::into),
            created_at: rfc3339(stored.created_at),
            expires_at: stored.expires_at.map(rfc3339),
            revoked_at: stored.revoked_at.map(rfc3339),
            last_used_at: stored.last_used_at.map(rfc3339),
        }
    }
}

/// What a customer may send from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SenderItem {
    #[schema(example = 1)]
    customer_id: i64,
    #[schema(example = "BANK")]
    sender: String,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
}

impl From<RegisteredSender> for SenderItem {
    fn from(registered: RegisteredSender) -> Self {
        Self {
            customer_id: registered.customer,
            sender: registered.sender.into(),
            created_at: rfc3339(registered.created_at),
        }
    }
}

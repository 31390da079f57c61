//! What those who run the platform manage: keys, and senders of customers. Never without a key of scope `admin`.

pub(crate) mod create_key;
mod items;
pub(crate) mod list_keys;
pub(crate) mod list_senders;
pub(crate) mod register_sender;
pub(crate) mod remove_sender;
pub(crate) mod revoke_key;
pub(crate) mod rotate_key;

use domain::{ApiKey, KeyKind};
use persistence::MAX_LIVE_KEYS;
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use uuid::Uuid;

use crate::error::ApiError;

/// A key that nobody has yet, from the system's randomness.
fn new_key(kind: KeyKind) -> ApiKey {
    ApiKey::generate(kind, &mut UnwrapErr(SysRng))
}

/// The key in a path; what is no id is that of none.
fn key_id(text: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(text).map_err(|_| ApiError::NotFound)
}

fn too_many_keys() -> ApiError {
    ApiError::InvalidInput(format!("customer_id has {MAX_LIVE_KEYS} keys that are good; revoke one first"))
}

//! The `Idempotency-Key` header: its digest of the request, which keys are being worked on here, and how a repeated
//! answer is marked.

use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use domain::{CustomerId, IdempotencyKey};
use persistence::{IdempotentRequest, Route};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// The header that marks an answer which was given before.
const REPLAY: (&str, &str) = ("Idempotency-Replay", "true");

/// The client's key with a digest of `parsed`, what the request says once parsed: a retry may order its JSON
/// differently and is still the same request.
pub(crate) fn request_key(
    request: &HttpRequest,
    parsed: &impl Serialize,
) -> Result<Option<IdempotentRequest>, ApiError> {
    let mut values = request.headers().get_all("Idempotency-Key");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::InvalidInput("Idempotency-Key must be sent once".into()));
    }
    let key = IdempotencyKey::parse(value.as_bytes())?;
    let canonical = serde_json::to_vec(parsed).expect("strings and numbers serialise");
    let mut fingerprint = String::with_capacity(64);
    for byte in Sha256::digest(canonical) {
        write!(fingerprint, "{byte:02x}").expect("writing to a string cannot fail");
    }
    Ok(Some(IdempotentRequest { key, fingerprint }))
}

type Key = (Route, CustomerId, String);

/// Keys whose first request has not been answered yet by this process. It holds as many as there are requests in
/// flight. Between processes the customer's balance row keeps the order: the second request waits, then replays.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight {
    keys: Arc<Mutex<HashSet<Key>>>,
}

impl InFlight {
    /// Reserves the key until the guard is dropped.
    ///
    /// # Errors
    /// [`ApiError::IdempotencyInProgress`] while another request holds it.
    pub(crate) fn reserve(
        &self,
        route: Route,
        customer: CustomerId,
        used: Option<&IdempotentRequest>,
    ) -> Result<Option<Reservation>, ApiError> {
        let Some(used) = used else { return Ok(None) };
        let key = (route, customer, used.key.as_str().to_owned());
        if self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            Ok(Some(Reservation { key, all: self.clone() }))
        } else {
            Err(ApiError::IdempotencyInProgress)
        }
    }
}

/// Holds a key; dropping it frees the key.
#[derive(Debug)]
pub(crate) struct Reservation {
    key: Key,
    all: InFlight,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.all.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// The answer to a request that may have been answered before: 200 with this JSON body.
#[derive(Debug)]
pub(crate) struct Replayable<T> {
    answer: T,
    is_replay: bool,
}

impl<T> Replayable<T> {
    /// What the request did.
    pub(crate) fn first(answer: T) -> Self {
        Self { answer, is_replay: false }
    }

    /// What an earlier request with the same key did.
    pub(crate) fn replay(answer: T) -> Self {
        Self { answer, is_replay: true }
    }
}

impl<T: Serialize> Responder for Replayable<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if self.is_replay {
            response.insert_header(REPLAY);
        }
        response.json(self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_until_its_request_ends() {
        let in_flight = InFlight::default();
        let customer = CustomerId::try_from(1).expect("valid");
        let used = IdempotentRequest { key: IdempotencyKey::parse(b"k").expect("valid"), fingerprint: "f".to_owned() };
        let held = in_flight.reserve(Route::Send, customer, Some(&used)).expect("free");
        assert_eq!(
            in_flight.reserve(Route::Send, customer, Some(&used)).expect_err("held"),
            ApiError::IdempotencyInProgress
        );
        assert!(in_flight.reserve(Route::TopUp, customer, Some(&used)).is_ok(), "another route is another key");
        drop(held);
        assert!(in_flight.reserve(Route::Send, customer, Some(&used)).is_ok());
    }
}

//! Endpoints, events and attempts as they are shown.

use persistence::{CallbackAttempt, CallbackEndpoint, CallbackEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::time::rfc3339;

/// An endpoint, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointItem {
    #[schema(example = "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20")]
    id: String,
    #[schema(example = 1)]
    customer_id: i64,
    #[schema(example = "https://example.com/callbacks")]
    url: String,
    #[schema(example = "orders")]
    description: Option<String>,
    /// What it is told of.
    #[schema(example = json!(["message.delivered", "message.failed"]))]
    events: Vec<&'static str>,
    /// Whether it is told anything.
    enabled: bool,
    /// Why not: `by_customer`, `failing` or `gone`.
    disabled_reason: Option<String>,
    /// The first failure since it last took something.
    failing_since: Option<String>,
    /// Until when it is let alone.
    paused_until: Option<String>,
    /// The most that it is sent in a second; null for no limit.
    #[schema(example = 50)]
    per_second: Option<u32>,
    /// Until when the secret before signs too.
    previous_secret_until: Option<String>,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
}

impl From<CallbackEndpoint> for EndpointItem {
    fn from(endpoint: CallbackEndpoint) -> Self {
        Self {
            events: endpoint.types.names().collect(),
            id: endpoint.id,
            customer_id: endpoint.customer,
            url: endpoint.url,
            description: endpoint.description,
            enabled: endpoint.enabled,
            disabled_reason: endpoint.disabled_reason,
            failing_since: endpoint.failing_since.map(rfc3339),
            paused_until: endpoint.paused_until.map(rfc3339),
            per_second: endpoint.per_second.map(Into::into),
            previous_secret_until: endpoint.previous_until.map(rfc3339),
            created_at: rfc3339(endpoint.created_at),
        }
    }
}

/// An endpoint with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointWithSecret {
    #[serde(flatten)]
    pub(super) endpoint: EndpointItem,
    /// What signs its callbacks, for a library of Standard Webhooks.
    #[schema(example = "whsec_...")]
    pub(super) secret: String,
}

/// What an endpoint is, or was, to be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventItem {
    /// The `webhook-id` of all its attempts.
    #[schema(example = "evt_0199f2b45d0e7cc08f6e2f1b0c9a7d21")]
    id: String,
    /// Null where it was removed.
    #[schema(example = "ep_0199f2b45d0e7cc08f6e2f1b0c9a7d20")]
    endpoint: Option<String>,
    #[schema(example = "message.delivered")]
    r#type: String,
    /// `pending`, `sending`, `done`, `failed` or `cancelled`.
    #[schema(example = "done")]
    status: String,
    /// Since it was last asked for.
    #[schema(example = 1)]
    attempts: u32,
    /// When it is tried next, while it is pending.
    next_attempt_at: Option<String>,
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    created_at: String,
    /// What is sent.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
}

impl From<CallbackEvent> for EventItem {
    fn from(event: CallbackEvent) -> Self {
        // What somebody wrote by hand is shown as a text.
        let payload =
            RawValue::from_string(event.payload).or_else(|error| serde_json::value::to_raw_value(&error.to_string()));
        Self {
            id: event.id,
            endpoint: event.endpoint,
            r#type: event.kind,
            status: event.status,
            attempts: event.attempts,
            next_attempt_at: event.next_attempt_at.map(rfc3339),
            created_at: rfc3339(event.created_at),
            payload: payload.expect("a text is JSON"),
        }
    }
}

/// What became of an attempt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptItem {
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    at: String,
    #[schema(example = 45)]
    duration_ms: u64,
    /// The status of the answer; null where there was none.
    #[schema(example = 204)]
    status: Option<u16>,
    /// Why there was none: `dns`, `refused_address`, `connect`, `tls`, `timeout`, `closed` or `other`.
    #[schema(example = "timeout")]
    error: Option<String>,
    /// The beginning of the answer, at most 1,024 bytes; what is no UTF-8 is replaced.
    #[schema(example = "ok")]
    response: String,
    /// Why it was made: `schedule`, `resend`, `recover` or `test`.
    #[schema(example = "schedule")]
    trigger: String,
}

impl From<CallbackAttempt> for AttemptItem {
    fn from(attempt: CallbackAttempt) -> Self {
        Self {
            at: rfc3339(attempt.at),
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            status: attempt.status,
            error: attempt.error,
            response: String::from_utf8_lossy(&attempt.response).into_owned(),
            trigger: attempt.trigger,
        }
    }
}

//! Every error a client can see: one enum, one shape, one place that maps to status codes.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{StatusCode, header},
};
use domain::{Invalid, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{backpressure::signal::Signal, rate::LimitStatus};

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// A fixed word for programs.
    #[schema(example = "invalid_input")]
    pub error: String,
    /// What is wrong and what is accepted, for a person.
    #[schema(example = "recipients must hold 1 to 1000 phone numbers")]
    pub message: String,
}

/// What can be wrong with a request, or with us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// 400: the request says something that is not accepted.
    InvalidInput(String),
    /// 401: nobody that is known asks.
    Unauthorized(Denial),
    /// 402: the balance does not cover it.
    InsufficientBalance,
    /// 403: whoever asks may not.
    Forbidden(Forbidden),
    /// 404: nothing is at this path.
    NotFound,
    /// 405: the path does not answer this method.
    MethodNotAllowed {
        /// The methods it does answer.
        allowed: String,
    },
    /// 409: the request that used this key first is still being worked on.
    IdempotencyInProgress,
    /// 409: the message does not wait for its time any more.
    NotCancellable,
    /// 413: the body is too large.
    PayloadTooLarge {
        /// As people write it.
        most: &'static str,
    },
    /// 415: the body is said to be something else than plain JSON.
    UnsupportedMediaType(Unsupported),
    /// 422: the key was used for another request.
    IdempotencyMismatch,
    /// 429: too many requests.
    RateLimited {
        /// Seconds after which a request may pass.
        retry_after: u64,
        /// The limit that it met.
        status: LimitStatus,
    },
    /// 503: too much is waiting already.
    Overloaded {
        /// What the refusal rests on; `None` where this process has too many requests in hand.
        signal: Option<Signal>,
    },
    /// 503: the database cannot be reached.
    Unavailable,
    /// 500: a mistake of ours.
    Internal,
}

/// Why nobody that is known asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// No key was sent.
    Missing,
    /// What was sent is no key of ours.
    Invalid,
    /// The key has expired. Whoever is told that has the secret.
    Expired,
    /// The key was revoked.
    Revoked,
    /// An operator's secret is not what was shown.
    Operator,
}

/// What whoever asks may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// Its key lacks this.
    Scope(Scope),
    /// To act for the customer in this field.
    Customer(&'static str),
}

/// What a body is said to be and is not taken as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsupported {
    /// No JSON.
    Type,
    /// JSON in other characters than UTF-8.
    Charset,
    /// Compressed, or encoded otherwise.
    Encoding,
}

/// The header that names what a refusal for overload rests on. The body's text is fixed by the contract.
const BACKPRESSURE_SIGNAL: &str = "Backpressure-Signal";

/// Seconds after which a client may ask again when nothing more exact is known.
const RETRY_SOON: u64 = 1;

/// Makes a list of examples from lines of a pattern and an example of what it matches. The patterns must cover all
/// errors, so a variant more does not compile before it has an example.
macro_rules! examples {
    ($($pattern:pat => $example:expr),* $(,)?) => {{
        let _ = |error: &Self| match error {
            $($pattern => ()),*
        };
        vec![$($example),*]
    }};
}

impl ApiError {
    /// One of each, as examples.
    pub(crate) fn one_of_each() -> Vec<Self> {
        examples! {
            Self::InvalidInput(_) => Self::InvalidInput("user_id is missing".to_owned()),
            Self::Unauthorized(_) => Self::Unauthorized(Denial::Missing),
            Self::InsufficientBalance => Self::InsufficientBalance,
            Self::Forbidden(_) => Self::Forbidden(Forbidden::Scope(Scope::Send)),
            Self::NotFound => Self::NotFound,
            Self::MethodNotAllowed { .. } => Self::MethodNotAllowed { allowed: "POST".to_owned() },
            Self::IdempotencyInProgress => Self::IdempotencyInProgress,
            Self::NotCancellable => Self::NotCancellable,
            Self::PayloadTooLarge { .. } => Self::PayloadTooLarge { most: "256 KiB" },
            Self::UnsupportedMediaType(_) => Self::UnsupportedMediaType(Unsupported::Type),
            Self::IdempotencyMismatch => Self::IdempotencyMismatch,
            Self::RateLimited { .. } => Self::RateLimited { retry_after: 1, status: LimitStatus::used_up() },
            Self::Overloaded { .. } => Self::Overloaded { signal: Some(Signal::OutboxPending) },
            Self::Unavailable => Self::Unavailable,
            Self::Internal => Self::Internal,
        }
    }

    /// What the contract fixes of each: status, code for programs, and text for a person.
    fn told(&self) -> (StatusCode, &'static str, Cow<'_, str>) {
        let (status, code, text) = match self {
            Self::InvalidInput(message) => (StatusCode::BAD_REQUEST, "invalid_input", message.as_str()),
            Self::Unauthorized(denial) => (StatusCode::UNAUTHORIZED, "unauthorized", denial.text()),
            Self::InsufficientBalance => (
                StatusCode::PAYMENT_REQUIRED,
                "insufficient_balance",
                "The balance does not cover this message. Top it up and send again.",
            ),
            Self::Forbidden(forbidden) => return (StatusCode::FORBIDDEN, "forbidden", forbidden.text().into()),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is nothing at this path."),
            Self::MethodNotAllowed { allowed } => {
                let text = format!("This path only answers {allowed}.");
                return (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text.into());
            }
            Self::IdempotencyInProgress => (
                StatusCode::CONFLICT,
                "idempotency_in_progress",
                "A request with this Idempotency-Key is still being worked on. Ask again for its answer.",
            ),
            Self::NotCancellable => (StatusCode::CONFLICT, "not_cancellable", "The message is on its way already."),
            Self::PayloadTooLarge { most } => {
                let text = format!("The body is larger than {most}.");
                return (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", text.into());
            }
            Self::UnsupportedMediaType(unsupported) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", unsupported.text())
            }
            Self::IdempotencyMismatch => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_mismatch",
                "This Idempotency-Key was used for another request. Use a new key.",
            ),
            Self::RateLimited { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "Too many requests. Please retry later.")
            }
            Self::Overloaded { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "system_overloaded",
                "The system is temporarily overloaded. Please retry later.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The database is not available. Please retry later, with the same Idempotency-Key if you sent one.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "Something went wrong on our side. It has been logged.",
            ),
        };
        (status, code, Cow::Borrowed(text))
    }

    pub(crate) fn code(&self) -> &'static str {
        self.told().1
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Overloaded { .. } | Self::Unavailable | Self::IdempotencyInProgress => Some(RETRY_SOON),
            _ => None,
        }
    }
}

impl Denial {
    fn text(self) -> &'static str {
        match self {
            Self::Missing | Self::Invalid => "Send a valid API key as Authorization: Bearer <key>.",
            Self::Expired => "This API key has expired.",
            Self::Revoked => "This API key was revoked.",
            Self::Operator => {
                "Sign the request with this operator's secret as Standard Webhooks has it, or send its token as Authorization: Bearer <token>."
            }
        }
    }

    /// `WWW-Authenticate` (RFC 6750, section 3): without an error where no key was sent.
    fn challenge(self) -> &'static str {
        match self {
            Self::Missing | Self::Operator => "Bearer realm=\"messaging-platform\"",
            _ => "Bearer realm=\"messaging-platform\", error=\"invalid_token\"",
        }
    }
}

impl Forbidden {
    fn text(self) -> String {
        match self {
            Self::Scope(scope) => format!("This API key lacks the scope {scope}."),
            Self::Customer(field) => format!("{field} is not the customer of this API key."),
        }
    }
}

impl Unsupported {
    fn text(self) -> &'static str {
        match self {
            Self::Type => "The body must be JSON: send Content-Type: application/json.",
            Self::Charset => {
                "The body must be JSON in UTF-8: send Content-Type: application/json without another charset."
            }
            Self::Encoding => "The body must be plain JSON: send it without Content-Encoding.",
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told().2)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.told().0
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let (status, code, text) = self.told();
        let mut response = HttpResponse::build(status);
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Self::Unauthorized(denial) = self {
            response.insert_header((header::WWW_AUTHENTICATE, denial.challenge()));
        }
        if let Self::MethodNotAllowed { allowed } = self {
            response.insert_header((header::ALLOW, allowed.as_str()));
        }
        if let Self::Overloaded { signal: Some(signal) } = self {
            response.insert_header((BACKPRESSURE_SIGNAL, signal.as_str()));
        }
        let mut response = response.json(ErrorBody { error: code.to_owned(), message: text.into_owned() });
        if let Self::RateLimited { status, .. } = self {
            status.write_to(response.headers_mut());
        }
        response
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::InvalidInput(invalid.to_string())
    }
}

impl From<persistence::Error> for ApiError {
    fn from(error: persistence::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&persistence::Error> for ApiError {
    /// Logs what went wrong for each request: here it leaves our hands. Of an outage one line a second is written.
    fn from(error: &persistence::Error) -> Self {
        if error.is_unavailable() {
            let error = error.with_cause();
            tracing::warn!(outage = "database", error, "the database is not available to a request");
            return Self::Unavailable;
        }
        tracing::error!(error = error.with_cause(), "a request failed");
        Self::Internal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../../docs/errors.md");

    #[test]
    fn the_guide_tells_of_every_error_as_it_is() {
        let errors = ApiError::one_of_each();
        let sections: Vec<(&str, &str)> =
            GUIDE.split("\n## ").skip(1).map(|part| part.split_once('\n').expect("a section has lines")).collect();
        let described: Vec<&str> = sections.iter().map(|(code, _)| *code).collect();
        assert_eq!(described, errors.iter().map(ApiError::code).collect::<Vec<_>>());
        for (error, (code, section)) in errors.iter().zip(sections) {
            let status = format!("- **Status** {}, ", error.status_code().as_u16());
            assert!(section.contains(&status), "{code}: {status}");
            let body = ErrorBody { error: code.to_owned(), message: error.to_string() };
            let body = serde_json::to_string(&body).expect("it is JSON");
            assert!(section.contains(&body), "{code}: {body}");
            // Headers are told in the line of the status.
            let told = section.lines().take_while(|line| !line.starts_with("- **When**")).collect::<String>();
            let answer = error.error_response();
            for (name, _) in answer.headers().iter().filter(|(name, _)| **name != header::CONTENT_TYPE) {
                assert!(told.to_lowercase().contains(&format!("`{name}`")), "{code} does not tell of {name}");
            }
            assert_eq!(told.contains("`Retry-After`"), answer.headers().contains_key(header::RETRY_AFTER), "{code}");
        }
    }
}

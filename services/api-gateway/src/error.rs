//! Every error a client can see: one enum, one shape, one place that maps to status codes.

use std::{fmt, iter::successors};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{StatusCode, header},
};
use domain::Invalid;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{backpressure::Signal, rate::LimitStatus};

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
    /// 402: the balance does not cover it.
    InsufficientBalance,
    /// 404: nothing is at this path.
    NotFound,
    /// 405: the path does not answer this method.
    MethodNotAllowed {
        /// The methods it does answer.
        allowed: &'static str,
    },
    /// 409: the request that used this key first is still being worked on.
    IdempotencyInProgress,
    /// 413: the body is too large.
    PayloadTooLarge,
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

impl ApiError {
    /// One of each, as examples; a variant more does not compile before it has its place here.
    pub(crate) fn one_of_each() -> Vec<Self> {
        let first = Self::InvalidInput("user_id is missing".to_owned());
        let after = |error: &Self| match error {
            Self::InvalidInput(_) => Some(Self::InsufficientBalance),
            Self::InsufficientBalance => Some(Self::NotFound),
            Self::NotFound => Some(Self::MethodNotAllowed { allowed: "POST" }),
            Self::MethodNotAllowed { .. } => Some(Self::IdempotencyInProgress),
            Self::IdempotencyInProgress => Some(Self::PayloadTooLarge),
            Self::PayloadTooLarge => Some(Self::UnsupportedMediaType(Unsupported::Type)),
            Self::UnsupportedMediaType(_) => Some(Self::IdempotencyMismatch),
            Self::IdempotencyMismatch => Some(Self::RateLimited { retry_after: 1, status: LimitStatus::used_up() }),
            Self::RateLimited { .. } => Some(Self::Overloaded { signal: Some(Signal::OutboxPending) }),
            Self::Overloaded { .. } => Some(Self::Unavailable),
            Self::Unavailable => Some(Self::Internal),
            Self::Internal => None,
        };
        successors(Some(first), after).collect()
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::InvalidInput(_) => "invalid_input",
            Self::InsufficientBalance => "insufficient_balance",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::Overloaded { .. } => "system_overloaded",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal_error",
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Overloaded { .. } | Self::Unavailable | Self::IdempotencyInProgress => Some(RETRY_SOON),
            _ => None,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidInput(message) => message,
            Self::InsufficientBalance => "The balance does not cover this message. Top it up and send again.",
            Self::NotFound => "There is nothing at this path.",
            Self::MethodNotAllowed { allowed } => return write!(f, "This path only answers {allowed}."),
            Self::IdempotencyInProgress => {
                "A request with this Idempotency-Key is still being worked on. Ask again for its answer."
            }
            Self::PayloadTooLarge => "The body is larger than 256 KiB.",
            Self::UnsupportedMediaType(Unsupported::Type) => {
                "The body must be JSON: send Content-Type: application/json."
            }
            Self::UnsupportedMediaType(Unsupported::Charset) => {
                "The body must be JSON in UTF-8: send Content-Type: application/json without another charset."
            }
            Self::UnsupportedMediaType(Unsupported::Encoding) => {
                "The body must be plain JSON: send it without Content-Encoding."
            }
            Self::IdempotencyMismatch => "This Idempotency-Key was used for another request. Use a new key.",
            Self::RateLimited { .. } => "Too many requests. Please retry later.",
            Self::Overloaded { .. } => "The system is temporarily overloaded. Please retry later.",
            Self::Unavailable => {
                "The database is not available. Please retry later, with the same Idempotency-Key if you sent one."
            }
            Self::Internal => "Something went wrong on our side. It has been logged.",
        })
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidInput(_) => StatusCode::BAD_REQUEST,
            Self::InsufficientBalance => StatusCode::PAYMENT_REQUIRED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::IdempotencyInProgress => StatusCode::CONFLICT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded { .. } | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Self::MethodNotAllowed { allowed } = self {
            response.insert_header((header::ALLOW, *allowed));
        }
        if let Self::Overloaded { signal: Some(signal) } = self {
            response.insert_header((BACKPRESSURE_SIGNAL, signal.as_str()));
        }
        let mut response = response.json(ErrorBody { error: self.code().to_owned(), message: self.to_string() });
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

//! Reading a JSON object from the body: bounded in size and time, and every mistake has its own answer.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, error::PayloadError, web::BytesMut};
use futures_util::StreamExt as _;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Largest body, in bytes: 1000 recipients and 1600 escaped characters need a tenth of it.
pub(crate) const MAX_BODY: usize = 256 * 1024;
/// How long a client may take to send its body; actix-web itself bounds only the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The members of the request's JSON object.
#[derive(Debug)]
pub(crate) struct JsonObject(Map<String, Value>);

impl FromRequest for JsonObject {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let content_type = request.content_type().to_ascii_lowercase();
        let payload = payload.take();
        Box::pin(async move {
            if content_type != "application/json" && !content_type.ends_with("+json") {
                return Err(ApiError::UnsupportedMediaType);
            }
            let body = tokio::time::timeout(BODY_TIMEOUT, collect(payload)).await;
            let body =
                body.map_err(|_| ApiError::InvalidInput("the body did not arrive within 10 seconds".into()))??;
            let parsed: Value = serde_json::from_slice(&body)
                .map_err(|error| ApiError::InvalidInput(format!("the body is not valid JSON: {error}")))?;
            match parsed {
                Value::Object(members) => Ok(Self(members)),
                _ => Err(ApiError::InvalidInput("the body must be a JSON object".into())),
            }
        })
    }
}

async fn collect(mut payload: Payload) -> Result<BytesMut, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => ApiError::PayloadTooLarge,
            error => ApiError::InvalidInput(format!("the body could not be read: {error}")),
        })?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(ApiError::PayloadTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl JsonObject {
    /// A whole number that must be there.
    pub(crate) fn integer(&self, name: &'static str) -> Result<i64, ApiError> {
        let value = self.required(name)?;
        value.as_i64().ok_or_else(|| invalid(name, "must be a whole number of at most 2^63-1"))
    }

    /// A string that must be there.
    pub(crate) fn string(&self, name: &'static str) -> Result<String, ApiError> {
        self.required(name)?;
        self.optional_string(name)?.ok_or_else(|| invalid(name, "must be a string"))
    }

    /// A string that may be missing or null.
    pub(crate) fn optional_string(&self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    /// A list of strings that must be there.
    pub(crate) fn strings(&self, name: &'static str) -> Result<Vec<String>, ApiError> {
        let wrong = || invalid(name, "must be a list of strings");
        let items = self.required(name)?.as_array().ok_or_else(wrong)?;
        items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    fn required(&self, name: &'static str) -> Result<&Value, ApiError> {
        self.0.get(name).filter(|value| !value.is_null()).ok_or_else(|| invalid(name, "is missing"))
    }
}

fn invalid(name: &str, what: &str) -> ApiError {
    ApiError::InvalidInput(format!("{name} {what}"))
}

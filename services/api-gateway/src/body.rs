//! Reading a JSON object from the body: bounded in size and time, and every mistake has its own answer.

use std::{collections::HashMap, fmt, future::Future, pin::Pin, time::Duration};

use actix_web::{FromRequest, HttpRequest, dev::Payload, error::PayloadError, web::BytesMut};
use futures_util::StreamExt as _;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, error::Category, value::RawValue};

use crate::{
    content::{self, MAX_BODY},
    error::ApiError,
    whole::whole,
};

/// How long a client may take to send its body; actix-web itself bounds only the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The members of the request's JSON object, each of them once.
#[derive(Debug)]
pub(crate) struct JsonObject {
    members: Map<String, Value>,
    /// As it came: numbers that were not written as integers are read here.
    body: BytesMut,
}

impl FromRequest for JsonObject {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = content::check(request.headers());
        let payload = payload.take();
        Box::pin(async move {
            checked?;
            let body = tokio::time::timeout(BODY_TIMEOUT, collect(payload)).await;
            let body =
                body.map_err(|_| ApiError::InvalidInput("the body did not arrive within 10 seconds".into()))??;
            parse(body)
        })
    }
}

fn parse(body: BytesMut) -> Result<JsonObject, ApiError> {
    let parsed = serde_json::from_slice(&body).map_err(|error| {
        ApiError::InvalidInput(match error.classify() {
            // Its own text would quote what came.
            Category::Data => "the body must be a JSON object".to_owned(),
            _ => format!("the body is not valid JSON: {error}"),
        })
    })?;
    match parsed {
        Members::Once(members) => Ok(JsonObject { members, body }),
        Members::Repeated => Err(ApiError::InvalidInput("the body has a field more than once".into())),
    }
}

/// The members of an object, if each is there once. Which of two would count is a guess that others, who look at the
/// same body, make otherwise.
enum Members {
    Once(Map<String, Value>),
    Repeated,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
        let mut members = Map::new();
        let mut repeated = false;
        while let Some((name, value)) = access.next_entry()? {
            repeated |= members.insert(name, value).is_some();
        }
        Ok(if repeated { Members::Repeated } else { Members::Once(members) })
    }
}

async fn collect(mut payload: Payload) -> Result<BytesMut, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => ApiError::PayloadTooLarge { most: "256 KiB" },
            error => ApiError::InvalidInput(format!("the body could not be read: {error}")),
        })?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(ApiError::PayloadTooLarge { most: "256 KiB" });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl JsonObject {
    /// A whole number that must be there.
    pub(crate) fn integer(&self, name: &'static str) -> Result<i64, ApiError> {
        let value = self.required(name)?;
        let written_otherwise = || value.is_number().then(|| self.written(name)).flatten();
        let number = value.as_i64().or_else(written_otherwise);
        number.ok_or_else(|| invalid(name, "must be a whole number of at most 2^63-1"))
    }

    /// A whole number that may be missing or null.
    pub(crate) fn optional_integer(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        if self.is_given(name) { self.integer(name).map(Some) } else { Ok(None) }
    }

    /// Whether it is there and not null.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether it is there, null too.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// `true` or `false`, which may be missing or null.
    pub(crate) fn optional_boolean(&self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(given)) => Ok(Some(*given)),
            Some(_) => Err(invalid(name, "must be true or false")),
        }
    }

    /// A number as its digits say.
    fn written(&self, name: &str) -> Option<i64> {
        let raw: HashMap<String, &RawValue> = serde_json::from_slice(&self.body).ok()?;
        whole(raw.get(name)?.get())
    }

    /// A string that must be there.
    pub(crate) fn string(&self, name: &'static str) -> Result<String, ApiError> {
        self.required(name)?;
        self.optional_string(name)?.ok_or_else(|| invalid(name, "must be a string"))
    }

    /// A string that may be missing or null.
    pub(crate) fn optional_string(&self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    /// A list of strings that must be there.
    pub(crate) fn strings(&self, name: &'static str) -> Result<Vec<String>, ApiError> {
        let items = self.required(name)?.as_array().ok_or_else(|| invalid(name, "must be a list of strings"))?;
        let string = |(index, item): (usize, &Value)| {
            let wrong = || format!("must be a list of strings; the one at index {index}, counted from 0, is not");
            item.as_str().map(str::to_owned).ok_or_else(|| invalid(name, &wrong()))
        };
        items.iter().enumerate().map(string).collect()
    }

    fn required(&self, name: &'static str) -> Result<&Value, ApiError> {
        self.members.get(name).filter(|value| !value.is_null()).ok_or_else(|| invalid(name, "is missing"))
    }
}

fn invalid(name: &str, what: &str) -> ApiError {
    ApiError::InvalidInput(format!("{name} {what}"))
}

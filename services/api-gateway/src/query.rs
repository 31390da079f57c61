//! Query parameters: parsed one by one, an empty one counts as missing.

use std::{collections::HashMap, ops::RangeInclusive};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use persistence::Cursor;

use crate::error::ApiError;

/// Entries of a page when the client does not say.
const DEFAULT_LIMIT: u64 = 100;
/// What a client may ask for.
const LIMITS: RangeInclusive<u64> = 1..=500;

/// The parameters of the request's query string.
#[derive(Debug)]
pub(crate) struct Query(HashMap<String, String>);

impl FromRequest for Query {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        std::future::ready(match parsed {
            Ok(pairs) => Ok(Self(pairs.into_inner().into_iter().collect())),
            Err(error) => Err(ApiError::InvalidInput(format!("the query string cannot be read: {error}"))),
        })
    }
}

impl Query {
    /// The parameter's value, unless it is missing or empty.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A whole number, if given.
    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let wrong = |_| ApiError::InvalidInput(format!("{name} must be a whole number"));
        self.optional(name).map(|value| value.parse().map_err(wrong)).transpose()
    }

    /// `limit`: entries of a page.
    pub(crate) fn limit(&self) -> Result<u64, ApiError> {
        let Some(value) = self.optional("limit") else { return Ok(DEFAULT_LIMIT) };
        let parsed = value.parse().ok().filter(|limit| LIMITS.contains(limit));
        let wrong = || format!("limit must be a whole number from {} to {}", LIMITS.start(), LIMITS.end());
        parsed.ok_or_else(|| ApiError::InvalidInput(wrong()))
    }

    /// `cursor`: where an earlier page ended.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, ApiError> {
        Ok(self.optional("cursor").map(Cursor::parse).transpose()?)
    }
}

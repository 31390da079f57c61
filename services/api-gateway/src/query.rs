//! Query parameters: parsed one by one, each given once; an empty one counts as missing, an unknown one is ignored.

use std::{collections::HashMap, ops::RangeInclusive};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use persistence::Cursor;

use crate::{error::ApiError, whole::whole};

/// Entries of a page when the client does not say.
pub(crate) const DEFAULT_LIMIT: u64 = 100;
/// What a client may ask for.
pub(crate) const LIMITS: RangeInclusive<u64> = 1..=500;

/// The parameters of the request's query string.
#[derive(Debug)]
pub(crate) struct Query(HashMap<String, String>);

impl FromRequest for Query {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        std::future::ready(match parsed {
            Ok(pairs) => Self::once(pairs.into_inner()),
            Err(error) => Err(ApiError::InvalidInput(format!("the query string cannot be read: {error}"))),
        })
    }
}

impl Query {
    /// Which of two values would count is a guess; there is none.
    fn once(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        let given = pairs.len();
        let parameters: HashMap<_, _> = pairs.into_iter().collect();
        if parameters.len() < given {
            return Err(ApiError::InvalidInput("the query string has a parameter more than once".into()));
        }
        Ok(Self(parameters))
    }

    /// The parameter's value, unless it is missing or empty.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A whole number, if given.
    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let wrong = || ApiError::InvalidInput(format!("{name} must be a whole number"));
        self.optional(name).map(|value| number(value).ok_or_else(wrong)).transpose()
    }

    /// `limit`: entries of a page.
    pub(crate) fn limit(&self) -> Result<u64, ApiError> {
        let Some(value) = self.optional("limit") else { return Ok(DEFAULT_LIMIT) };
        let parsed = number(value).and_then(|limit| u64::try_from(limit).ok()).filter(|limit| LIMITS.contains(limit));
        let wrong = || format!("limit must be a whole number from {} to {}", LIMITS.start(), LIMITS.end());
        parsed.ok_or_else(|| ApiError::InvalidInput(wrong()))
    }

    /// `cursor`: where an earlier page ended.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, ApiError> {
        Ok(self.optional("cursor").map(Cursor::parse).transpose()?)
    }
}

/// `1`, as it always was with zeros before it or a plus, and `1.0` as in bodies.
fn number(value: &str) -> Option<i64> {
    value.parse().ok().or_else(|| whole(value))
}

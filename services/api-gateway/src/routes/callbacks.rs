//! Callbacks: where a customer is told what becomes of its messages, and what it was told.

pub(crate) mod change_endpoint;
pub(crate) mod create_endpoint;
pub(crate) mod get_endpoint;
mod items;
pub(crate) mod list_attempts;
pub(crate) mod list_endpoints;
pub(crate) mod list_events;
pub(crate) mod recover_events;
pub(crate) mod remove_endpoint;
pub(crate) mod resend_event;
pub(crate) mod rotate_secret;
pub(crate) mod show_secret;
pub(crate) mod test_endpoint;

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use domain::{CallbackEventId, CallbackTypes, CustomerId, EndpointId, Invalid, Scope, rfc3339};

use crate::{
    body::JsonObject,
    caller::Caller,
    error::ApiError,
    query::Query,
    schemas::{MAX_DESCRIPTION, MAX_PER_SECOND},
};

/// The customer of a request with parameters.
fn of_query(caller: Caller, query: &Query) -> Result<CustomerId, ApiError> {
    caller.permit(Scope::Callbacks)?.customer("customer_id", query.integer("customer_id")?)
}

/// The customer of a request with a body, which may name it there or in a parameter.
fn of_body(caller: Caller, body: &JsonObject, query: &Query) -> Result<CustomerId, ApiError> {
    let permitted = caller.permit(Scope::Callbacks)?;
    let (in_body, in_query) = (body.optional_integer("customer_id")?, query.integer("customer_id")?);
    match (in_body, in_query) {
        (Some(one), Some(other)) if one != other => {
            Err(ApiError::InvalidInput("customer_id differs between the body and the query string".into()))
        }
        _ => permitted.customer("customer_id", in_body.or(in_query)),
    }
}

/// The endpoint in a path; what is no id is that of none.
fn endpoint_id(text: &str) -> Result<EndpointId, ApiError> {
    EndpointId::parse(text).ok_or(ApiError::NotFound)
}

/// The event in a path; what is no id is that of none.
fn event_id(text: &str) -> Result<CallbackEventId, ApiError> {
    CallbackEventId::parse(text).ok_or(ApiError::NotFound)
}

/// `events` of a body, where it is there.
fn types(body: &JsonObject) -> Result<Option<CallbackTypes>, ApiError> {
    if !body.is_given("events") {
        return Ok(None);
    }
    let names = body.strings("events")?;
    Ok(Some(CallbackTypes::parse(names.iter().map(String::as_str))?))
}

fn description(body: &JsonObject) -> Result<Option<String>, ApiError> {
    let text = body.optional_string("description")?;
    match text {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => {
            let expected = format!("must have at most {MAX_DESCRIPTION} characters");
            Err(Invalid::new("description", expected).into())
        }
        text => Ok(text),
    }
}

fn per_second(body: &JsonObject) -> Result<Option<NonZeroU32>, ApiError> {
    let Some(limit) = body.optional_integer("per_second")? else { return Ok(None) };
    let fits = u32::try_from(limit).ok().filter(|limit| *limit <= MAX_PER_SECOND).and_then(NonZeroU32::new);
    let expected = format!("must be a whole number from 1 to {MAX_PER_SECOND}");
    fits.map(Some).ok_or_else(|| Invalid::new("per_second", expected).into())
}

/// RFC 3339 with an offset, within what columns can hold.
fn time(field: &'static str, text: &str) -> Result<DateTime<Utc>, ApiError> {
    let fits = rfc3339::parse(text).filter(|time| (0..253_402_300_800).contains(&time.timestamp()));
    fits.ok_or_else(|| Invalid::new(field, "must be RFC 3339 with an offset, from 1970 on").into())
}

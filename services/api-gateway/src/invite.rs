//! Clients that ask before they send their body.

use std::{sync::LazyLock, time::Instant};

use actix_web::{
    Error, ResponseError as _,
    dev::{RequestHead, ResourceDef},
};

use crate::{content::check, endpoint::Endpoint, observe::count, receipts::is_receipts, routes::endpoints};

/// The endpoints that read a body, each with what its path looks like.
static TAKING_BODIES: LazyLock<Vec<(ResourceDef, &Endpoint)>> = LazyLock::new(|| {
    // Receipts are larger, and judged by their own route.
    let taking = endpoints().iter().filter(|endpoint| endpoint.takes_body() && !is_receipts(endpoint.path()));
    taking.map(|endpoint| (ResourceDef::new(endpoint.path()), endpoint)).collect()
});

/// A client that asks before it sends its body is told here that it is not taken. The application does not see such a
/// request, so it is counted here.
pub(crate) fn invite(head: &RequestHead) -> Result<(), Error> {
    let started = Instant::now();
    let is_asked = |(path, endpoint): &&(ResourceDef, &Endpoint)| {
        head.method == endpoint.method() && path.is_match(head.uri.path())
    };
    let Some((_, endpoint)) = TAKING_BODIES.iter().find(is_asked) else { return Ok(()) };
    check(&head.headers).map_err(|error| {
        count(endpoint.path().to_owned(), endpoint.method(), error.status_code(), started);
        error.into()
    })
}

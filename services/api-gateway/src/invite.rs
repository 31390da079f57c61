//! Clients that ask before they send their body.

use std::time::Instant;

use actix_web::{Error, ResponseError as _, dev::RequestHead, http::Method};

use crate::{content::check, observe::count};

/// The routes that read a body.
const ROUTES: [&str; 2] = ["/messages/send", "/balance/add"];

/// A client that asks before it sends its body is told here that it is not taken. The application does not see such a
/// request, so it is counted here.
pub(crate) fn invite(head: &RequestHead) -> Result<(), Error> {
    let started = Instant::now();
    let route = ROUTES.into_iter().find(|route| head.method == Method::POST && head.uri.path() == *route);
    let Some(route) = route else { return Ok(()) };
    check(&head.headers).map_err(|error| {
        count(route.to_owned(), "POST", error.status_code(), started);
        error.into()
    })
}

//! The endpoints of the API, one a file: what it takes, what it does, what it answers. Here is the one list of them; the
//! application, the OpenAPI document, the series of the metrics and the tests are made from it.

mod balance;
mod history;
mod send;
mod top_up;

use std::sync::LazyLock;

use actix_web::web::ServiceConfig;
use persistence::Query;

use crate::endpoint::{self, Endpoint, endpoint};

/// All of them. Where two paths fit a request the first one answers it.
static ALL: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    vec![
        endpoint!(send, queries: [Query::Accept]),
        endpoint!(history, queries: [Query::History]),
        endpoint!(balance, queries: [Query::Account]),
        endpoint!(top_up, queries: [Query::TopUp]),
    ]
});

/// The endpoints of the API, without those that all services share and those that serve its document.
pub fn endpoints() -> &'static [Endpoint] {
    &ALL
}

/// Mounts all of them.
pub(crate) fn mount(config: &mut ServiceConfig) {
    endpoint::mount(endpoints(), config);
}

//! The endpoints of the API, one a file: what it takes, what it does, what it answers. Here is the one list of them; the
//! application, the OpenAPI document, the series of the metrics and the tests are made from it.

mod admin;
mod balance;
mod callbacks;
mod cancel;
mod history;
mod message;
mod preview;
mod receipts;
mod send;
mod top_up;

use std::sync::LazyLock;

use actix_web::web::ServiceConfig;
use persistence::Query;

use crate::endpoint::{self, Endpoint, endpoint};

/// All of them. Where two paths fit a request the first one answers it.
static ALL: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    vec![
        endpoint!(send, Send, queries: [Query::Accept, Query::CallbackEndpoints, Query::MessageCharged, Query::SenderCheck]),
        endpoint!(preview, Send, queries: [Query::Balance, Query::CallbackEndpoints, Query::SenderCheck]),
        endpoint!(history, Read, queries: [Query::History]),
        endpoint!(message, Read, queries: [Query::Message]),
        endpoint!(cancel, Send, queries: [Query::Cancel]),
        endpoint!(balance, Read, queries: [Query::Account]),
        endpoint!(top_up, Topup, queries: [Query::TopUp]),
        endpoint!(receipts, queries: [Query::ReceiptsTake]),
        endpoint!(callbacks::list_endpoints, Callbacks, queries: [Query::CallbackEndpoints]),
        endpoint!(callbacks::create_endpoint, Callbacks, queries: [Query::CallbackCreate]),
        endpoint!(callbacks::remove_endpoint, Callbacks, queries: [Query::CallbackRemove]),
        endpoint!(callbacks::get_endpoint, Callbacks, queries: [Query::CallbackEndpoint]),
        endpoint!(callbacks::change_endpoint, Callbacks, queries: [Query::CallbackChange]),
        endpoint!(callbacks::show_secret, Callbacks, queries: [Query::CallbackEndpoint]),
        endpoint!(callbacks::rotate_secret, Callbacks, queries: [Query::CallbackRotate]),
        endpoint!(callbacks::test_endpoint, Callbacks, queries: [Query::CallbackTest]),
        endpoint!(callbacks::recover_events, Callbacks, queries: [Query::CallbackRecover]),
        endpoint!(callbacks::list_events, Callbacks, queries: [Query::CallbackEvents]),
        endpoint!(callbacks::list_attempts, Callbacks, queries: [Query::CallbackAttempts]),
        endpoint!(callbacks::resend_event, Callbacks, queries: [Query::CallbackResend]),
        endpoint!(admin::list_keys, Admin, queries: [Query::KeyList]),
        endpoint!(admin::create_key, Admin, queries: [Query::KeyIssue]),
        endpoint!(admin::rotate_key, Admin, queries: [Query::KeyRotate]),
        endpoint!(admin::revoke_key, Admin, queries: [Query::KeyRevoke]),
        endpoint!(admin::remove_sender, Admin, queries: [Query::SenderRemove]),
        endpoint!(admin::list_senders, Admin, queries: [Query::SenderList]),
        endpoint!(admin::register_sender, Admin, queries: [Query::SenderRegister]),
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

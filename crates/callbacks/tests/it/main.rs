//! The client against servers on this machine, which send what no well-behaved server would.

mod posting;
mod refusing;
mod server;
mod tls;

use std::{net::SocketAddr, time::Duration};

use callbacks::{CallbackClient, CallbackUrl};

/// Longer than any test takes that is not about time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that may post to these networks too, over http as well.
fn client(nets: &str) -> CallbackClient {
    CallbackClient::new(nets.parse().expect("networks"), true, PATIENCE).expect("a client")
}

fn url(text: &str) -> CallbackUrl {
    CallbackUrl::parse(text, true).expect("a URL")
}

/// A URL of the server at this address.
fn url_of(address: SocketAddr) -> CallbackUrl {
    url(&format!("http://{address}/callbacks?token=secret"))
}

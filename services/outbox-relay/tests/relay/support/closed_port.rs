//! A broker that is away.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use broker::Broker;
use service_kit::Scope;
use tokio::net::TcpSocket;

use super::topology;

/// An address at which nobody listens, nor can another test while this lives.
#[derive(Debug)]
pub(crate) struct ClosedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).expect("a free port");
        Self { address: socket.local_addr().expect("bound"), _bound: socket }
    }

    /// A client of a RabbitMQ there, which finds none.
    pub(crate) fn broker(&self, scope: &Scope) -> Broker {
        let uri = format!("amqp://guest:guest@{}", self.address);
        Broker::amqp(uri.into(), topology(), &scope.support_tasks("broker"), scope.finish.clone()).expect("a URI")
    }
}

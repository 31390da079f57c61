//! Operators against real HTTP servers on loopback.

mod answers;
mod breaker;
mod metrics;
mod oddities;
mod raw_server;
mod smpp;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use domain::{MessageId, MessageType, Recipient};
use operator_simulator::Simulator;
use operators::{Background, BreakerConfig, Operators, OperatorsConfig, Submission, parse_operators};
use tokio::net::TcpSocket;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const RECIPIENT: &str = "+4915112345";

fn simulator() -> Simulator {
    Simulator::start(ANY).expect("a free port")
}

/// An address at which nobody listens, nor can another test while this lives.
struct ClosedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl ClosedPort {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(ANY).expect("a free port");
        Self { address: socket.local_addr().expect("bound"), _bound: socket }
    }
}

/// No retries, a long timeout, a breaker that stays closed: each test changes what it is about.
fn config(list: &str) -> OperatorsConfig {
    OperatorsConfig {
        operators: parse_operators(list).expect("a valid list"),
        timeout: Duration::from_secs(20),
        max_retries: 0,
        retry_backoff: Duration::from_millis(1),
        breaker: BreakerConfig { failure_threshold: 1000, success_threshold: 1, open_timeout: Duration::from_mins(1) },
    }
}

/// Operators `a` and `b` of a simulator.
fn two_operators(simulator: &Simulator) -> OperatorsConfig {
    config(&format!("a={},b={}", simulator.operator_url("a"), simulator.operator_url("b")))
}

fn build(config: OperatorsConfig) -> Operators {
    Operators::build(config, &Background::none()).expect("a valid configuration")
}

fn submission(message: &str) -> Submission {
    let message_id = MessageId::try_from(message.to_owned()).expect("valid");
    let recipient = Recipient::try_from(RECIPIENT.to_owned()).expect("valid");
    Submission::plain(message_id, recipient, "hello".into(), MessageType::Express)
}

//! Where no callback may go, and that none goes there.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::atomic::{AtomicUsize, Ordering},
};

use callbacks::{AttemptError, CallbackClient, Lookup, LookupAnswer, Resolver};

use crate::{
    PATIENCE, client,
    server::{Reply, Server},
    url,
};

const NO_CONTENT: Reply = Reply::Text("HTTP/1.1 204 No Content\r\n\r\n");

/// Hosts that lead to this machine.
const LOCAL_HOSTS: [&str; 8] =
    ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "localhost"];

/// A port of this machine where connections wait to be counted. The system makes them though nobody accepts them.
struct Bait(TcpListener);

impl Bait {
    fn lay(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket of ours");
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    /// Whether anybody has connected.
    fn is_taken(&self) -> bool {
        match self.0.accept() {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("could not accept: {error}"),
        }
    }
}

#[tokio::test]
async fn nothing_reaches_this_machine_however_it_is_called() {
    let bait = Bait::lay("127.0.0.1:0");
    let client = client("");
    for host in LOCAL_HOSTS {
        for scheme in ["http", "https"] {
            let url = url(&format!("{scheme}://{host}:{}/", bait.address().port()));
            let attempt = client.post(&url, &[], b"{}".to_vec()).await;
            assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::RefusedAddress)), "{url:?}");
            assert!(!bait.is_taken(), "{url:?}");
        }
    }
}

/// Shows that the bait of the test above would have been taken.
#[tokio::test]
async fn each_of_these_hosts_is_this_machine() {
    let server = Server::start(NO_CONTENT).await;
    let client = client("127.0.0.0/8,0.0.0.0/32,::1");
    let has_ipv6 = TcpListener::bind("[::]:0").is_ok();
    for host in LOCAL_HOSTS.into_iter().filter(|host| has_ipv6 || !host.starts_with('[')) {
        let url = url(&format!("http://{host}:{}/", server.address.port()));
        assert_eq!(client.post(&url, &[], Vec::new()).await.status, Some(204), "{url:?}");
    }
}

#[tokio::test]
async fn a_client_for_https_posts_nothing_over_http() {
    let bait = Bait::lay("127.0.0.1:0");
    let allowed = "127.0.0.0/8".parse().expect("a network");
    let client = CallbackClient::new(allowed, false, PATIENCE).expect("a client");
    let url = url(&format!("http://{}/", bait.address()));
    assert_eq!(client.post(&url, &[], Vec::new()).await.error, Some(AttemptError::Other));
    assert!(!bait.is_taken());
}

/// Answers each question with the next of these, and with the last one from then on.
struct Rebinding {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Rebinding {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect();
        Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) }
    }
}

impl Lookup for Rebinding {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupAnswer<'a> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed).min(self.answers.len() - 1);
        Box::pin(async move { Ok(self.answers[turn].clone()) })
    }
}

/// A client of this name server, which may post to 127.0.0.2 as if that were a public address.
fn client_of(names: Rebinding) -> CallbackClient {
    let resolver = Resolver::with_lookup("127.0.0.2".parse().expect("a network"), names);
    CallbackClient::with_resolver(resolver, true, PATIENCE).expect("a client")
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_by_then_is_refused() {
    let bait = Bait::lay("127.0.0.1:0");
    let listener = tokio::net::TcpListener::bind(("127.0.0.2", bait.address().port())).await.expect("a free port");
    let server = Server::start_on(listener, Reply::Last("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
    let client = client_of(Rebinding::new(&[&["127.0.0.2"], &["127.0.0.1"]]));
    let url = url(&format!("http://rebinding.example:{}/", server.address.port()));

    assert_eq!(client.post(&url, &[], Vec::new()).await.status, Some(204), "it leads to the server at first");
    let attempt = client.post(&url, &[], Vec::new()).await;
    assert_eq!((attempt.status, attempt.error), (None, Some(AttemptError::RefusedAddress)));
    assert_eq!(server.connections(), 1);
    assert!(!bait.is_taken());
}

#[tokio::test]
async fn each_connection_goes_to_an_address_that_was_judged() {
    let bait = Bait::lay("127.0.0.1:0");
    let listener = tokio::net::TcpListener::bind(("127.0.0.2", bait.address().port())).await.expect("a free port");
    let server = Server::start_on(listener, NO_CONTENT);
    // Asked again between the judgement and the connection, it would lead to the bait.
    let client = client_of(Rebinding::new(&[&["127.0.0.2"], &["127.0.0.1"]]));
    let url = url(&format!("http://rebinding.example:{}/", server.address.port()));
    for _ in 0..2 {
        assert_eq!(client.post(&url, &[], Vec::new()).await.status, Some(204), "the connection is used again");
    }
    assert_eq!(server.connections(), 1);
    assert!(!bait.is_taken());
}

#[tokio::test]
async fn one_address_of_ours_among_others_refuses_the_name() {
    let bait = Bait::lay("127.0.0.2:0");
    for answer in [["127.0.0.2", "127.0.0.1"], ["10.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"]] {
        let client = client_of(Rebinding::new(&[&answer]));
        let url = url(&format!("http://mixed.example:{}/", bait.address().port()));
        let attempt = client.post(&url, &[], Vec::new()).await;
        assert_eq!(attempt.error, Some(AttemptError::RefusedAddress), "{answer:?}");
    }
    assert!(!bait.is_taken());
}

#[tokio::test]
async fn a_name_without_addresses_is_an_error_of_dns() {
    let client = client_of(Rebinding::new(&[&[]]));
    let attempt = client.post(&url("https://empty.example/"), &[], Vec::new()).await;
    assert_eq!(attempt.error, Some(AttemptError::Dns));
}

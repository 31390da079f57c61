//! `TCP_NODELAY` for the connections that sqlx made.
//!
//! sqlx 0.9.0 leaves Nagle's algorithm on (sqlx issue 4335, mended but not released) and gives nobody its socket. What a statement has
//! beyond the first segments then waits for an acknowledgement that the other side delays: 48 ms in place of 5 for one of 24 KB through
//! Docker's proxy. So the option is set on the process's own sockets to that address, found by their numbers. It is harmless on
//! any other socket that a number may mean by then.

use nix::sys::socket::{SockaddrIn, SockaddrIn6, SockaddrStorage, getpeername, setsockopt, sockopt::TcpNoDelay};

/// Where Linux lists what a process has open; elsewhere nothing is done.
const OPEN_FILES: &str = "/proc/self/fd";

/// Sets the option on all sockets of this process that are connected to this port.
pub fn tcp_nodelay_to(port: u16) {
    let Ok(open) = std::fs::read_dir(OPEN_FILES) else { return };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| peer_port(*number) == Some(port)) {
        if let Err(error) = setsockopt(number, TcpNoDelay, &true) {
            tracing::debug!(%error, "a connection to the database keeps Nagle's algorithm");
        }
    }
}

/// `None` where it is no TCP connection.
fn peer_port(number: i32) -> Option<u16> {
    let peer: SockaddrStorage = getpeername(number).ok()?;
    let v4 = peer.as_sockaddr_in().map(SockaddrIn::port);
    v4.or_else(|| peer.as_sockaddr_in6().map(SockaddrIn6::port))
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd as _,
        time::Duration,
    };

    use nix::sys::socket::getsockopt;
    use test_support::TestDatabase;
    use url::Url;

    use super::*;
    use crate::{Database, DatabaseConfig, samples::customer};

    #[test]
    fn only_sockets_to_the_port_are_changed() {
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (database, other) = (listen(), listen());
        let connect = |to: &TcpListener| TcpStream::connect(to.local_addr().expect("bound")).expect("connects");
        let (ours, foreign) = (connect(&database), connect(&other));
        tcp_nodelay_to(database.local_addr().expect("bound").port());
        assert!(ours.nodelay().expect("a socket"));
        assert!(!foreign.nodelay().expect("a socket"));
        assert_eq!(peer_port(database.as_raw_fd()), None, "it has no peer");
    }

    #[tokio::test]
    async fn a_connection_of_the_pool_has_it() {
        let server = TestDatabase::create(&test_support::database_url()).await;
        let mut config = DatabaseConfig::new(server.url().to_owned().into());
        config.operation_timeout = Duration::from_secs(30);
        let db = Database::open(config).await.expect("the URL is accepted");
        db.assume_migrated();
        // The table is not there yet, but the server was asked.
        db.account(customer(1), None, 1).await.expect_err("no table");
        assert_ne!(db.pool_use().0, 0);
        let port = Url::parse(server.url()).expect("a URL").port().expect("with a port");
        let numbers: Vec<i32> = std::fs::read_dir(OPEN_FILES)
            .expect("on Linux")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|number| peer_port(*number) == Some(port))
            .collect();
        let with = numbers.iter().filter(|number| getsockopt(**number, TcpNoDelay).expect("a socket")).count();
        assert_ne!(with, 0, "of {} sockets", numbers.len());
        db.close().await;
        server.drop().await.expect("the database is dropped");
    }
}

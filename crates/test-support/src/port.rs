//! Free ports for servers under test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

// Below the range from which the kernel takes ports for outgoing connections: otherwise a port could be taken by a
// client while its server restarts, and a client that retries a closed port could even connect to itself.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A loopback TCP port on which nothing listens now.
///
/// # Panics
///
/// When a thousand ports in a row are taken.
pub fn free_port() -> u16 {
    (0..1_000)
        .map(|_| FIRST + random_u16() % COUNT)
        .find(|port| is_free(*port))
        .expect("one of a thousand random ports is free")
}

/// `127.0.0.1` with a [`free_port`].
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// Whether a server could listen on this loopback port now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn random_u16() -> u16 {
    let bytes = uuid::Uuid::now_v7().into_bytes();
    u16::from_be_bytes([bytes[14], bytes[15]])
}

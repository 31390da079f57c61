//! Free ports for servers under test.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

// Below the range from which the kernel takes ports for outgoing connections: otherwise a port could be taken by a
// client while its server restarts, and a client that retries a closed port could even connect to itself.
const FIRST: u16 = 12_000;
const COUNT: u32 = 20_000;

/// Ports that a process goes through before it comes to those of the next one.
const OF_A_PROCESS: u32 = 40;

/// How many ports this process was given. One that was given is not free, though nothing listens there yet: two services of a test would
/// get the same.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A loopback TCP port on which nothing listens now, and which neither this process nor one that runs beside it was given before.
///
/// # Panics
///
/// When a thousand ports in a row are taken.
pub fn free_port() -> u16 {
    let first = std::process::id() % (COUNT / OF_A_PROCESS) * OF_A_PROCESS;
    (0..1_000)
        .map(|_| (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|place| FIRST + u16::try_from(place).expect("below the number of ports"))
        .find(|port| is_free(*port))
        .expect("one of a thousand ports is free")
}

/// `127.0.0.1` with a [`free_port`].
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// Whether a server could listen on this loopback port now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<_> = (0..100).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| (12_000..32_000).contains(port)));
    }
}

//! Listening: on which address, and what the kernel may hold for each connection.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::bounds::STALL_TIMEOUT;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 2_048;
/// What the kernel holds for a connection, of requests that were not read and of answers that were not taken. Both count
/// twice, for its own.
const UNREAD: usize = 16 * 1024;
const NOT_TAKEN: usize = 8 * 1024;

/// Listens on the first of `candidates` that this machine has.
///
/// # Errors
/// None of the addresses exists here, or one is taken: only an address that the machine does not have leads to the
/// next.
pub fn listen(candidates: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address was given");
    for candidate in candidates {
        match listen_on(*candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                return Err(error);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens on all of `candidates` that can be, at least one.
///
/// # Errors
/// What is wrong with the last, where none can be listened on.
pub fn listen_on_all(candidates: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address was given");
    let mut listeners = Vec::new();
    for candidate in candidates {
        match listen_on(*candidate) {
            Ok(listener) => listeners.push(listener),
            Err(error) => last = error,
        }
    }
    if listeners.is_empty() { Err(last) } else { Ok(listeners) }
}

/// Accepted connections inherit the options.
fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(NOT_TAKEN)?;
    socket.set_recv_buffer_size(UNREAD)?;
    // Also ends connections that were closed with something not taken yet, which the process no longer sees.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(STALL_TIMEOUT))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

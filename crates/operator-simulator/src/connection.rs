//! Closing a connection from a handler, which actix-web itself has no way to do.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
};

use actix_web::{dev::Extensions, rt};

/// A second handle to a request's connection.
#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl Connection {
    /// Keeps a handle beside each new connection; without one (no file descriptors left), hanging up does nothing.
    pub(crate) fn remember(io: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<rt::net::TcpStream>() else { return };
        if let Ok(handle) = stream.as_fd().try_clone_to_owned() {
            extensions.insert(Self(handle.into()));
        }
    }

    /// Ends both directions at once. The server sees that as a client that left, and drops the request.
    pub(crate) fn hang_up(&self) {
        // An error means that the client was faster.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

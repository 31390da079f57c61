//! How an attempt to post a callback ended.

use std::{error::Error, fmt, io, iter, time::Duration};

use crate::resolver::HostError;

/// How an attempt ended: with a status or with an error, never with both.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The status of the answer, as soon as there was one: a body that broke off changes nothing.
    pub status: Option<u16>,
    /// How long the answer asks to wait. A date, or a wait of more than a century, is taken for none.
    pub retry_after: Option<Duration>,
    /// Why there was no answer.
    pub error: Option<AttemptError>,
    /// The beginning of the answer's body, at most 1024 bytes.
    pub response: Vec<u8>,
    /// How long it took, with the reading of the body.
    pub duration: Duration,
}

impl fmt::Debug for Attempt {
    /// Without the response, which belongs to the customer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("error", &self.error)
            .field("response_bytes", &self.response.len())
            .field("duration", &self.duration)
            .finish()
    }
}

/// Why an attempt got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptError {
    /// The name did not resolve.
    Dns,
    /// It leads to an address to which callbacks may not go.
    RefusedAddress,
    /// There was no connection: the port is closed, or no way leads there.
    Connect,
    /// It is not TLS, or the certificate is not good for the host.
    Tls,
    /// It took too long, to connect or to answer.
    Timeout,
    /// The other side closed the connection without an answer.
    Closed,
    /// Anything else, such as an answer that is not HTTP.
    Other,
}

impl AttemptError {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Dns, Self::RefusedAddress, Self::Connect, Self::Tls, Self::Timeout, Self::Closed, Self::Other];

    /// Its name for databases, metrics and customers: at most 32 ASCII characters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::RefusedAddress => "refused_address",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Other => "other",
        }
    }

    /// Which one an error of the HTTP client is. What its causes say counts for more than when it happened.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        causes(error).find_map(told).unwrap_or_else(|| match (error.is_timeout(), error.is_connect()) {
            (true, _) => Self::Timeout,
            (false, true) => Self::Connect,
            (false, false) => Self::Other,
        })
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error, its cause, the cause of that, and so on.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        // The source of an I/O error is that of the error within, which it would pass over.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// What this cause tells by itself.
fn told(cause: &(dyn Error + 'static)) -> Option<AttemptError> {
    if let Some(host) = cause.downcast_ref::<HostError>() {
        return Some(match host {
            HostError::Refused(_) => AttemptError::RefusedAddress,
            HostError::Unresolved(_) | HostError::TooSlow => AttemptError::Dns,
        });
    }
    if cause.is::<rustls::Error>() {
        return Some(AttemptError::Tls);
    }
    is_closing(cause).then_some(AttemptError::Closed)
}

/// Whether it is the other side that went away.
fn is_closing(cause: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    let by_system = cause
        .downcast_ref::<io::Error>()
        .is_some_and(|error| matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe));
    let by_protocol = cause
        .downcast_ref::<hyper::Error>()
        .is_some_and(|error| error.is_incomplete_message() || error.is_closed() || error.is_canceled());
    by_system || by_protocol
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_differ() {
        let names = AttemptError::ALL.map(AttemptError::as_str);
        for (index, name) in names.iter().enumerate() {
            assert!(name.is_ascii() && (1..=32).contains(&name.len()), "{name}");
            assert!(!names[..index].contains(name), "{name}");
        }
    }

    #[test]
    fn an_error_within_an_io_error_is_a_cause() {
        let tls = rustls::Error::DecryptError;
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(causes(&error).find_map(told), Some(AttemptError::Tls));
        assert_eq!(causes(&io::Error::from(io::ErrorKind::ConnectionReset)).find_map(told), Some(AttemptError::Closed));
        assert_eq!(causes(&io::Error::from(io::ErrorKind::ConnectionRefused)).find_map(told), None);
    }
}

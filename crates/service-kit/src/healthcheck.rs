//! `--healthcheck`: asks the process that runs beside this one whether it is ready, so that an image needs no HTTP client.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use settings::{ListenAddr, SettingError, Source};

/// The longest wait for the connection, and for each part of the answer. A readiness report takes up to 0.8 s.
const LIMIT: Duration = Duration::from_secs(2);

/// More than any report has, in bytes.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Why a process is not known to be ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// The address to ask is not accepted.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Nobody answered.
    #[error("no answer from {address}")]
    NoAnswer {
        /// Who was asked last.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It says itself that it is not.
    #[error("not ready: {status} {report}")]
    NotReady {
        /// The HTTP status.
        status: u16,
        /// The report, which names what is unavailable.
        report: String,
    },
}

/// Asks `/readyz` of the process that serves on `listen`, over loopback. The text is its report, in one line.
///
/// # Errors
/// It is not ready, does not answer within seconds, or the address in `source` is not accepted.
pub fn readiness(source: &Source, listen: ListenAddr) -> Result<String, HealthcheckError> {
    let mut answer = Err((SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), io::ErrorKind::AddrNotAvailable.into()));
    for candidate in source.listen_addr(listen.variable, listen.default)? {
        let address = over_loopback(candidate);
        answer = ask(address).map_err(|error| (address, error));
        if answer.is_ok() {
            break;
        }
    }
    match answer {
        Ok((200, report)) => Ok(report),
        Ok((status, report)) => Err(HealthcheckError::NotReady { status, report }),
        Err((address, source)) => Err(HealthcheckError::NoAnswer { address, source }),
    }
}

/// Who listens on all interfaces is asked on the loopback one.
fn over_loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Status and body of `GET /readyz`. HTTP/1.0, for which the server closes the connection after its answer.
fn ask(address: SocketAddr) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what answers does not speak HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.lines().next().unwrap_or_default().to_owned()))
}

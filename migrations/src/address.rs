//! Where the database is: its URL, read part by part, so that a mistake is named before anything is opened.

mod file;
mod server;

use std::{
    fmt::{self, Write as _},
    net::Ipv6Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm_migration::sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{
        ConnectOptions as _, Connection as _,
        mysql::{MySqlConnectOptions, MySqlConnection},
    },
};

/// The forms of a database URL.
pub const ACCEPTED_URLS: &str = "mysql://user:password@host:port/name or sqlite://path";

/// A database URL that can be used. Displayed without credentials: `host:port`, or the path of the file.
#[derive(Clone)]
pub struct Address {
    /// As the driver is to read it.
    url: String,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    /// The host of an IPv6 address has no brackets.
    Server {
        host: String,
        port: u16,
    },
    Socket(String),
}

/// Why a database URL is not accepted. No text here holds a part of it that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the database url: {problem}; expected {ACCEPTED_URLS}")]
pub struct AddressError {
    problem: String,
}

impl AddressError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into() }
    }

    /// What is wrong, without what is expected.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl Address {
    /// Reads `mysql://user:password@host:port/name` or `sqlite://path`. Reserved characters are percent-encoded in both.
    ///
    /// # Errors
    /// What is wrong with which part or parameter.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        if url.starts_with("sqlite:") {
            return Self::at_file(&file::parse(url)?);
        }
        if url.starts_with("mysql://") {
            return Ok(Self { url: url.to_owned(), place: server::parse(url)? });
        }
        Err(AddressError::new("it begins with neither mysql:// nor sqlite:"))
    }

    /// A database on a server; all parts are as they are, nothing is percent-encoded.
    ///
    /// # Errors
    /// A host that is neither a name nor an address, or no name of a database.
    pub fn at_server(
        (host, port): (&str, u16),
        name: &str,
        (user, password): (&str, &str),
    ) -> Result<Self, AddressError> {
        // Looked at before it is put into a URL, where it might become another part.
        let is_bare = host.parse::<Ipv6Addr>().is_ok();
        let host = server::host(&if is_bare { format!("[{host}]") } else { host.to_owned() })?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let [user, password, name] = [user, password, name].map(|part| encoded(part, b"._-"));
        Self::parse(&format!("mysql://{user}:{password}@{host}:{port}/{name}"))
    }

    /// The `SQLite` database in this file.
    ///
    /// # Errors
    /// A path that `SQLite` would not take for that of a file.
    pub fn at_file(path: &Path) -> Result<Self, AddressError> {
        Ok(Self { url: file::url(path)?, place: Place::File(path.to_owned()) })
    }

    /// The URL as the driver is to read it, with the credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port of a server; `None` for a file or a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match self.place {
            Place::Server { port, .. } => Some(port),
            Place::File(_) | Place::Socket(_) => None,
        }
    }

    /// The file of an `SQLite` database.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Server { .. } | Place::Socket(_) => None,
        }
    }

    /// What the driver itself reads wrongly from a URL: it takes the brackets of an IPv6 address for a part of it.
    #[must_use]
    pub fn adjust(&self, options: MySqlConnectOptions) -> MySqlConnectOptions {
        match &self.place {
            Place::Server { host, .. } => options.host(host),
            Place::File(_) | Place::Socket(_) => options,
        }
    }

    /// Connects to a server once and leaves again. The error has the cause and the address, which a pool's has not: that one
    /// waits at a closed port, and says in the end that time is up. Nothing is done for a file.
    ///
    /// # Errors
    /// Nobody answers within `limit`, or who does refuses the account or the database.
    pub async fn reach(&self, limit: Duration) -> Result<(), DbErr> {
        if self.file().is_some() {
            return Ok(());
        }
        let trouble = |cause: String| DbErr::Conn(RuntimeErr::Internal(format!("{self}: {cause}")));
        let options: MySqlConnectOptions =
            self.url.parse().map_err(|error: sea_orm_migration::sea_orm::SqlxError| trouble(error.to_string()))?;
        let options = self.adjust(options).disable_statement_logging();
        match tokio::time::timeout(limit, MySqlConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => {
                // It said who it is and what it wants, and that was accepted; how it ends does not matter.
                let _farewell = tokio::time::timeout(limit, connection.close()).await;
                Ok(())
            }
            Ok(Err(error)) => Err(trouble(error.to_string())),
            Err(_) => Err(trouble(format!("no answer of a database server within {limit:?}"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => path.display().fmt(f),
            Place::Server { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Server { host, port } => write!(f, "{host}:{port}"),
            Place::Socket(path) => f.write_str(path),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

/// Percent-encoded but for letters, digits and `kept`.
fn encoded(text: &str, kept: &[u8]) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// Undoes percent-encoding as the drivers do: a `%` without two hexadecimal digits is a percent sign.
fn decoded(part: &'static str, text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, digit(0), digit(1)) {
            bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| AddressError::new(format!("the {part} is not UTF-8")))
}

#[cfg(test)]
mod tests;

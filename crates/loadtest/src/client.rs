//! One connection to the API.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

/// Longest wait for an answer; a request without one counts as an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the API is, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    authority: String,
    /// The value of `Authorization`.
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Target {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Target {
    /// Reads `http://host:port`; the port is 80 where it is missing.
    ///
    /// # Errors
    /// When it is another scheme, or has a path.
    pub fn parse(base_url: &str) -> anyhow::Result<Self> {
        let authority = base_url.trim_end_matches('/').strip_prefix("http://").filter(|rest| !rest.contains('/'));
        let authority = authority.with_context(|| format!("{base_url} is not like http://localhost:8080"))?;
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { authority, authorization: None })
    }

    /// The same with an API key in every request.
    ///
    /// # Errors
    /// When it holds what no header can.
    pub fn with_key(self, key: &str) -> anyhow::Result<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {key}")).context("the API key is no header's value")?;
        value.set_sensitive(true);
        Ok(Self { authorization: Some(value), ..self })
    }

    /// This port of this machine.
    pub fn local(port: u16) -> Self {
        Self { authority: format!("127.0.0.1:{port}"), authorization: None }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SendError {
    /// No connection.
    Connect,
    /// The connection broke.
    Broken,
    /// Nothing within 10 s.
    Timeout,
}

impl SendError {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
        }
    }
}

/// A keep-alive connection that is opened again after a failure.
#[derive(Debug)]
pub struct Client {
    target: Target,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Reads and writes; ends with this value.
    _io: JoinSet<()>,
}

impl Client {
    /// Nothing is opened yet.
    pub fn new(target: Target) -> Self {
        Self { target, connection: None }
    }

    /// Opens the connection where it is not open.
    pub async fn connect(&mut self) -> Result<(), SendError> {
        if self.connection.as_ref().is_none_or(|connection| connection.sender.is_closed()) {
            let opened = tokio::time::timeout(PATIENCE, open(&self.target)).await;
            self.connection = Some(opened.map_err(|_| SendError::Timeout)?.map_err(|_| SendError::Connect)?);
        }
        Ok(())
    }

    /// `GET` a path.
    pub async fn get(&mut self, path: &str) -> Result<Reply, SendError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// `POST` JSON to a path.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Result<Reply, SendError> {
        self.call(Method::POST, path, body.into()).await
    }

    async fn call(&mut self, method: Method, path: &str, body: Bytes) -> Result<Reply, SendError> {
        self.connect().await?;
        // Put back only when it went well: after a failure the connection's state is unknown.
        let Some(mut connection) = self.connection.take() else { return Err(SendError::Connect) };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.target.authority)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.target.authorization {
            request = request.header(AUTHORIZATION, key);
        }
        let request = request.body(Full::new(body)).map_err(|_| SendError::Connect)?;
        let exchanged = tokio::time::timeout(PATIENCE, exchange(&mut connection.sender, request)).await;
        let (status, body) = exchanged.map_err(|_| SendError::Timeout)?.map_err(|_| SendError::Broken)?;
        self.connection = Some(connection);
        Ok(Reply { status: status.as_u16(), body })
    }
}

async fn open(target: &Target) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(&target.authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut io = JoinSet::new();
    io.spawn(async move {
        // Its error is the one that the request under way gets.
        let _ = connection.await;
    });
    Ok(Connection { sender, _io: io })
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> hyper::Result<(StatusCode, Bytes)> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_name_a_host_and_nothing_else() {
        let parse = |url| Target::parse(url).map(|target| target.to_string()).ok();
        assert_eq!(parse("http://localhost:8080").as_deref(), Some("http://localhost:8080"));
        assert_eq!(parse("http://localhost:8080/").as_deref(), Some("http://localhost:8080"));
        assert_eq!(parse("http://example.org").as_deref(), Some("http://example.org:80"));
        assert_eq!(parse("https://localhost"), None);
        assert_eq!(parse("http://localhost/messages"), None);
    }
}

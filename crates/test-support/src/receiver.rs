//! An HTTP server of a customer, which answers as it is told and keeps what it gets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    /// Path and query.
    pub target: String,
    /// With names in small letters.
    pub headers: HashMap<String, String>,
    /// As it came.
    pub body: String,
}

/// Answers with a status, from the moment it is made until it is dropped.
pub struct Receiver {
    /// Where it takes requests.
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    status: Mutex<u16>,
    received: Mutex<Vec<Received>>,
}

impl Receiver {
    /// One that answers with this status.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn answering(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/callbacks", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared { status: Mutex::new(status), received: Mutex::default() });
        let serving = Arc::clone(&shared);
        #[expect(clippy::disallowed_methods, reason = "it ends with the receiver")]
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                connections.spawn(async move { serving.serve(connection).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { url, shared, server }
    }

    /// What it answers from now on.
    pub fn answer(&self, status: u16) {
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// All that came, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// One request of a connection, which is closed then.
    async fn serve(&self, connection: TcpStream) {
        let mut connection = BufReader::new(connection);
        let Some(received) = read(&mut connection).await else { return };
        let status = *self.status.lock().unwrap_or_else(PoisonError::into_inner);
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        let answer = format!("HTTP/1.1 {status} Told\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        // Who went away needs no answer.
        let _ = connection.write_all(answer.as_bytes()).await;
    }
}

async fn read(connection: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut headers = HashMap::new();
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    loop {
        line.clear();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    Some(Received { target, headers, body: String::from_utf8(body).ok()? })
}

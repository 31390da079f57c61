//! A server that answers bytes, for what a well-behaved HTTP server cannot be made to send.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use crate::ANY;

/// What the server does once it has read a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Sends this and closes.
    Text(String),
    /// Sends this after each request that comes over the connection.
    TextEachTime(String),
    /// Sends this and keeps the connection open.
    TextAndSilence(String),
    /// Sends this, then zeros for as long as the client reads.
    TextAndEndlessBody(String),
    /// Closes with a TCP reset.
    TcpReset,
}

/// Serves until dropped.
#[derive(Debug)]
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    /// Every request, as it came.
    pub(crate) requests: mpsc::Receiver<String>,
    /// How many connections were made.
    pub(crate) connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl RawServer {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind(ANY).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (sender, requests) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        let connections = Arc::new(AtomicUsize::new(0));
        tasks.spawn(serve(listener, Arc::new(reply), sender, Arc::clone(&connections)));
        Self { address, requests, connections, _tasks: tasks }
    }
}

async fn serve(listener: TcpListener, reply: Arc<Reply>, requests: mpsc::Sender<String>, count: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::Relaxed);
        let (reply, requests) = (Arc::clone(&reply), requests.clone());
        connections.spawn(async move {
            // The client may leave at any time.
            let _ = answer(stream, &reply, requests).await;
        });
    }
}

async fn answer(mut stream: TcpStream, reply: &Reply, requests: mpsc::Sender<String>) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    let _ = requests.send(request).await;
    match reply {
        Reply::Text(text) => stream.write_all(text.as_bytes()).await,
        Reply::TextEachTime(text) => loop {
            stream.write_all(text.as_bytes()).await?;
            let request = read_request(&mut stream).await?;
            if request.is_empty() {
                return Ok(());
            }
            let _ = requests.send(request).await;
        },
        Reply::TextAndSilence(text) => {
            stream.write_all(text.as_bytes()).await?;
            std::future::pending().await
        }
        Reply::TextAndEndlessBody(text) => {
            stream.write_all(text.as_bytes()).await?;
            loop {
                stream.write_all(&[b'0'; 8192]).await?;
            }
        }
        Reply::TcpReset => stream.set_zero_linger(),
    }
}

/// Reads the head, and as much of the body as it announces.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await?;
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let announced = |head: &str| {
            head.to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
        };
        let is_whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| Some(body.len()) >= announced(head));
        if length == 0 || is_whole {
            return Ok(text);
        }
    }
}

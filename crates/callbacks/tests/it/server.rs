//! A server that answers bytes.

use std::{
    future::pending,
    io,
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

/// What the server does with each connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Sends this after each request.
    Text(&'static str),
    /// Sends this after a request and closes.
    Last(&'static str),
    /// Sends this after a request and keeps the connection open.
    TextAndSilence(&'static str),
    /// Sends this after a request, then zeros for as long as the client reads.
    TextAndEndlessBody(&'static str),
    /// Sends this as soon as anything comes.
    Blurt(&'static str),
    /// Closes as soon as anything comes, of which it leaves some unread: the system then resets the connection.
    Close,
}

/// Serves until dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Every request, as it came.
    pub(crate) requests: mpsc::UnboundedReceiver<String>,
    connections: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts at 127.0.0.1.
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::start_on(listener, reply)
    }

    pub(crate) fn start_on(listener: TcpListener, reply: Reply) -> Self {
        let address = listener.local_addr().expect("bound");
        let (sender, requests) = mpsc::unbounded_channel();
        let (connections, sent) = (Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        let side = Side { reply, requests: sender, sent: Arc::clone(&sent) };
        tasks.spawn(serve(listener, side, Arc::clone(&connections)));
        Self { address, requests, connections, sent, _tasks: tasks }
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Bytes that were sent of endless bodies.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

/// What each connection has of its server.
#[derive(Clone)]
struct Side {
    reply: Reply,
    requests: mpsc::UnboundedSender<String>,
    sent: Arc<AtomicUsize>,
}

async fn serve(listener: TcpListener, side: Side, count: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::Relaxed);
        let side = side.clone();
        connections.spawn(async move {
            // The client may leave at any time.
            let _ = side.answer(stream).await;
        });
    }
}

impl Side {
    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        match self.reply {
            Reply::Close => drop(stream.read_u8().await?),
            Reply::Blurt(text) => return blurt(&mut stream, text).await,
            _ => {}
        }
        while let Reply::Text(text)
        | Reply::Last(text)
        | Reply::TextAndSilence(text)
        | Reply::TextAndEndlessBody(text) = self.reply
        {
            let request = read_request(&mut stream).await?;
            // The test may be over.
            let _ = self.requests.send(request);
            stream.write_all(text.as_bytes()).await?;
            match self.reply {
                Reply::TextAndSilence(_) => pending().await,
                Reply::TextAndEndlessBody(_) => self.send_zeros(&mut stream).await?,
                Reply::Text(_) => {}
                _ => break,
            }
        }
        Ok(())
    }

    async fn send_zeros(&self, stream: &mut TcpStream) -> io::Result<()> {
        loop {
            stream.write_all(&[b'0'; 8192]).await?;
            self.sent.fetch_add(8192, Ordering::Relaxed);
        }
    }
}

/// Sends the text once anything has come, and leaves closing to the client.
async fn blurt(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.read_u8().await?;
    stream.write_all(text.as_bytes()).await?;
    tokio::io::copy(stream, &mut tokio::io::sink()).await.map(drop)
}

/// Reads the head and the body that it announces.
async fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let announced =
            |head: &str| head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if text.split_once("\r\n\r\n").is_some_and(|(head, body)| Some(body.len()) >= announced(head)) {
            return Ok(text);
        }
    }
}

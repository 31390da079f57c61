//! An operator whose answers wait until the test lets them go.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use operators::OperatorsConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::{eventually, operators};

/// What a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(u16),
    /// The connection is closed: what became of the message is not known.
    Close,
}

/// Serves until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    address: SocketAddr,
    desk: Arc<Desk>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Desk {
    reply: Reply,
    /// Calls to numbers that end so are held, others answered at once.
    ending: &'static str,
    keys: Mutex<Vec<String>>,
    answers: Semaphore,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Held {
    /// Holds every call.
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::start_for("", reply).await
    }

    /// Holds calls to numbers that end with these digits.
    pub(crate) async fn start_for(ending: &'static str, reply: Reply) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let desk = Arc::new(Desk {
            reply,
            ending,
            keys: Mutex::default(),
            answers: Semaphore::new(0),
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&desk)));
        Self { address, desk, _serving: serving }
    }

    /// This one alone, called `held`.
    pub(crate) fn operators(&self) -> OperatorsConfig {
        operators(&format!("held=http://{}/", self.address))
    }

    /// The idempotency keys of all calls so far, in the order in which they came.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.desk.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many calls have come.
    pub(crate) async fn reaches(&self, calls: usize) {
        eventually(&format!("{calls} calls of the operator"), async || self.keys().len() >= calls).await;
    }

    /// Answers so many calls, now or when they come.
    pub(crate) fn answer(&self, calls: usize) {
        self.desk.answers.add_permits(calls);
    }

    /// The most calls that have run at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.desk.most_at_once.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            // The client may leave at any time.
            let _ = desk.answer_calls(stream).await;
        });
    }
}

impl Desk {
    async fn answer_calls(&self, mut stream: TcpStream) -> std::io::Result<()> {
        while let Some(key) = read_call(&mut stream).await? {
            let is_held = key.ends_with(self.ending);
            self.keys.lock().unwrap_or_else(PoisonError::into_inner).push(key);
            let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_at_once.fetch_max(running, Ordering::Relaxed);
            if is_held {
                self.answers.acquire().await.expect("never closed").forget();
            }
            self.running.fetch_sub(1, Ordering::Relaxed);
            match self.reply {
                Reply::Close => return Ok(()),
                Reply::Status(code) => {
                    let answer = format!("HTTP/1.1 {code} As-Told\r\nContent-Length: 2\r\n\r\n{{}}");
                    stream.write_all(answer.as_bytes()).await?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a whole request and gives its key; `None` where the client has closed.
async fn read_call(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(None);
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced: usize = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= announced {
            return Ok(header(head, "idempotency-key").map(ToOwned::to_owned));
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

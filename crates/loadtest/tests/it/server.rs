//! An HTTP server that does what it is told for each request.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use loadtest::Target;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What to do with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Status(u16),
    /// 200, after a while.
    Late(Duration),
    HangUp,
}

type Plan = fn(usize) -> Answer;

/// Ends when dropped.
pub(crate) struct Server {
    port: u16,
    bodies: Arc<Mutex<Vec<Value>>>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Answers request `n`, in the order of arrival, with `plan(n)`.
    pub(crate) async fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                connections.spawn(async move {
                    // The end of a connection is no failure of the server.
                    let _ = serve(stream, plan, &kept).await;
                });
            }
        });
        Self { port, bodies, _accepting: accepting }
    }

    pub(crate) fn target(&self) -> Target {
        Target::local(self.port)
    }

    /// The bodies of all requests.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().expect("nobody panics with it").clone()
    }
}

async fn serve(stream: TcpStream, plan: Plan, bodies: &Mutex<Vec<Value>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        stream.read_line(&mut line).await?;
        assert!(line.is_empty() || line.starts_with("POST /messages/send "), "{line}");
        while line.trim() != "" {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
            stream.read_line(&mut line).await?;
        }
        if length == 0 {
            return Ok(());
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let index = {
            let mut bodies = bodies.lock().expect("nobody panics with it");
            bodies.push(serde_json::from_slice(&body).expect("JSON"));
            bodies.len() - 1
        };
        let status = match plan(index) {
            Answer::HangUp => return Ok(()),
            Answer::Status(status) => status,
            Answer::Late(wait) => {
                tokio::time::sleep(wait).await;
                200
            }
        };
        stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes()).await?;
    }
}

//! The gateway as a process on a database of its own, and clients that know nothing of manners.

use std::{fs, net::SocketAddr, time::Duration};

use tempfile::TempDir;
use test_support::{ServiceProcess, free_address, wait_until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// After this a gateway that does not answer counts as hanging.
const DEADLINE: Duration = Duration::from_mins(1);
const MIB: u64 = 1024 * 1024;

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) process: ServiceProcess,
    /// Descriptors that it has open when nobody is connected.
    at_rest: usize,
    _folder: TempDir,
}

impl Gateway {
    /// Ready, with 10,000 credits for customer 1.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database");
        let url = format!("sqlite://{}/test.sqlite?mode=rwc", folder.path().display());
        let rabbit = format!("amqp://test:test@{}", free_address());
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("RABBIT_URI", &rabbit),
            ("GLOBAL_RATE_LIMIT_RPS", "0"),
            ("USER_RATE_LIMIT_RPS", "0"),
            ("BACKPRESSURE_ENABLED", "false"),
        ];
        let mut process = ServiceProcess::new(env!("CARGO_BIN_EXE_api-gateway").into(), "LISTEN_ADDR", settings);
        process.start();
        process.ready().await;
        let address = process.address();
        let mut gateway = Self { address, process, at_rest: 0, _folder: folder };
        let funded = exchange(address, "POST /balance/add HTTP/1.1", r#"{"user_id":1,"balance":10000}"#).await;
        assert!(funded.is_some_and(|answer| answer.starts_with(OK)));
        gateway.at_rest = gateway.descriptors();
        gateway
    }

    /// So many connections, each with `request` written as far as the gateway takes it, and nothing read. Writing
    /// goes on while it is held.
    pub(crate) async fn attack(&self, connections: usize, request: Vec<u8>) -> Attack {
        let request: std::sync::Arc<[u8]> = request.into();
        let mut writing = tokio::task::JoinSet::new();
        for _ in 0..connections {
            let mut stream = timeout(DEADLINE, TcpStream::connect(self.address)).await.expect("in time").expect("open");
            let request = std::sync::Arc::clone(&request);
            writing.spawn(async move {
                // The gateway may cut it off.
                drop(stream.write_all(&request).await);
                std::future::pending::<()>().await;
                drop(stream);
            });
        }
        Attack { _writing: writing }
    }

    /// A probe and a message are answered, ten times.
    pub(crate) async fn serves_others(&self) {
        for _ in 0..10 {
            self.serves_another().await;
        }
    }

    /// So are three of them before the gateway has let go of whom it waits for: nobody stands in line behind these.
    pub(crate) async fn serves_others_meanwhile(&self) {
        for served in 0..3 {
            self.serves_another().await;
            assert!(self.holds_others(), "the attack was over before {served} others were served");
        }
        self.serves_others().await;
    }

    async fn serves_another(&self) {
        let body = r#"{"customer_id":1,"text":"hi","recipients":["111"]}"#;
        for (line, body) in [("GET /healthz HTTP/1.1", ""), ("POST /messages/send HTTP/1.1", body)] {
            let answer =
                timeout(DEADLINE, exchange(self.address, line, body)).await.expect("in time").expect("an answer");
            assert!(answer.starts_with(OK), "{line}: {answer}");
        }
    }

    /// Waits until the gateway has let go of all connections.
    pub(crate) async fn is_left_alone(&self) {
        let gone = async || (!self.holds_others()).then_some(());
        wait_until(DEADLINE, "a gateway without connections", gone).await;
    }

    fn holds_others(&self) -> bool {
        self.descriptors() > self.at_rest + 4
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("it runs").count()
    }

    /// The most memory it ever had, in MiB.
    #[track_caller]
    pub(crate) fn needed_less_than(&self, mib: u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        assert!(kib * 1024 < mib * MIB, "it needed {} MiB, allowed are {mib}", kib / 1024);
    }
}

/// Connections of an attack; they close when it is dropped.
pub(crate) struct Attack {
    _writing: tokio::task::JoinSet<()>,
}

pub(crate) const OK: &str = "HTTP/1.1 200 ";

/// A request on a connection of its own; `None` where no answer came.
pub(crate) async fn exchange(address: SocketAddr, line: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(request(line, "Connection: close\r\n", body).as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

/// A request as text.
pub(crate) fn request(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{line}\r\nHost: test\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

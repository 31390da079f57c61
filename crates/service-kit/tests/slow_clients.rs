//! Clients of the admin server that do not read, or do not come to the end of what they send.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{io, net::SocketAddr, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use service_kit::{Health, admin::AdminServer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// After this a connection counts as held for good.
const DEADLINE: Duration = Duration::from_mins(1);
/// So many of them; a test holds both ends, within the descriptors that it has at least.
const MANY: usize = 400;

const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";

fn start() -> SocketAddr {
    let server = AdminServer::bind(&["127.0.0.1:0".parse().unwrap()], Health::new(), telemetry::recorder().1).unwrap();
    let address = server.local_addr();
    TaskTracker::new().spawn(server.run(CancellationToken::new()));
    address
}

async fn connect(address: SocketAddr) -> TcpStream {
    timeout(DEADLINE, TcpStream::connect(address)).await.expect("in time").unwrap()
}

/// Reads the answer to [`HEALTHZ`].
async fn healthy(stream: &mut TcpStream) {
    let mut answer = vec![0; 4096];
    let read = timeout(DEADLINE, stream.read(&mut answer)).await.expect("an answer in time").unwrap();
    let answer = std::str::from_utf8(&answer[..read]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
}

/// As [`connect`], with little room for answers on this side.
async fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    timeout(DEADLINE, socket.connect(address)).await.expect("in time").unwrap()
}

/// Sends requests and reads no answer, until the server ends the connection.
async fn send_without_end(mut stream: TcpStream) -> io::Error {
    let requests = HEALTHZ.repeat(100);
    loop {
        if let Err(error) = stream.write_all(requests.as_bytes()).await {
            return error;
        }
    }
}

/// Reads up to the end.
async fn is_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    drop(timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("the connection is closed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_cut_off() {
    let stream = connect_narrow(start()).await;
    timeout(DEADLINE, send_without_end(stream)).await.expect("the server ends the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_beside_many_that_do_not_read() {
    let address = start();
    let mut attackers = JoinSet::new();
    for _ in 0..MANY {
        attackers.spawn(send_without_end(connect_narrow(address).await));
    }
    let mut served = 0;
    // As long as it takes until the last is cut off, somebody else asks.
    let cut_off = async { while attackers.join_next().await.is_some() {} };
    tokio::pin!(cut_off);
    let asking = async {
        loop {
            let mut stream = connect(address).await;
            stream.write_all(HEALTHZ.as_bytes()).await.unwrap();
            healthy(&mut stream).await;
            served += 1;
        }
    };
    tokio::select! {
        () = asking => {}
        ended = timeout(DEADLINE, &mut cut_off) => ended.expect("all are cut off"),
    }
    assert!(served >= 10, "only {served} were served meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_beside_thousands_that_ask_nothing() {
    // Both ends are in this process.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let address = start();
    let (mut idle, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..1_200 {
        let mut stream = connect(address).await;
        stream.write_all(HEALTHZ.as_bytes()).await.unwrap();
        healthy(&mut stream).await;
        idle.push(stream);
    }
    for _ in 0..700 {
        let mut stream = connect(address).await;
        stream.write_all(&HEALTHZ.as_bytes()[..HEALTHZ.len() - 1]).await.unwrap();
        slow.push(stream);
    }
    let mut stream = connect(address).await;
    stream.write_all(HEALTHZ.as_bytes()).await.unwrap();
    healthy(&mut stream).await;
    drop((idle, slow));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_ahead_is_answered_in_order() {
    let mut stream = connect(start()).await;
    let (unknown, rounds) = ("GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n", 500);
    let (mut reader, mut writer) = stream.split();
    let requests = format!("{HEALTHZ}{unknown}").repeat(rounds);
    let asking = async { writer.write_all(requests.as_bytes()).await.unwrap() };
    let reading = async {
        let mut answers = String::new();
        while answers.matches("HTTP/1.1 ").count() < 2 * rounds || !answers.ends_with('}') {
            let mut piece = [0; 4096];
            let read = reader.read(&mut piece).await.unwrap();
            assert!(read > 0, "the connection was closed");
            answers.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        answers
    };
    let (answers, ()) = timeout(DEADLINE, async { tokio::join!(reading, asking) }).await.expect("answers in time");
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "404"].repeat(rounds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_request_must_come_to_its_end_too() {
    let mut stream = connect(start()).await;
    stream.write_all(HEALTHZ.as_bytes()).await.unwrap();
    healthy(&mut stream).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    is_closed(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_wants_must_come_to_its_end() {
    let mut stream = connect(start()).await;
    let chunked = "GET /healthz HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    stream.write_all(chunked.as_bytes()).await.unwrap();
    healthy(&mut stream).await;
    stream.write_all(b"5\r\nhel").await.unwrap();
    is_closed(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_end_that_nobody_wants_is_not_read_for_ever() {
    let mut stream = connect(start()).await;
    let chunked = "GET /healthz HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(chunked.as_bytes()).await.unwrap();
    let chunks = "5\r\nhello\r\n".repeat(1_000);
    let sending = async { while stream.write_all(chunks.as_bytes()).await.is_ok() {} };
    timeout(DEADLINE, sending).await.expect("the server ends the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_kept_after_a_body_that_nobody_wanted() {
    let mut stream = connect(start()).await;
    let chunked = "GET /healthz HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    stream.write_all(chunked.as_bytes()).await.unwrap();
    healthy(&mut stream).await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    stream.write_all(HEALTHZ.as_bytes()).await.unwrap();
    healthy(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_head_ends_its_connection() {
    let mut stream = connect(start()).await;
    let large = format!("GET /healthz HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    stream.write_all(large.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("the connection is closed").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.to_lowercase().contains("connection: close"), "{answer}");
}

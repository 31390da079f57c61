//! What clients leave of long answers is bounded for all of them together.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use actix_web::{App, HttpResponse, web};
use service_kit::http::{Ending, HttpServer, invite_all, listen};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const DEADLINE: Duration = Duration::from_mins(1);
const LENGTH: usize = 4 * 1024 * 1024;
/// What is not made for one client is held once.
static SHARED: [u8; LENGTH] = [b'x'; LENGTH];

fn start() -> SocketAddr {
    let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = listener.local_addr().unwrap();
    let ending = Ending { farewell: Duration::ZERO, drain: Duration::from_secs(1) };
    let own = || async { HttpResponse::Ok().body(vec![b'x'; LENGTH]) };
    let shared = || async { HttpResponse::Ok().body(web::Bytes::from_static(&SHARED)) };
    let app = move || App::new().route("/own", web::get().to(own)).route("/shared", web::get().to(shared));
    let server = HttpServer::new(vec![listener], NonZeroUsize::MIN, ending, invite_all, app).unwrap();
    TaskTracker::new().spawn(server.run(CancellationToken::new()));
    address
}

/// The beginning of the answer; the rest is left where it is.
async fn begin(address: SocketAddr, path: &str) -> (String, TcpStream) {
    let exchange = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.unwrap();
        let mut head = [0; 64];
        stream.read_exact(&mut head).await.unwrap();
        (String::from_utf8(head.to_vec()).unwrap(), stream)
    };
    timeout(DEADLINE, exchange).await.expect("an answer in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_do_not_fit_are_refused_and_later_ones_are_served() {
    let address = start();
    let (mut left, mut refused) = (Vec::new(), 0);
    for _ in 0..20 {
        let (head, stream) = begin(address, "/own").await;
        if head.starts_with("HTTP/1.1 503 ") { refused += 1 } else { left.push(stream) }
    }
    assert!(left.len() >= 8, "32 MiB hold eight of them: {}", left.len());
    assert!(refused > 0, "none was refused");
    let mut shared = Vec::new();
    for _ in 0..20 {
        let (head, stream) = begin(address, "/shared").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        shared.push(stream);
    }
    drop(left);
    let served = async { while !begin(address, "/own").await.0.starts_with("HTTP/1.1 200 ") {} };
    timeout(DEADLINE, served).await.expect("those who left make room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_answer_arrives_in_whole() {
    let (_, mut stream) = begin(start(), "/own").await;
    let mut rest = vec![0; LENGTH];
    let read = async {
        let mut all = 0;
        while all < LENGTH {
            all += stream.read(&mut rest).await.unwrap();
        }
        all
    };
    let read = timeout(DEADLINE, read).await.expect("in time");
    assert!((LENGTH..LENGTH + 200).contains(&read), "{read}");
}

//! How a server ends while clients keep their connections.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{num::NonZeroUsize, time::Duration};

use actix_web::{App, HttpResponse, web};
use service_kit::http::{Ending, HttpServer, invite_all, listen};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const DEADLINE: Duration = Duration::from_mins(1);

/// Asks on a connection that stays open; gives the head in lower case.
async fn ask(stream: &mut TcpStream) -> String {
    let exchange = async {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("hello") {
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "the connection was closed: {answer:?}");
            answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        answer.to_lowercase()
    };
    timeout(DEADLINE, exchange).await.expect("an answer in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_served_once_more_and_told_to_leave() {
    let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = listener.local_addr().unwrap();
    // Only a client that leaves by itself ends it in time.
    let ending = Ending { farewell: 10 * DEADLINE, drain: Duration::from_secs(1) };
    let app = || App::new().route("/", web::get().to(|| async { HttpResponse::Ok().body("hello") }));
    let server = HttpServer::new(vec![listener], NonZeroUsize::MIN, ending, invite_all, app).unwrap();
    let stop = CancellationToken::new();
    let server = TaskTracker::new().spawn(server.run(stop.clone()));

    let mut early = TcpStream::connect(address).await.unwrap();
    assert!(!ask(&mut early).await.contains("connection: close"));
    stop.cancel();
    // Every request is answered, one of the next with the word.
    let told = async { while !ask(&mut early).await.contains("connection: close") {} };
    timeout(DEADLINE, told).await.expect("it is told in time");
    assert_eq!(early.read(&mut [0; 1]).await.unwrap(), 0, "nothing comes after it");
    drop(early);
    let ended = timeout(DEADLINE, server).await.expect("no connection is left to wait for").unwrap();
    ended.expect("a stop is not an error");
    TcpStream::connect(address).await.expect_err("nobody listens any more");
}

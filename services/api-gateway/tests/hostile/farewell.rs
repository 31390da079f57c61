//! SIGTERM and clients that keep their connections: each request is answered, the last one with `Connection: close`.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};

use crate::process::{Gateway, OK, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_told_to_leave_before_it_ends() {
    let mut gateway = Gateway::start().await;
    let (served, mut watched) = watch::channel(0_u32);
    let mut clients = JoinSet::new();
    for client in 0..10 {
        clients.spawn(keep_asking(gateway.address, Duration::from_millis(100 + 20 * client), served.clone()));
    }
    watched.wait_for(|served| *served > 50).await.expect("the clients ask");
    let ended = gateway.process.terminate().await;
    assert!(ended.success(), "{ended}");
    while let Some(client) = clients.join_next().await {
        client.expect("every request is answered");
    }
}

/// One connection, a request after each pause, until an answer says that it was the last.
async fn keep_asking(address: SocketAddr, pause: Duration, served: watch::Sender<u32>) {
    let mut stream = BufReader::new(TcpStream::connect(address).await.expect("the gateway listens"));
    let body = r#"{"customer_id":1,"text":"hi","recipients":["111"]}"#;
    let request = request("POST /messages/send HTTP/1.1", "", body);
    loop {
        stream.write_all(request.as_bytes()).await.expect("the connection is open");
        let head = head(&mut stream).await;
        assert!(head.starts_with(OK), "{head:?}");
        served.send_modify(|served| *served += 1);
        if head.to_ascii_lowercase().contains("connection: close") {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Reads an answer; gives its head.
async fn head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = stream.read_line(&mut head).await.expect("the connection is open");
        assert!(read > 0, "the connection was closed without an answer");
    }
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a body");
    head
}

//! Requests that are sent ahead: each is answered as if it came alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use actix_web::{App, HttpResponse, http::Method, web};
use service_kit::http::{Ending, HttpServer, invite_all, listen};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const DEADLINE: Duration = Duration::from_mins(1);
const HELLO: &str = "hello";

/// Answers `/` with [`HELLO`] and with what it is sent; the answer to a POST takes a moment. `/refused` reads no body.
fn start() -> SocketAddr {
    let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = listener.local_addr().unwrap();
    let ending = Ending { farewell: Duration::ZERO, drain: Duration::from_secs(1) };
    let get = || async { HttpResponse::Ok().body(HELLO) };
    let post = async |body: String| {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        HttpResponse::Ok().body(body)
    };
    let refused = || async { HttpResponse::Forbidden().body("no") };
    let app = move || {
        App::new()
            .route("/", web::get().to(get))
            .route("/", web::method(Method::HEAD).to(get))
            .route("/", web::post().to(post))
            .route("/refused", web::post().to(refused))
    };
    let server = HttpServer::new(vec![listener], NonZeroUsize::MIN, ending, invite_all, app).unwrap();
    TaskTracker::new().spawn(server.run(CancellationToken::new()));
    address
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Head,
    Get,
    Counted,
    Chunked,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Head, Self::Get, Self::Counted, Self::Chunked];

    /// The `number`th request of a connection.
    fn request(self, number: usize) -> String {
        let body = format!("{number}:\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        let length = body.len();
        match self {
            Self::Head => "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Self::Get => "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Self::Counted => format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"),
            Self::Chunked => format!(
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            ),
        }
    }

    fn answer(self, number: usize) -> String {
        match self {
            Self::Head => String::new(),
            Self::Get => HELLO.into(),
            Self::Counted | Self::Chunked => format!("{number}:\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        }
    }

    fn sequences() -> impl Iterator<Item = [Self; 3]> {
        let two = Self::ALL.into_iter().flat_map(|first| Self::ALL.map(|second| [first, second]));
        two.flat_map(|[first, second]| Self::ALL.map(|third| [first, second, third]))
    }
}

/// Reads an answer's head; gives its status and the length that it tells.
async fn head(stream: &mut TcpStream) -> (String, usize) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.expect("an answer")));
    }
    assert!(head.starts_with("HTTP/1.1 "), "{head:?}");
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a length");
    (head[9..12].to_owned(), length.parse().unwrap())
}

/// Reads the answers to `kinds`, and to a last request that is sent after them.
async fn is_answered(stream: &mut TcpStream, kinds: &[Kind]) {
    let reading = async {
        for (number, kind) in kinds.iter().enumerate() {
            let (status, length) = head(stream).await;
            assert_eq!(status, "200", "{number} of {kinds:?}");
            let mut body = vec![0; if matches!(kind, Kind::Head) { 0 } else { length }];
            stream.read_exact(&mut body).await.unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), kind.answer(number), "{number} of {kinds:?}");
        }
        stream.write_all(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(head(stream).await.0, "404", "after {kinds:?}");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{rest:?} after {kinds:?}");
    };
    timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("no answer: {kinds:?}"));
}

fn all(kinds: &[Kind]) -> String {
    kinds.iter().enumerate().map(|(number, kind)| kind.request(number)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_piece() {
    let address = start();
    for kinds in Kind::sequences() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(all(&kinds).as_bytes()).await.unwrap();
        is_answered(&mut stream, &kinds).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn byte_by_byte() {
    let address = start();
    for kinds in Kind::sequences() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in all(&kinds).into_bytes() {
            stream.write_all(&[byte]).await.unwrap();
        }
        is_answered(&mut stream, &kinds).await;
    }
}

/// The first piece ends anywhere within a head or a body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_two_pieces() {
    let address = start();
    let kinds = [Kind::Chunked, Kind::Head, Kind::Counted, Kind::Head, Kind::Get];
    let bytes = all(&kinds).into_bytes();
    for split in 0..bytes.len() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&bytes[..split]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&bytes[split..]).await.unwrap();
        is_answered(&mut stream, &kinds).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_body_that_nobody_reads() {
    let mut stream = TcpStream::connect(start()).await.unwrap();
    let chunk = format!("400\r\n{}\r\n", "\r\n\r\n".repeat(256)).repeat(20);
    let refused = format!("POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    let kinds = [Kind::Head, Kind::Get, Kind::Counted];
    stream.write_all(format!("{refused}{}", all(&kinds)).as_bytes()).await.unwrap();
    assert_eq!(head(&mut stream).await, ("403".into(), 2));
    stream.read_exact(&mut [0; 2]).await.unwrap();
    is_answered(&mut stream, &kinds).await;
}

/// It has come with its head, so there is nothing to throw away, and nothing to wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_short_body_that_nobody_reads() {
    let mut stream = TcpStream::connect(start()).await.unwrap();
    let refused = Kind::Counted.request(0).replacen('/', "/refused", 1);
    let kinds = [Kind::Head, Kind::Get, Kind::Counted];
    stream.write_all(format!("{refused}{}", all(&kinds)).as_bytes()).await.unwrap();
    assert_eq!(head(&mut stream).await, ("403".into(), 2));
    stream.read_exact(&mut [0; 2]).await.unwrap();
    is_answered(&mut stream, &kinds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_invitations() {
    let mut stream = TcpStream::connect(start()).await.unwrap();
    let expecting = Kind::Counted.request(0).replacen("\r\n", "\r\nExpect: 100-continue\r\n", 1);
    let kinds = [Kind::Counted, Kind::Head, Kind::Get];
    let rest = all(&kinds).split_off(Kind::Counted.request(0).len());
    stream.write_all(format!("{expecting}{rest}").as_bytes()).await.unwrap();
    let mut invitation = [0; 25];
    stream.read_exact(&mut invitation).await.unwrap();
    assert_eq!(&invitation, b"HTTP/1.1 100 Continue\r\n\r\n");
    is_answered(&mut stream, &kinds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_end_of_the_connection_behind_them() {
    let mut stream = TcpStream::connect(start()).await.unwrap();
    let request = Kind::Get.request(0);
    stream.write_all(format!("{request}\r\n\r\n{request}{request}GARBAGE\r\n\r\n").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answers)).await.expect("in time").unwrap();
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "200", "400"]);
}

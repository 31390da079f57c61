//! More requests at once than a server has places for.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use actix_web::{App, HttpResponse, web};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use service_kit::http::{Ending, HttpServer, invite_all, listen};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const DEADLINE: Duration = Duration::from_mins(1);
const PLACES: usize = 1_024;

/// Answers when `go` is cancelled; `asked` counts the requests that got so far. It has two threads.
fn start(go: CancellationToken, asked: watch::Sender<usize>) -> SocketAddr {
    let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = listener.local_addr().unwrap();
    let ending = Ending { farewell: Duration::ZERO, drain: Duration::from_secs(1) };
    let app = move || {
        let (go, asked) = (go.clone(), asked.clone());
        let wait = move || {
            let (go, asked) = (go.clone(), asked.clone());
            async move {
                asked.send_modify(|asked| *asked += 1);
                go.cancelled().await;
                HttpResponse::Ok().body("done")
            }
        };
        App::new().route("/", web::get().to(wait))
    };
    let threads = NonZeroUsize::MIN.saturating_add(1);
    let server = HttpServer::new(vec![listener], threads, ending, invite_all, app).unwrap();
    TaskTracker::new().spawn(server.run(CancellationToken::new()));
    address
}

async fn ask(address: SocketAddr, headers: &str) -> TcpStream {
    let mut stream = timeout(DEADLINE, TcpStream::connect(address)).await.expect("in time").unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("an answer in time").unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_beyond_them_wait_and_are_refused_after_a_while() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let (go, (asked, mut watched)) = (CancellationToken::new(), watch::channel(0));
    let address = start(go.clone(), asked);
    // Large heads have their places before they are whole.
    let large = format!("X: {}\r\n", "x".repeat(6 * 1024));
    let mut streams = Vec::new();
    for number in 0..PLACES {
        streams.push(ask(address, if number % 2 == 0 { &large } else { "" }).await);
    }
    let all_asked = watched.wait_for(|asked| *asked == PLACES);
    drop(timeout(DEADLINE, all_asked).await.expect("all have a place").unwrap());

    let refused = answer(ask(address, "").await).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("system_overloaded"), "{refused}");
    assert_eq!(*watched.borrow(), PLACES, "the application has not seen it");

    streams.push(ask(address, "").await);
    go.cancel();
    for stream in streams {
        let answer = answer(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    }
}

//! Where the simulator posts its receipts: it keeps what came and answers as it was told.

use std::{
    collections::VecDeque,
    io,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, http::StatusCode, web};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::ANY;

/// How long a receipt may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) body: String,
    pub(crate) at: Instant,
    headers: Vec<(String, String)>,
}

impl Received {
    /// The header `name`, which is written in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub(crate) fn status(&self) -> String {
        self.json()["status"].as_str().expect("a status").to_owned()
    }
}

#[derive(Debug, Default)]
struct Kept {
    received: Mutex<Vec<Received>>,
    /// For the next requests; once it is empty, 204.
    answers: Mutex<VecDeque<u16>>,
}

/// A running receiver.
pub(crate) struct Receiver {
    kept: Arc<Kept>,
    url: String,
    handle: ServerHandle,
    server: JoinSet<io::Result<()>>,
}

impl Receiver {
    /// Answers with `answers`, one after another, and then with 204.
    pub(crate) fn start(answers: &[u16]) -> Self {
        Self::start_on(TcpListener::bind(ANY).expect("a free port"), answers)
    }

    /// The same, where `listener` listens.
    pub(crate) fn start_on(listener: TcpListener, answers: &[u16]) -> Self {
        let kept = Arc::new(Kept { answers: Mutex::new(answers.iter().copied().collect()), ..Kept::default() });
        let data = web::Data::from(Arc::clone(&kept));
        let app = move || App::new().app_data(data.clone()).route("/receipts", web::post().to(receive));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("it listens");
        let url = format!("http://{}/receipts", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        let mut tasks = JoinSet::new();
        tasks.spawn(server);
        Self { kept, url, handle, server: tasks }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What came so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.kept.received.lock().expect("not poisoned").clone()
    }

    /// Waits until so many requests came, and returns them.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            assert!(Instant::now() < deadline, "only these came: {received:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop(mut self) {
        self.handle.stop(false).await;
        while self.server.join_next().await.is_some() {}
    }
}

async fn receive(request: HttpRequest, body: String, kept: web::Data<Kept>) -> HttpResponse {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    kept.received.lock().expect("not poisoned").push(Received { body, at: Instant::now(), headers });
    let answer = kept.answers.lock().expect("not poisoned").pop_front().unwrap_or(204);
    HttpResponse::build(StatusCode::from_u16(answer).expect("a status")).finish()
}

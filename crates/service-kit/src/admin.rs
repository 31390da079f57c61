//! `/healthz`, `/readyz` and `/metrics`: as routes for a service's own server, or as a small server of their own.

use std::{future::Future, io, net::SocketAddr};

use actix_web::{
    App, HttpResponse, HttpServer, Route,
    dev::Server,
    guard,
    http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    web::{self, ServiceConfig},
};
use serde::Serialize;
use serde_json::json;
use telemetry::{METRICS_CONTENT_TYPE, MetricsHandle};
use tokio_util::sync::CancellationToken;

use crate::health::{Health, HealthReport};

/// How long open connections may finish when the server stops, in seconds.
const SHUTDOWN_SECONDS: u64 = 2;

/// Probes and scrapes are few; more connections than this are not ours.
const MAX_CONNECTIONS: usize = 256;

/// What `Allow` says of a path that is read.
pub const GET_AND_HEAD: &str = "GET, HEAD";

/// A route for `GET`, and for `HEAD`, which gets the same answer: the server underneath leaves out its body.
pub fn get_or_head() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Mounts `GET /healthz`, `/readyz` and `/metrics`; other methods on them get a JSON 405.
pub fn routes(health: Health, metrics: MetricsHandle) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .service(get("/healthz", || async { HttpResponse::Ok().json(json!({"status": "ok"})) }))
            .service(get("/readyz", move || {
                let health = health.clone();
                async move { readiness(&health.report().await) }
            }))
            .service(get("/metrics", move || {
                let metrics = metrics.clone();
                async move { HttpResponse::Ok().insert_header((CONTENT_TYPE, METRICS_CONTENT_TYPE)).body(metrics.render()) }
            }));
    }
}

fn get<F, Fut>(path: &str, handler: F) -> actix_web::Resource
where
    F: Fn() -> Fut + Clone + 'static,
    Fut: Future<Output = HttpResponse> + 'static,
{
    web::resource(path).route(get_or_head().to(handler)).default_service(web::to(method_not_allowed))
}

/// Member order as in the contract: the status first.
#[derive(Serialize)]
struct Readiness<'a> {
    status: &'static str,
    dependencies: &'a std::collections::BTreeMap<&'static str, &'static str>,
}

fn readiness(report: &HealthReport) -> HttpResponse {
    let dependencies = &report.dependencies;
    if report.ready {
        HttpResponse::Ok().json(Readiness { status: "ready", dependencies })
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header((RETRY_AFTER, 1))
            .json(Readiness { status: "not_ready", dependencies })
    }
}

async fn method_not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, HeaderValue::from_static(GET_AND_HEAD)))
        .json(json!({"error": "method_not_allowed", "message": format!("This path only answers {GET_AND_HEAD}.")}))
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({"error": "not_found", "message": "There is nothing at this path."}))
}

/// The admin server could not listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addresses} for the admin server; set ADMIN_ADDR to a free address of this machine")]
pub struct BindError {
    addresses: String,
    source: io::Error,
}

/// A small HTTP server with nothing but [`routes`], for processes without an API.
#[must_use = "the server answers only while its run future is polled"]
pub struct AdminServer {
    local_addr: SocketAddr,
    server: Server,
}

impl std::fmt::Debug for AdminServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AdminServer").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl AdminServer {
    /// Listens on the first of `candidates` that this machine has (see `Source::listen_addr`).
    ///
    /// Connections queue from here on and are answered once [`run`](Self::run) is polled.
    ///
    /// # Errors
    /// None of the addresses exists here, or one is taken.
    pub fn bind(candidates: &[SocketAddr], health: Health, metrics: MetricsHandle) -> Result<Self, BindError> {
        let failed = |source| {
            let addresses: Vec<_> = candidates.iter().map(ToString::to_string).collect();
            BindError { addresses: addresses.join(" or "), source }
        };
        let listener = listen(candidates).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let app =
            move || App::new().configure(routes(health.clone(), metrics.clone())).default_service(web::to(not_found));
        let server = HttpServer::new(app)
            .workers(1)
            .max_connections(MAX_CONNECTIONS)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .listen(listener)
            .map_err(failed)?
            .run();
        Ok(Self { local_addr, server })
    }

    /// The address it listens on; tells the port when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `stop` is cancelled, then closes after the requests in progress, 2 s at most.
    ///
    /// # Errors
    /// The server ended by itself.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let mut server = self.server;
        let handle = server.handle();
        tokio::select! {
            ended = &mut server => ended,
            () = stop.cancelled() => tokio::join!(handle.stop(true), server).1,
        }
    }
}

/// Only an address that the machine does not have leads to the next: one that is taken must be seen as an error.
fn listen(candidates: &[SocketAddr]) -> io::Result<std::net::TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address was given");
    for candidate in candidates {
        match std::net::TcpListener::bind(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                return Err(error);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

//! The HTTP server of a process: bounded in connections, in what each may hold, and in how long a client may take.
//!
//! It is actix-web's, on connections of our own: that one reads and parses whatever a client sends ahead, copies whole
//! answers into the connection's buffer, and waits without end for a client that does not read.

mod answer;
pub(crate) mod bounds;
mod connection;
pub(crate) mod descriptors;
mod framing;
mod gate;
mod listener;

use std::{fmt, io, net::TcpListener, num::NonZeroUsize, rc::Rc, sync::Arc, time::Duration};

use actix_http::{HttpService, Request, Response, h1::H1Service};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service, map_config,
};
use actix_web::{
    body::{BoxBody, MessageBody},
    dev::{AppConfig, RequestHead, ServiceResponse},
};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    answer::{Room, overloaded},
    bounds::{HEAD_TIMEOUT, KEEP_ALIVE, PROBES},
    connection::Connection,
    gate::{NoPlace, Turn},
};

pub use self::listener::{listen, listen_on_all};

/// Connections a server holds at once; more wait to be accepted.
///
/// Measured with a debug build: an idle one costs 12.4 KiB, one with 4 KiB of a head 15.5 KiB, one with a request 60 KiB at
/// worst. The kernel holds 48 KiB more for one whose client sends ahead and takes nothing. So of the 256 MiB that the
/// manifests give a process, 127 MiB are for 2,048 connections of the worst kind, 45 MiB more for 1,024 requests, 48 MiB
/// for what is large, and 28 MiB for the process at rest.
const MAX_CONNECTIONS: usize = 2_048;
/// Requests that are worked on, or whose answers are not handed on, at the same time; more wait, with their heads only.
const MAX_REQUESTS: usize = 1_024;
/// Requests over 20 KiB that are read at the same time.
const LARGE_REQUESTS: usize = 64;
/// How long a client that was answered early may still send the rest of its request.
const LINGER: Duration = Duration::from_secs(1);
/// Collected of answers before they are handed to the kernel.
const WRITE_BUFFER: usize = 8 * 1024;

/// How a server ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// For how long clients are told `Connection: close` and still served, where connections are open.
    pub farewell: Duration,
    /// How long requests in progress may take after that.
    pub drain: Duration,
}

/// Whether a client that asks before it sends a body (`Expect: 100-continue`) is told to, or why not.
pub type Invite = fn(&RequestHead) -> Result<(), actix_web::Error>;

/// For servers that nobody sends a body: who asks may, and is refused with the answer.
pub fn invite_all(_: &RequestHead) -> Result<(), actix_web::Error> {
    Ok(())
}

/// A server that listens; it answers while its [`run`](Self::run) is polled.
#[must_use = "the server answers only while its run future is polled"]
pub struct HttpServer {
    server: Server,
    ending: Ending,
    closing: CancellationToken,
    connections: TaskTracker,
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpServer").field("ending", &self.ending).finish_non_exhaustive()
    }
}

impl HttpServer {
    /// Serves `app` on `listeners` with so many threads. Connections queue from here on. A client that asks is told by
    /// `invite`, before `app` sees its request, whether to send the body.
    ///
    /// # Errors
    /// A listener is not usable.
    pub fn new<F, I, S, B>(
        listeners: Vec<TcpListener>,
        threads: NonZeroUsize,
        ending: Ending,
        invite: Invite,
        app: F,
    ) -> io::Result<Self>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = actix_web::Error>
            + 'static,
        S::InitError: fmt::Debug,
        S::Service: 'static,
        S::Future: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
    {
        let (closing, connections) = (CancellationToken::new(), TaskTracker::new());
        let shared = Shared {
            closing: closing.clone(),
            connections: connections.clone(),
            places: Arc::new(Semaphore::new(MAX_REQUESTS)),
            large: Arc::new(Semaphore::new(LARGE_REQUESTS)),
            room: Room::new(),
        };
        let each = descriptors::connections(MAX_CONNECTIONS).div_ceil(threads.get());
        let mut server = Server::build()
            .workers(threads.get())
            .max_concurrent_connections(each)
            .disable_signals()
            .shutdown_timeout(ending.drain.as_secs().max(1));
        let draining = server.graceful_shutdown_signal();
        for listener in listeners {
            let (shared, draining, app) = (shared.clone(), draining.clone(), app.clone());
            server =
                server.listen("http", listener, move || service(app(), invite, shared.clone(), draining.clone()))?;
        }
        Ok(Self { server: server.run(), ending, closing, connections })
    }

    /// Answers until `stop` is cancelled, then ends as its [`Ending`] says.
    ///
    /// # Errors
    /// The server ended by itself.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let Self { mut server, ending, closing, connections } = self;
        let handle = server.handle();
        let stopped = async {
            stop.cancelled().await;
            closing.cancel();
            // A client that is told so leaves with its answer; one that we left might be about to ask.
            connections.close();
            drop(timeout(ending.farewell, connections.wait()).await);
        };
        tokio::select! {
            ended = &mut server => ended,
            () = stopped => tokio::join!(handle.stop(true), server).1,
        }
    }
}

/// What all threads of a server have in common.
#[derive(Clone)]
struct Shared {
    closing: CancellationToken,
    /// The open ones.
    connections: TaskTracker,
    places: Arc<Semaphore>,
    large: Arc<Semaphore>,
    room: Room,
}

/// One thread's service: from an accepted socket to the application and back.
fn service<I, S, B>(
    app: I,
    invite: Invite,
    shared: Shared,
    draining: GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = actix_http::error::DispatchError, InitError = ()>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Service: 'static,
    S::Future: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let app = Rc::new(map_config(app.into_factory(), |()| AppConfig::default()));
    let Shared { closing, connections, places, large, room } = shared;
    let turns = Arc::clone(&places);
    let app = fn_factory(move || {
        let (app, turns, closing, room) = (Rc::clone(&app), Arc::clone(&turns), closing.clone(), room.clone());
        async move {
            let app = Rc::new(app.new_service(()).await?);
            Ok::<_, S::InitError>(fn_service(move |mut request: Request| {
                let turn = Turn::begin(&mut request);
                // Whoever watches the process is answered whatever the others do.
                let watches = PROBES.contains(&request.path());
                let (app, turns, closing, room) = (Rc::clone(&app), Arc::clone(&turns), closing.clone(), room.clone());
                async move {
                    let response: Response<BoxBody> = match turn.begun((!watches).then_some(&turns)).await {
                        Ok(()) => match app.call(request).await {
                            Ok(response) => Response::from(response).map_into_boxed_body(),
                            Err(error) => error.into(),
                        },
                        Err(NoPlace) => overloaded(),
                    };
                    Ok::<_, actix_web::Error>(room.answer(response, turn, closing.is_cancelled()))
                }
            }))
        }
    });
    let http: H1Service<Connection, _, _, _> = HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(LINGER)
        .h1_write_buffer_size(WRITE_BUFFER)
        .graceful_shutdown_signal(move || {
            let draining = draining.clone();
            async move { draining.notified().await }
        })
        .expect(fn_service(move |request: Request| async move {
            match invite(request.head()) {
                Ok(()) => Ok(request),
                Err(error) => {
                    gate::declined(request).await;
                    Err(error)
                }
            }
        }))
        .on_connect_ext(|connection: &Connection, data| {
            data.insert(connection.gate());
        })
        .h1(app);
    let accept = fn_service(move |io: TcpStream| {
        let peer = io.peer_addr().ok();
        let connection = Connection::new(io, Arc::clone(&places), Arc::clone(&large), connections.token());
        std::future::ready(Ok::<_, actix_http::error::DispatchError>((connection, peer)))
    });
    accept.and_then(http)
}

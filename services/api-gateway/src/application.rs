//! The HTTP server: routes, middleware, and how it starts and stops.

use std::{io, net::SocketAddr, num::NonZeroUsize, time::Duration};

use actix_web::{
    App, Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web::{self, Data, PathConfig},
};
use broker::{Broker, Condition};
use persistence::{Database, Readiness};
use service_kit::{
    Health, Scope, admin,
    health::{Finding, Reported, Required},
    http::{Ending, HttpServer, listen_on_all},
};
use settings::processors;
use telemetry::MetricsHandle;

use crate::{
    accept::{AcceptBatcher, OnAccepted},
    authentication::Authentication,
    backlog,
    backpressure::Backpressure,
    callbacks::Callbacks,
    error::ApiError,
    idempotency::InFlight,
    invite::invite,
    limits::Limits,
    observe::observe,
    openapi,
    rate::LimitStatus,
    receipts::{Receipts, is_receipts},
    routes, series,
    settings::Settings,
    state::State,
    turns::Turns,
};

/// For how long clients that keep connections open are told to close them before it is done for them.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the gateway is connected to.
pub struct Parts {
    /// The database.
    pub database: Database,
    /// Only asked whether it is connected, for the names of its queues, and how much waits in them.
    pub broker: Broker,
    /// What `/metrics` shows.
    pub metrics: MetricsHandle,
    /// Told of accepted messages, where a relay runs in the same process.
    pub on_accepted: Option<OnAccepted>,
    /// What else `/readyz` tells of: checks of what runs in the same process. No clone of it may be kept.
    pub health: Health,
}

/// The gateway cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addresses}; set LISTEN_ADDR to a free address of this machine")]
pub struct BindError {
    addresses: String,
    source: io::Error,
}

impl BindError {
    fn new(addresses: &[SocketAddr], source: io::Error) -> Self {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Self { addresses: addresses.join(" or "), source }
    }
}

/// Starts the gateway on `scope`; it answers from now on, and until the requests in flight at the stop are answered.
///
/// # Errors
/// [`BindError`] when none of the addresses can be listened on.
pub fn start(settings: &Settings, parts: Parts, scope: &Scope) -> Result<SocketAddr, BindError> {
    let failed = |source| BindError::new(&settings.listen, source);
    series::start(&settings.receipt_secrets);
    let health = health(settings, &parts.database, &parts.broker, parts.health);
    let turns = Turns::new();
    scope.spawn_until_stopped("callback customers", parts.database.clone().watch_callback_customers());
    let backpressure = Backpressure::new(settings.backpressure);
    backlog::watch(&parts.database, &parts.broker, &backpressure, &turns, scope);
    let accept = AcceptBatcher::start(
        &parts.database,
        settings.accept_lanes,
        backpressure.database_latency.clone(),
        backpressure.handler_latency.clone(),
        parts.on_accepted,
        scope,
    );
    if !settings.auth_required {
        warn_if_open(&settings.listen);
    }
    let state = Data::new(State {
        topology: parts.broker.topology().clone(),
        composition: settings.composition.clone(),
        authentication: Authentication::start(settings.auth_required, settings.admin_key, &parts.database, scope),
        accept,
        in_flight: InFlight::default(),
        receipts: Receipts::start(settings.receipt_secrets.clone(), &parts.database, scope),
        callbacks: Callbacks::new(&settings.callbacks),
        limits: Limits::start(settings, scope),
        backpressure,
        turns,
        database: parts.database,
    });
    let metrics = parts.metrics;
    let auth_required = settings.auth_required;
    let app = move || {
        App::new()
            .wrap(from_fn(admit))
            .wrap(from_fn(observe))
            .app_data(state.clone())
            .app_data(PathConfig::default().error_handler(|_, _| ApiError::NotFound.into()))
            .configure(admin::routes(health.clone(), metrics.clone()))
            .configure(routes::mount)
            .configure(openapi::mount(auth_required))
            .default_service(web::to(|| async { Err::<&str, _>(ApiError::NotFound) }))
    };
    let listeners = listen_on_all(&settings.listen).map_err(failed)?;
    let address = listeners[0].local_addr().map_err(failed)?;
    let threads = NonZeroUsize::new(processors()).unwrap_or(NonZeroUsize::MIN);
    let server = HttpServer::new(listeners, threads, ending(settings.drain), invite, app).map_err(failed)?;
    scope.spawn("http server", server.run(scope.stop.clone()));
    Ok(address)
}

/// Whoever reaches an open gateway may top up and read any account.
fn warn_if_open(listen: &[SocketAddr]) {
    if is_reached_from_outside(listen) {
        tracing::warn!(
            "AUTH_REQUIRED=false and LISTEN_ADDR is not loopback: whoever reaches this API may top up and read any account; make keys and set AUTH_REQUIRED=true"
        );
    }
}

fn is_reached_from_outside(listen: &[SocketAddr]) -> bool {
    !listen.iter().all(|address| address.ip().is_loopback())
}

/// Both together take no longer than the drain, with a second to spare: the server looks once a second who is left.
fn ending(drain: Duration) -> Ending {
    let drain = drain.saturating_sub(Duration::from_secs(1));
    let farewell = FAREWELL.min(drain / 2);
    Ending { farewell, drain: drain.saturating_sub(farewell) }
}

/// Middleware: the global rate limit, then who asks. What watches the process is never limited, receipts of operators have a limit of their own, and nobody else gets past it unknown: what
/// comes after it, a path that does not exist included, is only told to those who may ask. Whatever the answer, it says where the client
/// stands with its own limit, where that was asked.
async fn admit(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let watched = ["/healthz", "/readyz", "/metrics"].contains(&request.path());
    let state = request.app_data::<Data<State>>().expect("the application always has its state");
    // Operators show who they are in ways of their own, and their limit is asked after that.
    if !is_receipts(request.path()) {
        if !watched {
            state.limits.check_global()?;
        }
        if let Some(caller) = state.authentication.judge(request.path(), request.headers(), &state.limits).await? {
            request.extensions_mut().insert(caller);
        }
    }
    let mut response = next.call(request).await?;
    let status = response.request().extensions().get::<LimitStatus>().copied();
    if let Some(status) = status {
        status.write_to(response.headers_mut());
    }
    Ok(response)
}

fn health(settings: &Settings, database: &Database, broker: &Broker, others: Health) -> Health {
    let (database, broker) = (database.clone(), broker.clone());
    let broker_is = if settings.readyz_requires_broker { Required } else { Reported };
    others
        .check("mysql", Required, move || {
            let database = database.clone();
            async move { database_finding(database.readiness().await) }
        })
        // The outbox takes messages while the broker is away, so its absence alone does not make us unready.
        .check("rabbitmq", broker_is, move || std::future::ready(broker_finding(broker.condition())))
}

/// Taken out of service, all gateways at once would answer nothing; left in it, they read, and refuse each write with 503.
fn database_finding(readiness: Readiness) -> Finding {
    match readiness {
        Readiness::Ok => Finding::OK,
        Readiness::Unavailable => Finding::UNAVAILABLE,
        Readiness::ReadOnly => Finding::degraded(readiness.as_str(), true),
        Readiness::SchemaMissing | Readiness::SchemaTooNew => Finding::degraded(readiness.as_str(), false),
    }
}

/// A gateway publishes nothing, so blocked publishers are no more than news.
fn broker_finding(condition: Condition) -> Finding {
    match condition {
        Condition::Connected => Finding::OK,
        Condition::Blocked => Finding::degraded(condition.as_str(), true),
        Condition::Away => Finding::UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_beyond_this_machine_is_reached_from_outside() {
        let listens = |addresses: &[&str]| {
            let addresses: Vec<_> = addresses.iter().map(|address| address.parse().expect("an address")).collect();
            is_reached_from_outside(&addresses)
        };
        assert!(!listens(&["127.0.0.1:80", "[::1]:80"]));
        assert!(listens(&["[::]:80", "0.0.0.0:80"]) && listens(&["127.0.0.1:80", "192.0.2.1:80"]));
    }
}

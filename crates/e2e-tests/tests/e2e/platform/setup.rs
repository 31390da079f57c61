//! What a platform is started with.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use operator_simulator::Simulator;
use test_support::{FaultProxy, Names, ServiceProcess, TestDatabase, binary, database_url, names, rabbit_uri};

use super::{Platform, Proxies};
use crate::{client::Client, journal::Journal, scenarios::receipts::secrets, tables::Tables};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Short, legal times, and no refusals because a busy machine is slow. A worker's lease is 10 s and the longest round: two operators, each with two tries and 2 s between.
const SETTINGS: [(&str, &str); 12] = [
    ("BACKPRESSURE_DATABASE_LATENCY_MS", "0"),
    ("BACKPRESSURE_HANDLER_LATENCY_MS", "0"),
    ("USER_RATE_LIMIT_RPS", "0"),
    ("GLOBAL_RATE_LIMIT_RPS", "0"),
    ("PRICE_NORMAL", "2"),
    ("PRICE_EXPRESS", "5"),
    ("DB_MAX_OPEN_CONNS", "20"),
    ("RELAY_LEASE_MS", "15000"),
    ("OPERATOR_TIMEOUT_MS", "5000"),
    ("OPERATOR_MAX_RETRIES", "1"),
    ("OPERATOR_RETRY_BACKOFF_MS", "20"),
    ("BREAKER_OPEN_TIMEOUT_MS", "500"),
];

/// A relay that sends callbacks alone. Nothing listens on that port.
const CALLBACKS_ONLY: [(&str, &str); 4] = [
    ("RELAY_EXPRESS_CLAIMERS", "0"),
    ("RELAY_NORMAL_CLAIMERS", "0"),
    ("CALLBACKS_ENABLED", "true"),
    ("RABBIT_URI", "amqp://nobody:nothing@127.0.0.1:1/%2f"),
];

/// A platform to be started: two operators, one process of each service, the shared servers.
pub(crate) struct Setup {
    database_server: String,
    rabbit: String,
    settings: BTreeMap<String, String>,
    /// Settings of one service: its name, variable and value.
    own_settings: Vec<(&'static str, &'static str, String)>,
    operators: Vec<(&'static str, Option<String>)>,
    relays: usize,
    workers: usize,
    relay_behind_proxies: bool,
    callback_relay: bool,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::on(&database_url(), &rabbit_uri())
    }

    /// On these servers.
    pub(crate) fn on(database_server: &str, rabbit: &str) -> Self {
        Self {
            database_server: database_server.to_owned(),
            rabbit: rabbit.to_owned(),
            settings: settings(),
            own_settings: Vec::new(),
            operators: vec![("operatorA", None), ("operatorB", None)],
            relays: 1,
            workers: 1,
            relay_behind_proxies: false,
            callback_relay: false,
        }
    }

    /// Sets a variable for all services.
    pub(crate) fn set(mut self, variable: &str, value: &str) -> Self {
        self.settings.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// Sets a variable for one service.
    pub(crate) fn set_for(mut self, service: &'static str, variable: &'static str, value: &str) -> Self {
        self.own_settings.push((service, variable, value.to_owned()));
        self
    }

    /// Only these operators, all simulated.
    pub(crate) fn operators(mut self, names: &[&'static str]) -> Self {
        self.operators = names.iter().map(|name| (*name, None)).collect();
        self
    }

    /// The first operator is at this URL instead.
    pub(crate) fn first_operator_at(mut self, url: &str) -> Self {
        self.operators[0].1 = Some(url.to_owned());
        self
    }

    /// One more operator, at this URL, after all others.
    pub(crate) fn last_operator_at(mut self, name: &'static str, url: &str) -> Self {
        self.operators.push((name, Some(url.to_owned())));
        self
    }

    /// So many relays and workers.
    pub(crate) fn replicas(mut self, count: usize) -> Self {
        (self.relays, self.workers) = (count, count);
        self
    }

    /// The relay reaches database and RabbitMQ through [`Proxies`].
    pub(crate) fn relay_behind_proxies(mut self) -> Self {
        self.relay_behind_proxies = true;
        self
    }

    /// Beside the relays that publish there is one that sends callbacks, and reaches no broker.
    pub(crate) fn with_callback_relay(mut self) -> Self {
        self.callback_relay = true;
        self
    }

    /// Starts all processes and waits until they are ready.
    pub(crate) async fn start(self) -> Platform {
        let mut platform = self.start_unready().await;
        platform.ready().await;
        platform
    }

    /// Starts all processes.
    pub(crate) async fn start_unready(self) -> Platform {
        let (database, names) = (TestDatabase::create(&self.database_server).await, names());
        let simulator = start_simulator();
        let env = self.env(database.url(), &names, &simulator);
        let mut relay_env = env.clone();
        let proxies = if self.relay_behind_proxies {
            let (proxy, url) = FaultProxy::in_front_of(database.url()).await.expect("a proxy before the database");
            relay_env.insert("DATABASE_URL".to_owned(), url);
            let (rabbit, uri) = FaultProxy::in_front_of(&self.rabbit).await.expect("a proxy before RabbitMQ");
            relay_env.insert("RABBIT_URI".to_owned(), uri);
            Some(Proxies { database: proxy, rabbit })
        } else {
            None
        };
        let service = |name, listen, env| ServiceProcess::new(binary(name), listen, self.env_of(name, env));
        let gateway = service("api-gateway", "LISTEN_ADDR", &env);
        let relay = |_| service("outbox-relay", "ADMIN_ADDR", &relay_env);
        let worker = |_| service("delivery-worker", "ADMIN_ADDR", &env);
        let mut callback_env = env.clone();
        callback_env.extend(CALLBACKS_ONLY.map(|(variable, value)| (variable.to_owned(), value.to_owned())));
        let callback_relay = self.callback_relay.then(|| service("outbox-relay", "ADMIN_ADDR", &callback_env));
        let mut platform = Platform {
            client: Client::new(gateway.base_url()),
            gateway,
            relays: (0..self.relays).map(relay).collect(),
            workers: (0..self.workers).map(worker).collect(),
            callback_relay,
            simulator,
            tables: Tables::new(database.url()),
            names,
            proxies,
            journal: Journal::default(),
            _database: database,
        };
        let Platform { gateway, relays, workers, callback_relay, .. } = &mut platform;
        [gateway].into_iter().chain(relays).chain(workers).chain(callback_relay).for_each(ServiceProcess::start);
        platform
    }

    fn env(&self, database: &str, names: &Names, simulator: &Simulator) -> BTreeMap<String, String> {
        let mut env = self.settings.clone();
        env.insert("DATABASE_URL".to_owned(), database.to_owned());
        env.insert("RABBIT_URI".to_owned(), self.rabbit.clone());
        env.insert("OPERATORS".to_owned(), operator_list(&self.operators, simulator));
        env.extend(names.env().map(|(variable, value)| (variable.to_owned(), value)));
        env
    }

    /// The settings of all services with those of this one.
    fn env_of(&self, service: &str, all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let own = self.own_settings.iter().filter(|(of, ..)| *of == service);
        let own = own.map(|(_, variable, value)| ((*variable).to_owned(), value.clone()));
        all.clone().into_iter().chain(own).collect()
    }
}

/// What every platform is started with, the embedded one too.
pub(super) fn settings() -> BTreeMap<String, String> {
    let settings = SETTINGS.iter().map(|(variable, value)| ((*variable).to_owned(), (*value).to_owned()));
    settings.chain([("RECEIPT_SECRETS".to_owned(), secrets())]).collect()
}

pub(super) fn start_simulator() -> Simulator {
    Simulator::start(ANY_PORT).expect("a free port for the operators")
}

pub(super) fn operator_list(operators: &[(&str, Option<String>)], simulator: &Simulator) -> String {
    let urls = operators.iter().map(|(name, url)| {
        let url = url.clone().unwrap_or_else(|| simulator.operator_url(name));
        format!("{name}={url}")
    });
    urls.collect::<Vec<_>>().join(",")
}

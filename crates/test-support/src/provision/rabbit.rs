//! The message broker.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;
use uuid::Uuid;

use super::{
    Backend,
    container::{Container, RABBIT_IMAGE, Recipe},
    instance::Instance,
    rabbitmq::{self, Config},
    server::{Kind, Server},
};
use crate::free_port;

const ANSWER: Duration = Duration::from_secs(2);

/// A RabbitMQ server, and an administrator.
pub type RabbitServer = Server<Rabbit>;

/// That a server is a RabbitMQ.
pub struct Rabbit {
    metrics_port: Option<u16>,
}

impl Kind for Rabbit {
    const NAME: &str = "RabbitMQ";

    async fn probe(url: &str) -> anyhow::Result<()> {
        tokio::time::timeout(ANSWER, greets(url)).await.context("no answer in time")?
    }
}

impl RabbitServer {
    /// Starts a server and returns when it speaks AMQP; at most a minute.
    pub async fn start(backend: Backend) -> anyhow::Result<Self> {
        Self::start_as(backend, Config::default()).await
    }

    /// As [`RabbitServer::start`], with the Prometheus plugin on a port of its own; a given server has none.
    pub async fn start_with_metrics(backend: Backend) -> anyhow::Result<Self> {
        Self::start_as(backend, Config { metrics_port: Some(free_port()), ..Config::default() }).await
    }

    /// As [`RabbitServer::start`], with another heartbeat than 60 s to propose; a given server keeps its own.
    pub async fn start_with_heartbeat(backend: Backend, seconds: u16) -> anyhow::Result<Self> {
        Self::start_as(backend, Config { heartbeat: Some(seconds), ..Config::default() }).await
    }

    async fn start_as(backend: Backend, config: Config) -> anyhow::Result<Self> {
        let (port, password) = (free_port(), Uuid::now_v7().simple().to_string());
        let (metrics_port, url) = (config.metrics_port, format!("amqp://test:{password}@127.0.0.1:{port}"));
        let (url, metrics_port, instance) = match backend {
            Backend::Env(given) => (given.rabbit_uri()?, None, Instance::Given),
            Backend::Docker => {
                let container = Container::start(recipe(port, config, &password)).await?;
                (url, metrics_port, Instance::Container(Box::new(container)))
            }
            Backend::Local => {
                let server = rabbitmq::start(port, config, &password)?;
                (url, metrics_port, Instance::Local(Box::new(server)))
            }
        };
        Self::ready(url, instance, Rabbit { metrics_port }).await
    }

    /// `127.0.0.1:port` of the Prometheus plugin, where the server was started with it. It answers a little after AMQP.
    pub fn metrics_address(&self) -> Option<String> {
        self.kind.metrics_port.map(|port| format!("127.0.0.1:{port}"))
    }

    /// Runs `rabbitmqctl` with these arguments, which takes a second or two. A given server refuses.
    pub async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let local = match &self.instance {
            Instance::Local(_) => rabbitmq::control()?,
            Instance::Given | Instance::Container(_) => PathBuf::new(),
        };
        self.instance.run_tool(&local, "rabbitmqctl", arguments).await
    }

    /// Raises or ends the memory alarm, during which the server takes nothing from publishers.
    pub async fn set_memory_alarm(&self, raised: bool) -> anyhow::Result<()> {
        self.control(&["set_vm_memory_high_watermark", if raised { "0.0000001" } else { "0.4" }]).await
    }
}

/// Whether a server opens an AMQP 0-9-1 conversation: its first frame is a method frame on channel 0.
async fn greets(url: &str) -> anyhow::Result<()> {
    let url = Url::parse(url).context("reading the RabbitMQ URI")?;
    let host = url.host_str().context("the RabbitMQ URI has no host")?;
    let mut stream = TcpStream::connect((host, url.port().unwrap_or(5672))).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut start = [0; 3];
    stream.read_exact(&mut start).await?;
    ensure!(start == [1, 0, 0], "this is no AMQP 0-9-1 server");
    Ok(())
}

fn recipe(host_port: u16, config: Config, password: &str) -> Recipe {
    let mut environment =
        vec![("RABBITMQ_DEFAULT_USER", "test".to_owned()), ("RABBITMQ_DEFAULT_PASS", password.to_owned())];
    if let Some(seconds) = config.heartbeat {
        environment.push(("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", format!("-rabbit heartbeat {seconds}")));
    }
    Recipe {
        image: RABBIT_IMAGE,
        environment,
        arguments: Vec::new(),
        // The image has the Prometheus plugin on, at its usual port.
        ports: [(5672, host_port)].into_iter().chain(config.metrics_port.map(|port| (15_692, port))).collect(),
    }
}

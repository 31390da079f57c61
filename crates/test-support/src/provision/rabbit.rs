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
};
use crate::free_port;

const ANSWER: Duration = Duration::from_secs(2);

/// A RabbitMQ server; killed when dropped, unless it was given.
pub struct RabbitServer {
    url: String,
    metrics_port: Option<u16>,
    instance: Instance,
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
        let instance = match backend {
            Backend::Env(given) => {
                let mut server = Self { url: given.rabbit_uri()?, metrics_port: None, instance: Instance::Given };
                server.wait_ready().await?;
                return Ok(server);
            }
            Backend::Docker => {
                let recipe = recipe(port, config, &password);
                Instance::Container(Box::new(Container::start(recipe).await?))
            }
            Backend::Local => Instance::Local(Box::new(rabbitmq::start(port, config, &password)?)),
        };
        let url = format!("amqp://test:{password}@127.0.0.1:{port}");
        let mut server = Self { url, metrics_port: config.metrics_port, instance };
        server.wait_ready().await?;
        Ok(server)
    }

    /// `amqp://user:password@127.0.0.1:port`, an administrator. The same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:port` of the Prometheus plugin, where the server was started with it. It answers a little after AMQP.
    pub fn metrics_address(&self) -> Option<String> {
        self.metrics_port.map(|port| format!("127.0.0.1:{port}"))
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

    /// Kills the server (-9).
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.instance.kill().await
    }

    /// Shuts the server down cleanly.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.instance.stop().await
    }

    /// Starts the server again on the same port and data, after a clean stop if it still runs; returns when it answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.instance.restart().await?;
        self.wait_ready().await
    }

    /// Freezes the server: connections stay open and nothing answers, until [`RabbitServer::resume`].
    pub async fn pause(&mut self) -> anyhow::Result<()> {
        self.instance.pause().await
    }

    /// Lets a paused server go on.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.instance.resume().await
    }

    pub(super) async fn retire(&mut self) -> anyhow::Result<()> {
        self.instance.retire().await
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let url = &self.url;
        let probe = async || tokio::time::timeout(ANSWER, greets(url)).await.context("no answer in time")?;
        self.instance.wait_ready("RabbitMQ", probe).await
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
        arguments: &[],
        // The image has the Prometheus plugin on, at its usual port.
        ports: [(5672, host_port)].into_iter().chain(config.metrics_port.map(|port| (15_692, port))).collect(),
    }
}

//! A private RabbitMQ node with its own epmd.

use std::path::PathBuf;

use anyhow::Context;

use super::{
    command::find,
    local::{LocalServer, Scratch},
};
use crate::{
    free_port,
    guarded::{Ending, Guarded},
};

// Debian's script in PATH insists on changing the user by itself; the one below it does not.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// What a private server does otherwise than by default.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Config {
    /// Where the Prometheus plugin answers.
    pub(super) metrics_port: Option<u16>,
    /// The heartbeat it proposes, in seconds.
    pub(super) heartbeat: Option<u16>,
}

pub(super) fn binary() -> Option<PathBuf> {
    let debian = PathBuf::from(DEBIAN);
    if debian.is_file() { Some(debian) } else { find(&["rabbitmq-server"]) }
}

/// `rabbitmqctl` of the same installation: the one in Debian's PATH insists on changing the user as well.
pub(super) fn control() -> anyhow::Result<PathBuf> {
    let server = binary().context("rabbitmq-server is not on this machine")?;
    let beside = server.with_file_name("rabbitmqctl");
    if beside.is_file() { Ok(beside) } else { find(&["rabbitmqctl"]).context("rabbitmqctl is not on this machine") }
}

/// Starts a node with an administrator `test`, and with the Prometheus plugin where that has a port; it answers a little
/// later.
pub(super) fn start(port: u16, config: Config, password: &str) -> anyhow::Result<LocalServer> {
    let Config { metrics_port, heartbeat } = config;
    let program = binary().context("rabbitmq-server is not on this machine")?;
    let scratch = Scratch::create("rabbitmq")?;
    let config_file = scratch.write("rabbitmq.conf", &contents(port, metrics_port, heartbeat, password))?;
    // Files of the machine's own RabbitMQ, which it would read otherwise.
    let plugins = if metrics_port.is_some() { "[rabbitmq_prometheus].\n" } else { "[].\n" };
    let plugins = scratch.write("enabled_plugins", plugins)?;
    let advanced = scratch.write("advanced.config", "[].\n")?;
    let (epmd_port, distribution_port) = (free_port(), free_port());
    let epmd = start_epmd(&scratch, epmd_port)?;
    LocalServer::start(scratch, Some(epmd), move |scratch| {
        let folder = scratch.path();
        let mut command = scratch.command(&program)?;
        command
            .env("RABBITMQ_NODENAME", format!("test{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
            .env("RABBITMQ_CONFIG_FILE", &config_file)
            .env("RABBITMQ_CONFIG_FILES", folder.join("none"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", &advanced)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", folder.join("generated"))
            .env("RABBITMQ_SCHEMA_DIR", folder.join("schema"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                // Two schedulers that do not spin: several nodes share a small machine. Epmd is ours already.
                "+S 2 +sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            );
        Ok(command)
    })
}

fn start_epmd(scratch: &Scratch, port: u16) -> anyhow::Result<Guarded> {
    let program = find(&["epmd"]).context("epmd is not on this machine")?;
    let mut command = scratch.command(&program)?;
    command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
    Guarded::spawn(&mut command, Ending::Kill)
}

fn contents(port: u16, metrics_port: Option<u16>, heartbeat: Option<u16>, password: &str) -> String {
    let heartbeat = heartbeat.map_or_else(String::new, |seconds| format!("heartbeat = {seconds}\n"));
    let metrics = metrics_port
        .map_or_else(String::new, |port| format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {port}\n"));
    format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         default_user = test\n\
         default_pass = {password}\n\
         disk_free_limit.absolute = 50MB\n\
         vm_memory_high_watermark.relative = 0.4\n\
         log.file = false\n\
         log.console = true\n\
         log.console.level = info\n\
         {heartbeat}\
         {metrics}"
    )
}

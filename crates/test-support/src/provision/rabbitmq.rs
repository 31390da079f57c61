//! A private RabbitMQ node with its own epmd.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::command::find;
use super::local::{LocalServer, Scratch};
use crate::free_port;
use crate::guarded::{Ending, Guarded};

// Debian's script in PATH insists on changing the user by itself; the one below it does not.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
const ANSWER: Duration = Duration::from_mins(1);

/// How a node is reached by `rabbitmqctl`.
pub(super) struct Control {
    node: String,
    epmd_port: u16,
}

impl Control {
    /// Runs `rabbitmqctl` against the node, with the cookie in its folder.
    pub(super) async fn run(&self, scratch: &Scratch, arguments: &[&str]) -> anyhow::Result<()> {
        let debian = PathBuf::from(CONTROL);
        let program = if debian.is_file() { Some(debian) } else { find(&["rabbitmqctl"]) };
        let mut command = scratch.command(&program.context("rabbitmqctl is not on this machine")?)?;
        command
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", scratch.path().join("none"))
            .args(["--node", &self.node])
            .args(arguments);
        let status = Guarded::spawn(&mut command, Ending::Kill)?.wait(ANSWER).await;
        ensure!(
            status.is_some_and(|status| status.success()),
            "rabbitmqctl {} failed; it printed last:\n{}",
            arguments.join(" "),
            scratch.log_tail()
        );
        Ok(())
    }
}

pub(super) fn binary() -> Option<PathBuf> {
    let debian = PathBuf::from(DEBIAN);
    if debian.is_file() { Some(debian) } else { find(&["rabbitmq-server"]) }
}

/// Starts a node with an administrator `test`, and with the Prometheus plugin where that has a port; it answers a little
/// later.
pub(super) fn start(port: u16, metrics_port: Option<u16>, password: &str) -> anyhow::Result<(LocalServer, Control)> {
    let program = binary().context("rabbitmq-server is not on this machine")?;
    let scratch = Scratch::create("rabbitmq")?;
    let config = scratch.write("rabbitmq.conf", &config(port, metrics_port, password))?;
    // Files of the machine's own RabbitMQ, which it would read otherwise.
    let plugins = if metrics_port.is_some() { "[rabbitmq_prometheus].\n" } else { "[].\n" };
    let plugins = scratch.write("enabled_plugins", plugins)?;
    let advanced = scratch.write("advanced.config", "[].\n")?;
    let (epmd_port, distribution_port) = (free_port(), free_port());
    let epmd = start_epmd(&scratch, epmd_port)?;
    let node = format!("test{port}@localhost");
    let control = Control { node: node.clone(), epmd_port };
    let server = LocalServer::start(scratch, Some(epmd), move |scratch| {
        let folder = scratch.path();
        let mut command = scratch.command(&program)?;
        command
            .env("RABBITMQ_NODENAME", &node)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
            .env("RABBITMQ_CONFIG_FILE", &config)
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
    })?;
    Ok((server, control))
}

fn start_epmd(scratch: &Scratch, port: u16) -> anyhow::Result<Guarded> {
    let program = find(&["epmd"]).context("epmd is not on this machine")?;
    let mut command = scratch.command(&program)?;
    command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
    Guarded::spawn(&mut command, Ending::Kill)
}

fn config(port: u16, metrics_port: Option<u16>, password: &str) -> String {
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
         {metrics}"
    )
}

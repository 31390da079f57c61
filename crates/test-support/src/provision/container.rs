//! Servers in containers, through whatever Docker engine the `docker` command reaches.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt as _, bollard::models::PortBinding, core::IntoContainerPort as _,
    runners::AsyncRunner as _,
};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::command;
use crate::lifeline::Lifeline;

pub(super) const DATABASE_IMAGE: &str = "mysql:8.4";
pub(super) const RABBIT_IMAGE: &str = "rabbitmq:4-management";

const ANSWER: Duration = Duration::from_secs(20);
const TOOL: Duration = Duration::from_mins(1);
const PULL: Duration = Duration::from_mins(10);

/// Whether an engine answers and has both images or can pull them.
pub(super) fn engine() -> anyhow::Result<()> {
    command::run("docker", &["version"], ANSWER).context("no Docker engine answers")?;
    for image in [DATABASE_IMAGE, RABBIT_IMAGE] {
        if command::run("docker", &["image", "inspect", image], ANSWER).is_err() {
            command::run("docker", &["pull", "--quiet", image], PULL)
                .with_context(|| format!("image {image} is neither here nor pullable"))?;
        }
    }
    Ok(())
}

/// What to run in a container.
pub(super) struct Recipe {
    pub(super) image: &'static str,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) arguments: Vec<&'static str>,
    /// The server's ports in the container, each with the loopback port it is reached by, the same over restarts.
    pub(super) ports: Vec<(u16, u16)>,
}

/// A container that is removed with this value, or with this process.
pub(super) struct Container {
    name: String,
    /// Declared before the handle: it removes for sure and waits, also outside of any async runtime.
    _lifeline: Lifeline,
    handle: Handled,
}

impl Container {
    pub(super) async fn start(recipe: Recipe) -> anyhow::Result<Self> {
        let name = format!("test-{}", Uuid::now_v7().simple());
        let lifeline = Lifeline::removes_container(&name)?;
        let (image, tag) = recipe.image.split_once(':').context("an image reference has a tag")?;
        let loopback =
            |port: u16| PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(port.to_string()) };
        let bindings: HashMap<_, _> =
            recipe.ports.iter().map(|(port, host)| (port.tcp().to_string(), Some(vec![loopback(*host)]))).collect();
        let mut request = GenericImage::new(image, tag)
            .with_container_name(&name)
            .with_cmd(recipe.arguments)
            .with_host_config_modifier(move |host| host.port_bindings = Some(bindings.clone()));
        for (port, host) in recipe.ports {
            request = request.with_mapped_port(host, port.tcp());
        }
        for (key, value) in recipe.environment {
            request = request.with_env_var(key, value);
        }
        let container = request.start().await.with_context(|| format!("starting a container of {}", recipe.image))?;
        Ok(Self { name, _lifeline: lifeline, handle: Handled(Some(container)) })
    }

    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        if self.is_running().await {
            command::run("docker", &["kill", &self.name], ANSWER)?;
        }
        Ok(())
    }

    pub(super) async fn stop(&self, limit: Duration) -> anyhow::Result<()> {
        let seconds = i32::try_from(limit.as_secs()).unwrap_or(i32::MAX);
        self.handle.get().stop_with_timeout(Some(seconds)).await.context("stopping the container")
    }

    pub(super) async fn start_again(&self) -> anyhow::Result<()> {
        self.handle.get().start().await.context("starting the container again")
    }

    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        self.handle.get().pause().await.context("pausing the container")
    }

    pub(super) async fn resume(&self) -> anyhow::Result<()> {
        self.handle.get().unpause().await.context("resuming the container")
    }

    pub(super) fn run_tool(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let all: Vec<&str> = ["exec", &self.name, program].into_iter().chain(arguments.iter().copied()).collect();
        command::run("docker", &all, TOOL)
    }

    pub(super) async fn is_running(&self) -> bool {
        self.handle.get().is_running().await.unwrap_or(false)
    }

    pub(super) fn log(&self) -> String {
        let output = std::process::Command::new("docker").args(["logs", "--tail", "20", &self.name]).output();
        let streams = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        String::from_utf8_lossy(&streams).into_owned()
    }
}

/// The library's handle, whose drop needs a runtime to be around.
struct Handled(Option<ContainerAsync<GenericImage>>);

impl Handled {
    fn get(&self) -> &ContainerAsync<GenericImage> {
        self.0.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            std::mem::forget(self.0.take()); // the lifeline has removed the container
        }
    }
}

//! The services that run now, of either release.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use loadtest::Target;
use test_support::ServiceProcess;

use super::release::Release;
use crate::services;

const GATEWAY: &str = "api-gateway";

/// One process of each service at most, each on a port of its own; dropping it ends all.
pub(super) struct Fleet {
    settings: Vec<(String, String)>,
    running: BTreeMap<&'static str, Member>,
    /// Those that were stopped.
    stopped: Vec<Member>,
    /// Those that did not end well, in words.
    pub(super) bad_ends: Vec<String>,
}

struct Member {
    /// Release and service.
    name: String,
    process: ServiceProcess,
}

impl Fleet {
    /// Nothing runs yet. Of the settings, both releases must know all.
    pub(super) fn new(settings: Vec<(String, String)>) -> Self {
        Self { settings, running: BTreeMap::new(), stopped: Vec::new(), bad_ends: Vec::new() }
    }

    /// Starts a service and waits until it is ready; one that ran before goes on beside it until it is stopped.
    pub(super) async fn start(&mut self, release: &Release, service: &'static str) -> anyhow::Result<Before> {
        let name = format!("{} {service}", release.name);
        let started = services::start(&release.folder, service, self.settings.iter().cloned()).await;
        let process = started.with_context(|| format!("starting the {name}"))?;
        Ok(Before(self.running.insert(service, Member { name, process })))
    }

    /// Asks with SIGTERM for an orderly end, and waits for it.
    pub(super) async fn stop(&mut self, Before(member): Before) {
        let Some(mut member) = member else { return };
        let status = member.process.terminate().await;
        if !status.success() {
            self.bad_ends.push(format!("the {} ended with {status}", member.name));
        }
        self.stopped.push(member);
    }

    /// As [`Fleet::stop`], for the process of a service that runs now.
    pub(super) async fn stop_service(&mut self, service: &str) {
        let member = self.running.remove(service);
        self.stop(Before(member)).await;
    }

    /// Where the newest gateway is.
    pub(super) fn gateway(&self) -> anyhow::Result<Target> {
        let gateway = self.running.get(GATEWAY).context("no gateway runs")?;
        Ok(Target::local(gateway.process.address().port()))
    }

    /// Each service with the answer of its `/readyz`: status and body, or `None` where there is none.
    pub(super) async fn readiness(&self) -> Vec<(&str, Option<(u16, String)>)> {
        let mut answers = Vec::new();
        for Member { name, process } in self.running.values() {
            answers.push((name.as_str(), process.get("/readyz").await));
        }
        answers
    }

    /// Writes what all processes wrote into a folder.
    pub(super) fn save_output(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        for (number, Member { name, process }) in (1..).zip(self.stopped.iter().chain(self.running.values())) {
            let path = folder.join(format!("{number}-{}.log", name.replace(' ', "-")));
            std::fs::write(&path, process.output()).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

/// The process of a service that another one took over from.
pub(super) struct Before(Option<Member>);

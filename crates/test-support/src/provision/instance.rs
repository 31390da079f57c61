//! One running server, whatever it runs in.

use std::{path::Path, time::Duration};

use anyhow::bail;
use rustix::process::Signal;
use tokio::time::Instant;

use super::{container::Container, local::LocalServer};

const READY: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const CLEAN_STOP: Duration = Duration::from_secs(30);

pub(super) enum Instance {
    /// Somebody else's: it is used, and otherwise left alone.
    Given,
    Local(Box<LocalServer>),
    Container(Box<Container>),
}

impl Instance {
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Given => return refuse(),
            Self::Local(server) => server.kill(),
            Self::Container(container) => container.kill().await?,
        }
        Ok(())
    }

    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Given => return refuse(),
            Self::Local(server) => server.stop(CLEAN_STOP).await,
            Self::Container(container) => container.stop(CLEAN_STOP).await?,
        }
        Ok(())
    }

    /// Stops a server that runs, and starts it on the same data.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        match self {
            Self::Given => refuse(),
            Self::Local(server) => server.start_again(),
            Self::Container(container) => container.start_again().await,
        }
    }

    pub(super) async fn pause(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Given => return refuse(),
            Self::Local(server) => server.signal(Signal::STOP),
            Self::Container(container) => container.pause().await?,
        }
        Ok(())
    }

    pub(super) async fn resume(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Given => return refuse(),
            Self::Local(server) => server.signal(Signal::CONT),
            Self::Container(container) => container.resume().await?,
        }
        Ok(())
    }

    /// Runs a program that comes with the server, beside it and with its settings: a path on this machine, a name in a
    /// container.
    pub(super) async fn run_tool(&self, local: &Path, in_container: &str, arguments: &[&str]) -> anyhow::Result<()> {
        match self {
            Self::Given => refuse(),
            Self::Local(server) => server.run_tool(local, arguments).await,
            Self::Container(container) => container.run_tool(in_container, arguments),
        }
    }

    /// A clean stop at the end of its life; a given server just stays.
    pub(super) async fn retire(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Given => Ok(()),
            Self::Local(_) | Self::Container(_) => self.stop().await,
        }
    }

    /// Waits until the probe succeeds, and no longer than the server lives.
    pub(super) async fn wait_ready(
        &mut self,
        what: &str,
        mut probe: impl AsyncFnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + READY;
        loop {
            let Err(refusal) = probe().await else { return Ok(()) };
            if !self.is_running().await {
                bail!("{what} ended while starting; its log ends with:\n{}", self.log());
            }
            if Instant::now() > end {
                bail!("{what} did not answer within {READY:?}: {refusal:#}; its log ends with:\n{}", self.log());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn is_running(&mut self) -> bool {
        match self {
            Self::Given => true,
            Self::Local(server) => server.is_running(),
            Self::Container(container) => container.is_running().await,
        }
    }

    fn log(&self) -> String {
        match self {
            Self::Given => "(a given server: its log is not known here)".to_owned(),
            Self::Local(server) => server.log(),
            Self::Container(container) => container.log(),
        }
    }
}

fn refuse() -> anyhow::Result<()> {
    bail!(
        "this server was given by the environment and is not ours to stop or change: start a private one (Backend::choose_private)"
    )
}

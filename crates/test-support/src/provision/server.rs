//! A server of either kind: where it is, and what can be done to it.

use super::instance::Instance;

/// What tells one kind of server from the other.
pub trait Kind {
    /// What messages call it.
    const NAME: &str;

    /// Whether the server at this URL answers.
    fn probe(url: &str) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// A running server; killed when dropped, unless it was given. A given server refuses to be killed, stopped or paused.
pub struct Server<K> {
    pub(super) url: String,
    pub(super) instance: Instance,
    /// What is only known of this kind.
    pub(super) kind: K,
}

impl<K: Kind> Server<K> {
    /// Waits until it answers; at most a minute.
    pub(super) async fn ready(url: String, instance: Instance, kind: K) -> anyhow::Result<Self> {
        let mut server = Self { url, instance, kind };
        server.wait_ready().await?;
        Ok(server)
    }

    /// `scheme://user:password@127.0.0.1:port` of an account that may do everything. The same after a restart.
    pub fn url(&self) -> &str {
        &self.url
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

    /// Freezes the server: connections stay open and nothing answers, until [`Server::resume`].
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
        self.instance.wait_ready(K::NAME, async || K::probe(url).await).await
    }
}

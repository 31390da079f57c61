//! The database server.

use uuid::Uuid;

use super::{
    Backend,
    container::{Container, DATABASE_IMAGE, Recipe},
    instance::Instance,
    mariadb,
};
use crate::{free_port, sql};

/// A MySQL or MariaDB server with durable settings; killed when dropped, unless it was given.
pub struct DatabaseServer {
    url: String,
    instance: Instance,
}

impl DatabaseServer {
    /// Starts a server and returns when it answers; at most a minute.
    pub async fn start(backend: Backend) -> anyhow::Result<Self> {
        let (port, password) = (free_port(), Uuid::now_v7().simple().to_string());
        let (url, instance) = match backend {
            Backend::Env(given) => (given.database_url()?, Instance::Given),
            Backend::Docker => {
                let container = Container::start(recipe(port, &password)).await?;
                (format!("mysql://root:{password}@127.0.0.1:{port}"), Instance::Container(Box::new(container)))
            }
            Backend::Local => {
                let server = mariadb::start(port, &password).await?;
                (format!("mysql://test:{password}@127.0.0.1:{port}"), Instance::Local(Box::new(server)))
            }
        };
        let mut server = Self { url, instance };
        server.wait_ready().await?;
        Ok(server)
    }

    /// `mysql://user:password@127.0.0.1:port`, an account that may create and drop databases. The same after a restart.
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

    /// Freezes the server: connections stay open and nothing answers, until [`DatabaseServer::resume`].
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
        self.instance.wait_ready("the database server", async || sql::ping(url).await).await
    }
}

fn recipe(host_port: u16, password: &str) -> Recipe {
    Recipe {
        image: DATABASE_IMAGE,
        environment: vec![("MYSQL_ROOT_PASSWORD", password.to_owned()), ("MYSQL_INITDB_SKIP_TZINFO", "1".to_owned())],
        arguments: &["--max-connections=500", "--character-set-server=utf8mb4", "--innodb-buffer-pool-size=1G"],
        ports: vec![(3306, host_port)],
    }
}

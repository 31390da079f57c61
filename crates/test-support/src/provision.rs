//! A database server and a RabbitMQ of our own: given, in containers, or as private processes on this machine.

mod apt;
mod backend;
mod command;
mod container;
mod database;
mod installed;
mod instance;
mod local;
mod mariadb;
mod prometheus;
mod rabbit;
mod rabbitmq;
mod redo_log;
mod server;

pub use backend::{Backend, Given};
pub use database::DatabaseServer;
pub use prometheus::{PrometheusBinaries, prometheus};
pub use rabbit::RabbitServer;

/// Both servers that the platform needs, ended when dropped.
pub struct Servers {
    /// The database server.
    pub database: DatabaseServer,
    /// The message broker.
    pub rabbit: RabbitServer,
}

impl Servers {
    /// Starts both for tests and returns when both answer.
    pub async fn start(backend: Backend) -> anyhow::Result<Self> {
        let (database, rabbit) = tokio::try_join!(DatabaseServer::start(backend), RabbitServer::start(backend))?;
        Ok(Self { database, rabbit })
    }

    /// As [`Servers::start`], with a database for services that run: see `DatabaseServer::start_for_load`.
    pub async fn start_for_load(backend: Backend) -> anyhow::Result<Self> {
        let database = DatabaseServer::start_for_load(backend);
        let (database, rabbit) = tokio::try_join!(database, RabbitServer::start(backend))?;
        Ok(Self { database, rabbit })
    }

    /// `mysql://user:password@127.0.0.1:port`, an account that may create and drop databases.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// `amqp://user:password@127.0.0.1:port`.
    pub fn rabbit_uri(&self) -> &str {
        self.rabbit.url()
    }

    /// Shuts both down cleanly and removes their data. Given servers are left alone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let (database, rabbit) = tokio::join!(self.database.retire(), self.rabbit.retire());
        database.and(rabbit)
    }
}

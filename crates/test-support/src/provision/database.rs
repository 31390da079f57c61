//! The database server.

use uuid::Uuid;

use super::{
    Backend,
    container::{Container, DATABASE_IMAGE, Recipe},
    instance::Instance,
    mariadb,
    redo_log::RedoLog,
    server::{Kind, Server},
};
use crate::{free_port, sql};

/// A MySQL or MariaDB server with durable settings, and an account that may create and drop databases.
pub type DatabaseServer = Server<Database>;

/// That a server is a database.
pub struct Database;

impl Kind for Database {
    const NAME: &str = "the database server";

    async fn probe(url: &str) -> anyhow::Result<()> {
        sql::ping(url).await
    }
}

impl DatabaseServer {
    /// Starts a server and returns when it answers; at most a minute. Its redo log is small: many of these run at once, and the
    /// file takes all of its size on the disk from the start.
    pub async fn start(backend: Backend) -> anyhow::Result<Self> {
        Self::start_with(backend, RedoLog::Small).await
    }

    /// As [`DatabaseServer::start`], with a redo log as large as that of a server that is shipped.
    pub async fn start_for_load(backend: Backend) -> anyhow::Result<Self> {
        Self::start_with(backend, RedoLog::Large).await
    }

    async fn start_with(backend: Backend, redo_log: RedoLog) -> anyhow::Result<Self> {
        let (port, password) = (free_port(), Uuid::now_v7().simple().to_string());
        let (url, instance) = match backend {
            Backend::Env(given) => (given.database_url()?, Instance::Given),
            Backend::Docker => {
                let container = Container::start(recipe(port, &password, redo_log)).await?;
                (format!("mysql://root:{password}@127.0.0.1:{port}"), Instance::Container(Box::new(container)))
            }
            Backend::Local => {
                let server = mariadb::start(port, &password, redo_log).await?;
                (format!("mysql://test:{password}@127.0.0.1:{port}"), Instance::Local(Box::new(server)))
            }
        };
        Self::ready(url, instance, Database).await
    }
}

fn recipe(host_port: u16, password: &str, redo_log: RedoLog) -> Recipe {
    let mut arguments = vec!["--max-connections=500", "--character-set-server=utf8mb4", "--innodb-buffer-pool-size=1G"];
    if redo_log == RedoLog::Large {
        arguments.push("--innodb-redo-log-capacity=2G");
    }
    Recipe {
        image: DATABASE_IMAGE,
        environment: vec![("MYSQL_ROOT_PASSWORD", password.to_owned()), ("MYSQL_INITDB_SKIP_TZINFO", "1".to_owned())],
        arguments,
        ports: vec![(3306, host_port)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_for_load_have_a_large_redo_log() {
        let has = |redo_log| recipe(1, "", redo_log).arguments.contains(&"--innodb-redo-log-capacity=2G");
        assert_eq!((has(RedoLog::Small), has(RedoLog::Large)), (false, true));
    }
}

//! The database server.

use uuid::Uuid;

use super::{
    Backend,
    container::{Container, DATABASE_IMAGE, Recipe},
    instance::Instance,
    mariadb,
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
        Self::ready(url, instance, Database).await
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

//! A database of its own for each test.

use anyhow::Context;
use uuid::Uuid;

use crate::sql;

/// An empty database with a random name; dropped with this value at the latest.
pub struct TestDatabase {
    server_url: String,
    url: String,
    name: String,
    dropped: bool,
}

impl TestDatabase {
    /// Creates the database on a server, see [`crate::database_url`].
    ///
    /// # Panics
    ///
    /// When the server does not create it.
    pub async fn create(server_url: &str) -> Self {
        Self::on(server_url).await.expect("a database for this test")
    }

    /// As [`TestDatabase::create`], for those that go on without one.
    ///
    /// # Errors
    ///
    /// When the server does not create it.
    pub async fn on(server_url: &str) -> anyhow::Result<Self> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let url = sql::create_database(server_url, &name).await?;
        Ok(Self { server_url: server_url.to_owned(), url, name, dropped: false })
    }

    /// `mysql://user:password@host:port/name`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drops the database now and says if that failed.
    pub async fn drop(mut self) -> anyhow::Result<()> {
        self.dropped = true;
        sql::drop_database(&self.server_url, &self.name).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.dropped {
            return;
        }
        let (server_url, name) = (std::mem::take(&mut self.server_url), std::mem::take(&mut self.name));
        // Its own thread, as a runtime cannot be entered from within one; best effort, the server is a test's anyway.
        let dropping = std::thread::spawn(move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let bounded = async {
                let limit = std::time::Duration::from_secs(10);
                tokio::time::timeout(limit, sql::drop_database(&server_url, &name)).await.context("no answer")?
            };
            runtime.block_on(bounded)
        });
        let _ = dropping.join();
    }
}

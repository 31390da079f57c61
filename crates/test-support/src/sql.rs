//! The few statements that tests need outside the platform's own data layer.

use std::time::Duration;

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection as _, mysql::MySqlConnection, raw_sql};
use url::Url;

const CONNECT: Duration = Duration::from_secs(5);

/// Creates a database where there is none of this name; gives its URL.
///
/// # Errors
///
/// When the server cannot be reached, the name is not plain, or the account may not create databases.
pub async fn create_database(server_url: &str, name: &str) -> anyhow::Result<String> {
    anyhow::ensure!(is_plain(name), "{name:?} is not a plain database name: use letters, digits and _");
    execute(server_url, format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4"))
        .await
        .with_context(|| format!("creating database {name}"))?;
    let mut url = Url::parse(server_url).context("reading the database server's URL")?;
    url.set_path(name);
    Ok(url.into())
}

pub(crate) async fn drop_database(server_url: &str, name: &str) -> anyhow::Result<()> {
    let statement = format!("DROP DATABASE IF EXISTS `{name}`");
    execute(server_url, statement).await.with_context(|| format!("dropping database {name}"))
}

/// Whether the server answers a statement.
pub(crate) async fn ping(server_url: &str) -> anyhow::Result<()> {
    execute(server_url, "SELECT 1".to_owned()).await
}

async fn execute(server_url: &str, statement: String) -> anyhow::Result<()> {
    let connecting = MySqlConnection::connect(server_url);
    let mut connection =
        tokio::time::timeout(CONNECT, connecting).await.context("no answer from the database server")??;
    raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn a_name_that_could_end_the_quoting_is_refused() {
        assert!(is_plain("test_0192f"));
        for name in ["", "a`; DROP DATABASE mysql; --", "a b", &"x".repeat(65)] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}

//! The database as the services write it.

use std::time::Duration;

use persistence::{Database, DatabaseConfig};

/// How long one transaction may take: nobody waits for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Opens it with so many connections at most, on a schema that somebody else keeps up to date.
pub(crate) async fn open(database_url: &str, max_connections: u32) -> anyhow::Result<Database> {
    let config = DatabaseConfig {
        max_connections,
        operation_timeout: PATIENCE,
        ..DatabaseConfig::new(database_url.to_owned().into())
    };
    let database = Database::open(config).await?;
    database.assume_migrated();
    Ok(database)
}

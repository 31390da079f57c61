//! `migrate [up|down|status]`: the schema by hand, or as a job before the services start.

use anyhow::{Context, bail};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a command without the services' settings")]
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set: mysql://user:password@host:port/name")?;
    match std::env::args().nth(1).as_deref().unwrap_or("up") {
        "up" => migrations::up(&url).await.context("migrating up")?,
        "down" => migrations::down(&url, Some(1)).await.context("taking back the newest migration")?,
        "status" => {}
        other => bail!("{other} is not a command: use up, down (one step) or status"),
    }
    for (name, applied) in migrations::status(&url).await.context("reading which migrations are applied")? {
        println!("{} {name}", if applied { "applied" } else { "pending" });
    }
    Ok(())
}

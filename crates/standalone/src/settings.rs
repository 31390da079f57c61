//! The settings of all three services, with embedded parts where they would name servers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use callbacks::{MasterKey, MasterKeys};
use delivery_worker::WorkerConfig;
use operators::OperatorsConfig;
use outbox_relay::RelayConfig;
use persistence::{Address, AddressError, DatabaseConfig};
use secrecy::SecretString;
use settings::{SettingError, Source};

/// Where the data is kept when `DATABASE_URL` does not say.
const DEFAULT_URL: &str = "sqlite://messaging-platform.sqlite";

/// One operation may wait for others on the single connection, and for the disk.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Recovery after a crash goes through all that was unfinished.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(30);

pub(crate) struct Settings {
    pub(crate) gateway: api_gateway::Settings,
    pub(crate) relay: RelayConfig,
    pub(crate) worker: WorkerConfig,
    pub(crate) operators: OperatorsConfig,
    /// The database file as it was named.
    pub(crate) file: PathBuf,
}

impl Settings {
    pub(crate) fn load(process: Source) -> Result<Self, SettingError> {
        // What nobody set gets the embedded default; everything else is read as the services read it.
        let source = process.with_defaults([
            ("DATABASE_URL", DEFAULT_URL),
            ("APP_NAME", "standalone"),
            ("LOG_FORMAT", "pretty"),
            ("RUST_LOG", "warn,standalone=info"),
        ]);
        // Before the gateway, to which a server would do as well.
        let file = file(&source.string("DATABASE_URL", DEFAULT_URL))?;
        let gateway = api_gateway::Settings::load(&source)?;
        Ok(Self {
            relay: RelayConfig::load(&source)?,
            worker: WorkerConfig::load(&source)?,
            operators: OperatorsConfig::load(&source)?,
            gateway,
            file,
        })
    }

    /// The keys of callbacks, where nobody gave one.
    pub(crate) fn set_master_key_if_none(
        &mut self,
        key: impl FnOnce() -> anyhow::Result<MasterKey>,
    ) -> anyhow::Result<()> {
        if self.gateway.callbacks.keys.is_none() {
            let keys = Some(MasterKeys { current: key()?, previous: None });
            self.gateway.callbacks.keys.clone_from(&keys);
            if let Some(callbacks) = &mut self.relay.callbacks {
                callbacks.keys = keys;
            }
        }
        Ok(())
    }

    /// How the database at `file` is used; recovery is done before anybody waits for an answer.
    pub(crate) fn recovery_config(file: &Path) -> Result<DatabaseConfig, AddressError> {
        let url = SecretString::from(Address::at_file(file)?.url());
        Ok(DatabaseConfig { operation_timeout: RECOVERY_TIMEOUT, ..DatabaseConfig::new(url) })
    }

    /// How the database at `file` is used.
    pub(crate) fn database_config(&self, file: &Path) -> Result<DatabaseConfig, AddressError> {
        let url = SecretString::from(Address::at_file(file)?.url());
        let receipts = self.gateway.database.receipts;
        Ok(DatabaseConfig { operation_timeout: DATABASE_TIMEOUT, receipts, ..DatabaseConfig::new(url) })
    }
}

fn file(url: &str) -> Result<PathBuf, SettingError> {
    const ACCEPTED: &str = "sqlite://path: standalone is the embedded platform; run the three services on a server";
    if !url.starts_with("sqlite:") {
        return Err(SettingError::hidden("DATABASE_URL", ACCEPTED));
    }
    let address = Address::parse(url)
        .map_err(|error| SettingError::new("DATABASE_URL", url, format!("sqlite://path ({})", error.problem())))?;
    address.file().map(Path::to_owned).ok_or_else(|| SettingError::hidden("DATABASE_URL", ACCEPTED))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn load(url: &str) -> Result<Settings, SettingError> {
        Settings::load(Source::from_pairs([("DATABASE_URL", url)]))
    }

    #[test]
    fn the_file_is_the_one_that_is_opened() {
        for (url, file) in [
            ("", "messaging-platform.sqlite"),
            ("sqlite:a.db", "a.db"),
            ("sqlite:///data/a%20%62.db?mode=rwc", "/data/a b.db"),
        ] {
            let settings = load(url).expect(url);
            assert_eq!(settings.file, Path::new(file), "{url}");
            let config = settings.database_config(&settings.file).expect("a file's URL");
            let opened = Address::parse(config.url.expose_secret()).expect("accepted");
            assert_eq!(opened.file(), Some(Path::new(file)), "{url}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_by_name_and_value() {
        for (url, says) in [
            (
                "sqlite::memory:",
                "DATABASE_URL=sqlite::memory: is not accepted: it must be sqlite://path (a database in memory",
            ),
            (
                "sqlite://a.db?mode=bogus",
                "DATABASE_URL=sqlite://a.db?mode=bogus is not accepted: it must be sqlite://path (mode=",
            ),
            (
                "mysql://me:secret@db/name",
                "DATABASE_URL=[hidden] is not accepted: it must be sqlite://path: standalone is",
            ),
        ] {
            let error = load(url).map(drop).expect_err(url).to_string();
            assert!(error.starts_with(says) && !error.contains("secret"), "{error}");
        }
    }
}

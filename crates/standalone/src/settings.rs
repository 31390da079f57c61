//! The settings of all three services, with embedded parts where they would name servers.

use std::time::Duration;

use delivery_worker::{WorkerConfig, load_operators};
use operators::OperatorsConfig;
use outbox_relay::RelayConfig;
use persistence::DatabaseConfig;
use secrecy::ExposeSecret as _;
use service_kit::settings::{SettingError, Source};

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
    /// The database file, for people to read.
    pub(crate) file: String,
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
        let gateway = api_gateway::Settings::load(&source)?;
        let url = gateway.database.url.expose_secret();
        let Some(path) = url.strip_prefix("sqlite:") else {
            let accepted = "sqlite://path: standalone is the embedded platform; run the three services on a server";
            return Err(SettingError::hidden("DATABASE_URL", accepted));
        };
        let file = path.trim_start_matches("//").split('?').next().unwrap_or_default().to_owned();
        Ok(Self {
            relay: RelayConfig::load(&source)?,
            worker: WorkerConfig::load(&source)?,
            operators: load_operators(&source)?,
            gateway,
            file,
        })
    }

    /// Recovery is done before anybody waits for an answer.
    pub(crate) fn recovery_config(&self) -> DatabaseConfig {
        DatabaseConfig { operation_timeout: RECOVERY_TIMEOUT, ..self.database_config() }
    }

    pub(crate) fn database_config(&self) -> DatabaseConfig {
        DatabaseConfig { operation_timeout: DATABASE_TIMEOUT, ..DatabaseConfig::new(self.gateway.database.url.clone()) }
    }
}

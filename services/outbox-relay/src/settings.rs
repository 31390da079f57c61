//! The relay's settings, from the environment.

use std::{net::SocketAddr, time::Duration};

use broker::BrokerConfig;
use callbacks::CallbackConfig;
use domain::{Lane, PerLane};
use persistence::DatabaseConfig;
use service_kit::CommonSettings;
use settings::{ListenAddr, SettingError, Source};

/// Where health and metrics are served.
pub const ADMIN_ADDR: ListenAddr = ListenAddr { variable: "ADMIN_ADDR", default: ":8081" };

/// Everything the relay reads from its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name, logs, traces.
    pub common: CommonSettings,
    /// `ADMIN_ADDR` (`:8081`): addresses to try in order.
    pub admin: Vec<SocketAddr>,
    /// The database.
    pub database: DatabaseConfig,
    /// RabbitMQ.
    pub broker: BrokerConfig,
    /// How events are claimed.
    pub relay: RelayConfig,
    /// `SHUTDOWN_TIMEOUT_SECS` (20): how long claimed batches may take after SIGTERM.
    pub drain: Duration,
}

/// How events are claimed and kept.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// `RELAY_EXPRESS_CLAIMERS` (4) and `RELAY_NORMAL_CLAIMERS` (2): tasks that publish the events of a lane; 0 where
    /// other relays do. Without any the relay sends callbacks only.
    pub claimers: PerLane<usize>,
    /// `RELAY_BATCH` (200): most events of one claim.
    pub batch: u64,
    /// `RELAY_LEASE_MS` (30000): how long a claim holds, on SQLite and of events to be given up.
    pub lease: Duration,
    /// `RELAY_EXPRESS_POLL_MS` (15) and `RELAY_POLL_MS` (30, of normal events): how often one of a lane's claimers looks for events, but
    /// at once after a full claim; up to four times as long while there are none.
    pub poll: PerLane<Duration>,
    /// `RELAY_MAX_QUEUED` (2000): messages that may wait in a queue before the rest is kept in the outbox, where its
    /// order is fair; `None` (0) is no limit.
    pub max_queued: Option<u64>,
    /// Half of `BACKPRESSURE_OUTBOX_PENDING_THRESHOLD` (10000): scheduled messages whose time has come wait while more than this many
    /// events of their lane are pending.
    pub most_pending: u64,
    /// `OUTBOX_REPUBLISH_AFTER_SECS` (900): messages unfinished this long after their publish are published again.
    pub republish_after: Duration,
    /// `OUTBOX_RETENTION_HOURS` (72): published events older than this are deleted.
    pub retention: Duration,
    /// `LEDGER_AUDIT_INTERVAL_SECS` (300): how often all balances are compared with their ledgers; `None` for 0, never.
    pub ledger_audit: Option<Duration>,
    /// How callbacks are signed and where they may go; `None` where `CALLBACKS_ENABLED` (true) is false: then this process sends none.
    pub callbacks: Option<CallbackConfig>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        Ok(Self {
            common: CommonSettings::load(source, "outbox-relay")?,
            admin: source.listen_addr(ADMIN_ADDR.variable, ADMIN_ADDR.default)?,
            database: DatabaseConfig::load(source)?,
            broker: BrokerConfig::load(source)?,
            relay: RelayConfig::load(source)?,
            drain: source.duration_secs("SHUTDOWN_TIMEOUT_SECS", 20, 1..=600)?,
        })
    }
}

impl RelayConfig {
    /// Whether this relay publishes anything; one that does not has no use for the broker, and leaves the sweeping to those that do.
    pub fn publishes(&self) -> bool {
        Lane::ALL.iter().any(|lane| self.claimers[*lane] > 0)
    }

    /// Reads the section.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let hours: u64 = source.integer("OUTBOX_RETENTION_HOURS", 72, 1..=8_760)?;
        Ok(Self {
            claimers: PerLane {
                express: source.integer("RELAY_EXPRESS_CLAIMERS", 4, 0..=64)?,
                normal: source.integer("RELAY_NORMAL_CLAIMERS", 2, 0..=64)?,
            },
            batch: source.integer("RELAY_BATCH", 200, 1..=1_000)?,
            // A batch usually has its confirms within 10 s; the token fences off what comes after the lease.
            lease: source.duration_ms("RELAY_LEASE_MS", 30_000, 15_000..=600_000)?,
            poll: PerLane {
                express: source.duration_ms("RELAY_EXPRESS_POLL_MS", 15, 1..=10_000)?,
                normal: source.duration_ms("RELAY_POLL_MS", 30, 1..=10_000)?,
            },
            max_queued: Some(source.integer("RELAY_MAX_QUEUED", 2_000, 0..=10_000_000)?).filter(|most| *most > 0),
            most_pending: source.integer("BACKPRESSURE_OUTBOX_PENDING_THRESHOLD", 10_000, 0..=1_000_000)? / 2,
            republish_after: source.duration_secs("OUTBOX_REPUBLISH_AFTER_SECS", 900, 60..=86_400)?,
            retention: Duration::from_hours(hours),
            ledger_audit: Some(source.duration_secs("LEDGER_AUDIT_INTERVAL_SECS", 300, 0..=86_400)?)
                .filter(|every| !every.is_zero()),
            callbacks: if source.boolean("CALLBACKS_ENABLED", true)? {
                Some(CallbackConfig::load(source)?)
            } else {
                None
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_claimers_are_for_express_and_two_for_normal_events() {
        let config = RelayConfig::load(&Source::from_pairs::<&str, &str>([])).expect("accepted");
        assert_eq!(config.claimers, PerLane { express: 4, normal: 2 });
        assert_eq!(config.batch, 200);
    }

    #[test]
    fn a_relay_without_claimers_publishes_nothing() {
        for (express, normal, publishes) in [("0", "0", false), ("1", "0", true), ("0", "1", true)] {
            let source = Source::from_pairs([("RELAY_EXPRESS_CLAIMERS", express), ("RELAY_NORMAL_CLAIMERS", normal)]);
            assert_eq!(RelayConfig::load(&source).expect("accepted").publishes(), publishes, "{express} {normal}");
        }
    }
}

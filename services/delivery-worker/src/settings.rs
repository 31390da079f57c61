//! The worker's settings, from the environment.

use std::{net::SocketAddr, time::Duration};

use broker::BrokerConfig;
use callbacks::OperatorSecrets;
use domain::{PerLane, Sender};
use operators::OperatorsConfig;
use persistence::DatabaseConfig;
use service_kit::CommonSettings;
use settings::{ListenAddr, SettingError, Source, processors};

/// Where health and metrics are served.
pub const ADMIN_ADDR: ListenAddr = ListenAddr { variable: "ADMIN_ADDR", default: ":8082" };

/// Everything the worker reads from its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name, logs, traces.
    pub common: CommonSettings,
    /// `ADMIN_ADDR` (`:8082`): addresses to try in order.
    pub admin: Vec<SocketAddr>,
    /// The database.
    pub database: DatabaseConfig,
    /// RabbitMQ.
    pub broker: BrokerConfig,
    /// Who sends the messages.
    pub operators: OperatorsConfig,
    /// How messages are taken.
    pub worker: WorkerConfig,
    /// `SHUTDOWN_TIMEOUT_SECS` (20): how long messages in hand may take after SIGTERM.
    pub drain: Duration,
}

/// RabbitMQ takes back what is not acknowledged for half an hour, and counts that.
const IN_HAND: Duration = Duration::from_mins(10);

/// How messages are taken and worked on.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// `WORKER_EXPRESS_PREFETCH` (200) and `WORKER_NORMAL_PREFETCH` (200): messages of a queue in hand at most.
    pub prefetch: PerLane<u16>,
    /// `WORKER_MAX_CALLS` (512): operator calls at the same time.
    pub max_calls: usize,
    /// For how long a delivery begins anything new before the rest of it is put off; 10 minutes.
    pub in_hand: Duration,
    /// `WORKER_STATE_LANES` (half as many as processors, 1 to 4): transactions that write states at the same time, for each
    /// queue.
    pub state_lanes: usize,
    /// `WORKER_EXPRESS_PACE_MS` (15) and `WORKER_NORMAL_PACE_MS` (30): the least time between transactions that write states, while
    /// little waits.
    pub pace: PerLane<Duration>,
    /// `DEFAULT_SENDER` (unset): from whom messages are that do not say; unset, operators decide.
    pub default_sender: Option<Sender>,
    /// `VALIDITY_EXPRESS_SECS` (0), `VALIDITY_NORMAL_SECS` (0): for how long messages may be sent that do not say; `None` (0) is without end,
    /// and fails at once what no operator takes.
    pub validity: PerLane<Option<Duration>>,
    /// `RECEIPT_SECRETS` (none): the operators of which receipts are waited for. Their secrets are the gateway's.
    pub receipt_secrets: OperatorSecrets,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        Ok(Self {
            common: CommonSettings::load(source, "delivery-worker")?,
            admin: source.listen_addr(ADMIN_ADDR.variable, ADMIN_ADDR.default)?,
            database: DatabaseConfig::load(source)?,
            broker: BrokerConfig::load(source)?,
            operators: OperatorsConfig::load(source)?,
            worker: WorkerConfig::load(source)?,
            drain: source.duration_secs("SHUTDOWN_TIMEOUT_SECS", 20, 1..=600)?,
        })
    }
}

const SENDER: &str =
    "1 to 11 letters, digits, spaces or &+_-. with at least one letter, or an optional + and 3 to 15 digits";

impl WorkerConfig {
    /// Reads the section.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        Ok(Self {
            prefetch: PerLane {
                express: source.integer("WORKER_EXPRESS_PREFETCH", 200, 1..=2_000)?,
                normal: source.integer("WORKER_NORMAL_PREFETCH", 200, 1..=2_000)?,
            },
            max_calls: source.integer("WORKER_MAX_CALLS", 512, crate::CHUNK..=10_000)?,
            in_hand: IN_HAND,
            state_lanes: source.integer("WORKER_STATE_LANES", (processors() / 2).clamp(1, 4), 1..=16)?,
            pace: PerLane {
                express: source.duration_ms("WORKER_EXPRESS_PACE_MS", 15, 0..=1_000)?,
                normal: source.duration_ms("WORKER_NORMAL_PACE_MS", 30, 0..=1_000)?,
            },
            default_sender: source.parsed_with("DEFAULT_SENDER", SENDER, |text| Sender::parse(text.to_owned()).ok())?,
            validity: PerLane {
                express: validity(source, "VALIDITY_EXPRESS_SECS")?,
                normal: validity(source, "VALIDITY_NORMAL_SECS")?,
            },
            receipt_secrets: source.hidden_with_default(
                "RECEIPT_SECRETS",
                "",
                callbacks::ACCEPTED,
                OperatorSecrets::parse,
            )?,
        })
    }
}

fn validity(source: &Source, name: &str) -> Result<Option<Duration>, SettingError> {
    let validity = source.duration_secs(name, 0, 0..=604_800)?;
    Ok(Some(validity).filter(|validity| !validity.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_contracts() {
        let settings = Settings::load(&Source::from_pairs::<&str, &str>([])).expect("accepted");
        let names: Vec<_> = settings.operators.operators.iter().map(|operator| operator.name.to_string()).collect();
        assert_eq!(names, ["operatorA", "operatorB"]);
        assert_eq!(settings.operators.timeout, Duration::from_secs(2));
        assert_eq!(settings.operators.breaker.failure_threshold, 3);
    }
}

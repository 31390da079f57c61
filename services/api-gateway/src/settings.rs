//! The gateway's settings, from the environment.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use broker::BrokerConfig;
use domain::{PriceList, pricing::MAX_PRICE};
use persistence::DatabaseConfig;
use service_kit::CommonSettings;
use settings::{ListenAddr, SettingError, Source, processors};

use crate::{DATABASE_TIMEOUT, backpressure::signal::Thresholds, rate::Rate};

/// Where the API is served.
pub const LISTEN_ADDR: ListenAddr = ListenAddr { variable: "LISTEN_ADDR", default: ":8080" };

/// Everything the gateway reads from its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name, logs, traces.
    pub common: CommonSettings,
    /// `LISTEN_ADDR` (`:8080`): addresses to try in order.
    pub listen: Vec<SocketAddr>,
    /// The database.
    pub database: DatabaseConfig,
    /// RabbitMQ: the names that go into outbox payloads, and what readiness reports.
    pub broker: BrokerConfig,
    /// `PRICE_NORMAL` (1), `PRICE_EXPRESS` (3).
    pub prices: PriceList,
    /// `READYZ_REQUIRES_BROKER` (false): be not ready while RabbitMQ is away, as the reference.
    pub readyz_requires_broker: bool,
    /// `ACCEPT_LANES` (half as many as processors, 1 to 8): transactions that accept messages at the same time.
    pub accept_lanes: usize,
    /// `GLOBAL_RATE_LIMIT_RPS`, `GLOBAL_RATE_LIMIT_BURST` (1000, 1000): all requests of this process.
    pub global_rate: Rate,
    /// `USER_RATE_LIMIT_RPS`, `USER_RATE_LIMIT_BURST` (20, 20): requests to send of one customer.
    pub customer_rate: Rate,
    /// `BACKPRESSURE_*`: from where on sending is refused; nothing where `BACKPRESSURE_ENABLED` (true) is false.
    pub backpressure: Thresholds,
    /// `SHUTDOWN_TIMEOUT_SECS` (20): how long requests in flight may take after SIGTERM.
    pub drain: Duration,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let normal = source.integer("PRICE_NORMAL", 1, 1..=MAX_PRICE)?;
        let express = source.integer("PRICE_EXPRESS", 3, 1..=MAX_PRICE)?;
        Ok(Self {
            common: CommonSettings::load(source, "api-gateway")?,
            listen: source.listen_addr(LISTEN_ADDR.variable, LISTEN_ADDR.default)?,
            database: DatabaseConfig { operation_timeout: DATABASE_TIMEOUT, ..DatabaseConfig::load(source)? },
            broker: BrokerConfig::load(source)?,
            prices: PriceList::new(normal, express).expect("both are in range"),
            readyz_requires_broker: source.boolean("READYZ_REQUIRES_BROKER", false)?,
            accept_lanes: source.integer("ACCEPT_LANES", (processors() / 2).clamp(1, 8), 1..=64)?,
            global_rate: rate(source, ("GLOBAL_RATE_LIMIT_RPS", "GLOBAL_RATE_LIMIT_BURST"), 1_000)?,
            customer_rate: rate(source, ("USER_RATE_LIMIT_RPS", "USER_RATE_LIMIT_BURST"), 20)?,
            backpressure: Thresholds::load(source)?,
            drain: source.duration_secs("SHUTDOWN_TIMEOUT_SECS", 20, 1..=600)?,
        })
    }
}

fn rate(source: &Source, names: (&str, &str), default: u32) -> Result<Rate, SettingError> {
    let per_second = source.integer(names.0, default, 0..=1_000_000)?;
    // Without a limit nobody looks at its burst.
    let least = u32::from(per_second > 0);
    let burst = source.integer(names.1, default, least..=1_000_000)?;
    Ok(Rate::new(per_second, NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_contracts() {
        let settings = Settings::load(&Source::from_pairs::<&str, &str>([])).expect("accepted");
        assert_eq!(settings.listen[0].port(), 8080);
        assert_eq!(settings.prices, PriceList::default());
        let per_second = |rps, burst| Rate::new(rps, NonZeroU32::new(burst).expect("positive"));
        assert_eq!(settings.global_rate, per_second(1_000, 1_000));
        assert_eq!(settings.customer_rate, per_second(20, 20));
        assert_eq!(settings.backpressure.pending, Some(10_000));
        assert!(!settings.readyz_requires_broker);
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        for (name, value) in [
            ("PRICE_NORMAL", "0"),
            ("PRICE_EXPRESS", "x"),
            ("LISTEN_ADDR", "nowhere"),
            ("ACCEPT_LANES", ""),
            ("USER_RATE_LIMIT_BURST", "0"),
        ] {
            let loaded = Settings::load(&Source::from_pairs([(name, value)]));
            match loaded {
                Ok(_) => assert_eq!(value, "", "{name}={value} was taken"),
                Err(error) => assert!(error.to_string().starts_with(&format!("{name}={value} ")), "{error}"),
            }
        }
    }
}

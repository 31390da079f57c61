//! The gateway's settings, from the environment.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use broker::BrokerConfig;
use callbacks::{CallbackConfig, OperatorSecrets};
use domain::{
    ApiKey, CountryCode, KeyHash, KeyKind, Numbering, PriceList, PriceUnit, Tariff,
    pricing::{MAX_PRICE, MAX_SEGMENTS},
};
use persistence::DatabaseConfig;
use secrecy::ExposeSecret as _;
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
    /// `AUTH_REQUIRED` (false): whether every request needs an API key.
    pub auth_required: bool,
    /// `ADMIN_API_KEY`: the digest of a key that may make others, for the start.
    pub admin_key: Option<KeyHash>,
    /// What messages may be, and what they cost.
    pub composition: Composition,
    /// `READYZ_REQUIRES_BROKER` (false): be not ready while RabbitMQ is away, as the reference.
    pub readyz_requires_broker: bool,
    /// `ACCEPT_LANES` (half as many as processors, 1 to 8): transactions that accept messages at the same time.
    pub accept_lanes: usize,
    /// `GLOBAL_RATE_LIMIT_RPS`, `GLOBAL_RATE_LIMIT_BURST` (1000, 1000): all requests of this process.
    pub global_rate: Rate,
    /// `USER_RATE_LIMIT_RPS`, `USER_RATE_LIMIT_BURST` (20, 20): requests to send of one customer.
    pub customer_rate: Rate,
    /// `RECEIPT_SECRETS` (none): the operators that send receipts, and how they show who they are.
    pub receipt_secrets: OperatorSecrets,
    /// `RECEIPT_RATE_LIMIT_RPS` (2000): requests of operators with receipts.
    pub receipt_rate: Rate,
    /// Where callbacks may go, and what the secrets of endpoints are made from.
    pub callbacks: CallbackConfig,
    /// `BACKPRESSURE_*`: from where on sending is refused; nothing where `BACKPRESSURE_ENABLED` (true) is false.
    pub backpressure: Thresholds,
    /// `SHUTDOWN_TIMEOUT_SECS` (20): how long requests in flight may take after SIGTERM.
    pub drain: Duration,
}

/// What messages may be, and what they cost.
#[derive(Debug, Clone)]
pub struct Composition {
    /// `PRICE_NORMAL` (1), `PRICE_EXPRESS` (3), `PRICE_UNIT` (recipient): what one costs.
    pub tariff: Tariff,
    /// `MAX_SEGMENTS` (49): most segments of a text. As many as 1,600 characters can come to.
    pub max_segments: u8,
    /// `SENDERS` (any): whether senders have to be registered for their customers.
    pub senders: Senders,
    /// `DEFAULT_COUNTRY_CODE` (unset), `NATIONAL_PREFIX` (0): how numbers become international ones.
    pub numbering: Numbering,
}

/// Which senders a customer may send from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    /// Any that is well-formed.
    Any,
    /// Those that were registered for it.
    Registered,
}

impl Senders {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "any" => Some(Self::Any),
            "registered" => Some(Self::Registered),
            _ => None,
        }
    }
}

impl Composition {
    fn load(source: &Source) -> Result<Self, SettingError> {
        let normal = source.integer("PRICE_NORMAL", 1, 1..=MAX_PRICE)?;
        let express = source.integer("PRICE_EXPRESS", 3, 1..=MAX_PRICE)?;
        let unit = source.parsed_with_default("PRICE_UNIT", "recipient", "recipient or segment", PriceUnit::parse)?;
        let prices = PriceList::new(normal, express).expect("both are in range");
        Ok(Self {
            tariff: Tariff { prices, unit },
            max_segments: source.integer("MAX_SEGMENTS", 49, 1..=MAX_SEGMENTS)?,
            senders: source.parsed_with_default("SENDERS", "any", "any or registered", Senders::parse)?,
            numbering: numbering(source)?,
        })
    }
}

fn numbering(source: &Source) -> Result<Numbering, SettingError> {
    const ACCEPTED: &str = "a country code of 1 to 3 digits without a + or zeros before it";
    const PREFIX: &str = "up to 3 digits; empty where a country has none";
    let code = source.parsed_with("DEFAULT_COUNTRY_CODE", ACCEPTED, CountryCode::parse)?;
    let prefix = source.possibly_empty("NATIONAL_PREFIX", "0", PREFIX);
    // It is looked at even where nobody needs it, so that a mistake is found before it matters.
    let any = CountryCode::parse("1").expect("it is one");
    let known = code.as_ref().unwrap_or(&any);
    let numbering = Numbering::new(known, &prefix);
    let numbering = numbering.ok_or_else(|| SettingError::new("NATIONAL_PREFIX", &prefix, PREFIX))?;
    Ok(if code.is_some() { numbering } else { Numbering::as_written() })
}

/// The digest of `ADMIN_API_KEY`; no error shows what was there.
fn admin_key(source: &Source) -> Result<Option<KeyHash>, SettingError> {
    const ACCEPTED: &str = "an API key that begins with mpa_, such as `cargo xtask key` prints";
    let Some(text) = source.secret("ADMIN_API_KEY") else { return Ok(None) };
    let key = ApiKey::parse(text.expose_secret()).filter(|key| key.kind() == KeyKind::Platform);
    key.map(|key| Some(key.hash())).ok_or_else(|| SettingError::hidden("ADMIN_API_KEY", ACCEPTED))
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        Ok(Self {
            common: CommonSettings::load(source, "api-gateway")?,
            listen: source.listen_addr(LISTEN_ADDR.variable, LISTEN_ADDR.default)?,
            database: DatabaseConfig { operation_timeout: DATABASE_TIMEOUT, ..DatabaseConfig::load(source)? },
            broker: BrokerConfig::load(source)?,
            auth_required: source.boolean("AUTH_REQUIRED", false)?,
            admin_key: admin_key(source)?,
            composition: Composition::load(source)?,
            readyz_requires_broker: source.boolean("READYZ_REQUIRES_BROKER", false)?,
            accept_lanes: source.integer("ACCEPT_LANES", (processors() / 2).clamp(1, 8), 1..=64)?,
            global_rate: rate(source, ("GLOBAL_RATE_LIMIT_RPS", "GLOBAL_RATE_LIMIT_BURST"), 1_000)?,
            customer_rate: rate(source, ("USER_RATE_LIMIT_RPS", "USER_RATE_LIMIT_BURST"), 20)?,
            receipt_secrets: receipt_secrets(source)?,
            receipt_rate: receipt_rate(source)?,
            callbacks: CallbackConfig::load(source)?,
            backpressure: Thresholds::load(source)?,
            drain: source.duration_secs("SHUTDOWN_TIMEOUT_SECS", 20, 1..=600)?,
        })
    }
}

fn receipt_secrets(source: &Source) -> Result<OperatorSecrets, SettingError> {
    source.hidden_with_default("RECEIPT_SECRETS", "", callbacks::ACCEPTED, OperatorSecrets::parse)
}

fn receipt_rate(source: &Source) -> Result<Rate, SettingError> {
    let per_second = source.integer("RECEIPT_RATE_LIMIT_RPS", 2_000, 0..=1_000_000)?;
    Ok(Rate::new(per_second, NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN)))
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
        assert_eq!(settings.composition.tariff, Tariff::default());
        assert_eq!(settings.composition.max_segments, 49);
        assert!(!settings.auth_required && settings.admin_key.is_none());
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
            ("PRICE_UNIT", "part"),
            ("MAX_SEGMENTS", "256"),
            ("SENDERS", "none"),
            ("DEFAULT_COUNTRY_CODE", "+98"),
            ("NATIONAL_PREFIX", "x"),
        ] {
            let loaded = Settings::load(&Source::from_pairs([(name, value)]));
            match loaded {
                Ok(_) => assert_eq!(value, "", "{name}={value} was taken"),
                Err(error) => assert!(error.to_string().starts_with(&format!("{name}={value} ")), "{error}"),
            }
        }
    }

    #[test]
    fn a_wrong_admin_key_is_refused_without_being_shown() {
        for wrong in
            ["secret", "mpk_0123456789abcdefghijABCDEFGHIJ011PgylC", "mpa_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ16kT6H"]
        {
            let error =
                Settings::load(&Source::from_pairs([("ADMIN_API_KEY", wrong)])).expect_err("refused").to_string();
            assert!(error.starts_with("ADMIN_API_KEY=[hidden] ") && !error.contains(wrong), "{error}");
        }
        let right = "mpa_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ16kT6G";
        let settings = Settings::load(&Source::from_pairs([("ADMIN_API_KEY", right)])).expect("accepted");
        assert!(settings.admin_key.is_some() && !format!("{settings:?}").contains("ZZZ"));
    }

    #[test]
    fn a_national_prefix_may_be_empty() {
        let numbers = |prefix| {
            let pairs = [("DEFAULT_COUNTRY_CODE", "39"), ("NATIONAL_PREFIX", prefix)];
            let numbering = Settings::load(&Source::from_pairs(pairs)).expect("accepted").composition.numbering;
            let written = domain::Recipients::parse(vec!["0612345678".to_owned()]).expect("valid");
            numbering.normalise(written).expect("valid").as_slice()[0].to_string()
        };
        assert_eq!([numbers("0"), numbers("")], ["+39612345678", "0612345678"]);
    }
}

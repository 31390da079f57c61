//! Settings that several processes share.

use secrecy::{ExposeSecret as _, SecretString};
use telemetry::{
    ACCEPTED_ENDPOINTS, DEFAULT_FILTER, LogFormat, OtlpConfig, TelemetryConfig, check_filter, parse_otlp_endpoint,
};

use super::{SettingError, Source};

/// The user and port a RabbitMQ on the same machine comes with.
const DEFAULT_RABBIT_URI: &str = "amqp://guest:guest@localhost:5672/%2f";

/// What a process is called and how it reports: `APP_NAME`, `RUST_LOG`, `LOG_FORMAT`, `OTEL_EXPORTER_OTLP_*`.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    /// `APP_NAME`: name of the process in logs and traces.
    pub app_name: String,
    /// `RUST_LOG`: which log lines are written (info).
    pub log_filter: String,
    /// `LOG_FORMAT`: `json` (default) or `pretty`.
    pub log_format: LogFormat,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_INSECURE`: where traces go; unset exports none.
    pub otlp: Option<OtlpConfig>,
}

impl CommonSettings {
    /// Reads the section.
    ///
    /// # Errors
    /// A filter, a format or an endpoint that is not understood.
    pub fn load(source: &Source, default_app_name: &str) -> Result<Self, SettingError> {
        let filter = source.parsed_with("RUST_LOG", "a log filter such as info,target=debug", |value| {
            check_filter(value).ok().map(|()| value.to_owned())
        })?;
        Ok(Self {
            app_name: source.string("APP_NAME", default_app_name),
            log_filter: filter.unwrap_or_else(|| DEFAULT_FILTER.to_owned()),
            log_format: source.parsed("LOG_FORMAT", LogFormat::Json, "json or pretty")?,
            otlp: load_otlp(source)?,
        })
    }

    /// What `telemetry::init` needs. Call it once: the name it hands over lives as long as the process.
    pub fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            service: String::leak(self.app_name.clone()),
            log: self.log_format,
            filter: self.log_filter.clone(),
            otlp: self.otlp.clone(),
        }
    }
}

fn load_otlp(source: &Source) -> Result<Option<OtlpConfig>, SettingError> {
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let insecure = source.optional_boolean("OTEL_EXPORTER_OTLP_INSECURE")?;
    let Some(endpoint) = source.optional(ENDPOINT) else { return Ok(None) };
    let parsed = parse_otlp_endpoint(&endpoint, insecure).map_err(|_| {
        let may_hold_credentials = endpoint.contains('@');
        if may_hold_credentials {
            SettingError::hidden(ENDPOINT, ACCEPTED_ENDPOINTS)
        } else {
            SettingError::new(ENDPOINT, &endpoint, ACCEPTED_ENDPOINTS)
        }
    })?;
    Ok(Some(parsed))
}

/// Where the broker is and what its parts are called.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// `RABBIT_URI`: `amqp://user:password@host:port/vhost`, or `amqps://` for TLS.
    pub uri: SecretString,
    /// `RABBIT_MESSAGE_EXCHANGE` (`message_exchange`).
    pub exchange: String,
    /// `EXPRESS_QUEUE` (`message_express`).
    pub express_queue: String,
    /// `NORMAL_QUEUE` (`message_normal`).
    pub normal_queue: String,
}

impl BrokerSettings {
    /// Reads the section.
    ///
    /// # Errors
    /// A URI of another scheme, a name that AMQP cannot carry, or one queue for both message types.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let uri = source.secret("RABBIT_URI").unwrap_or_else(|| SecretString::from(DEFAULT_RABBIT_URI));
        if !["amqp://", "amqps://"].iter().any(|scheme| uri.expose_secret().starts_with(scheme)) {
            return Err(SettingError::hidden(
                "RABBIT_URI",
                "amqp://user:password@host:port/vhost or the same with amqps",
            ));
        }
        let express_queue = amqp_name(source, "EXPRESS_QUEUE", "message_express")?;
        let normal_queue = amqp_name(source, "NORMAL_QUEUE", "message_normal")?;
        let with_dlq = |queue: &String| [queue.clone(), format!("{queue}.dlq")];
        if with_dlq(&express_queue).iter().any(|name| with_dlq(&normal_queue).contains(name)) {
            let accepted = "another queue than NORMAL_QUEUE and its dead-letter queue (.dlq), and the other way round";
            return Err(SettingError::new("EXPRESS_QUEUE", &express_queue, accepted));
        }
        let exchange = amqp_name(source, "RABBIT_MESSAGE_EXCHANGE", "message_exchange")?;
        Ok(Self { uri, exchange, express_queue, normal_queue })
    }
}

/// AMQP names hold 255 bytes; five are kept free for suffixes such as `.dlq`.
fn amqp_name(source: &Source, name: &str, default: &str) -> Result<String, SettingError> {
    let accepted = "a name of 1 to 250 bytes without control characters that does not begin with amq.";
    let value = source.parsed_with(name, accepted, |value| {
        let is_right = value.len() <= 250 && !value.chars().any(char::is_control) && !value.starts_with("amq.");
        is_right.then(|| value.to_owned())
    })?;
    Ok(value.unwrap_or_else(|| default.to_owned()))
}

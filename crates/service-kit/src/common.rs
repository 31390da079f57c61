//! What every process is called, and how it reports.

use settings::{SettingError, Source};
use telemetry::{
    ACCEPTED_ENDPOINTS, DEFAULT_FILTER, LogFormat, OtlpConfig, TelemetryConfig, check_filter, parse_otlp_endpoint,
};

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
        const FILTER: &str = "a log filter such as info,target=debug";
        let filter = |value: &str| check_filter(value).ok().map(|()| value.to_owned());
        Ok(Self {
            app_name: source.string("APP_NAME", default_app_name),
            log_filter: source.parsed_with_default("RUST_LOG", DEFAULT_FILTER, FILTER, filter)?,
            log_format: source
                .parsed_with_default("LOG_FORMAT", "json", "json or pretty", |value| value.parse().ok())?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_section_has_its_defaults_and_variables() {
        let common = CommonSettings::load(&Source::from_pairs::<&str, &str>([]), "outbox-relay").unwrap();
        assert_eq!((common.app_name.as_str(), common.log_filter.as_str()), ("outbox-relay", "info"));
        assert_eq!((common.log_format, &common.otlp), (LogFormat::Json, &None));

        let source = Source::from_pairs([
            ("APP_NAME", "relay-7"),
            ("RUST_LOG", "warn,relay=debug"),
            ("LOG_FORMAT", "pretty"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "otel:4317"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "false"),
        ]);
        let telemetry = CommonSettings::load(&source, "outbox-relay").unwrap().telemetry();
        assert_eq!((telemetry.service, telemetry.filter.as_str()), ("relay-7", "warn,relay=debug"));
        assert_eq!(
            (telemetry.log, telemetry.otlp.unwrap().endpoint.as_str()),
            (LogFormat::Pretty, "https://otel:4317")
        );
    }

    #[test]
    fn wrong_values_of_the_common_section_name_their_variable() {
        let table = [
            ("RUST_LOG", "info,relay=loud", "RUST_LOG=info,relay=loud is not accepted: it must be a log filter"),
            ("LOG_FORMAT", "xml", "LOG_FORMAT=xml is not accepted: it must be json or pretty"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "no", "OTEL_EXPORTER_OTLP_INSECURE=no is not accepted"),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "ftp://x",
                "OTEL_EXPORTER_OTLP_ENDPOINT=ftp://x is not accepted: it must be host",
            ),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:pw@x:1", "OTEL_EXPORTER_OTLP_ENDPOINT=[hidden] is not accepted"),
        ];
        for (name, value, expected) in table {
            let error = CommonSettings::load(&Source::from_pairs([(name, value)]), "x").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}

use secrecy::ExposeSecret as _;
use telemetry::LogFormat;

use super::*;

fn one(name: &str, value: &str) -> Source {
    Source::from_pairs([(name, value)])
}

const EMPTY: [(&str, &str); 0] = [];

#[test]
fn unset_and_empty_variables_take_the_default() {
    for source in [Source::from_pairs(EMPTY), one("X", "")] {
        assert_eq!(source.optional("X"), None);
        assert_eq!(source.string("X", "fallback"), "fallback");
        assert!(source.secret("X").is_none());
        assert_eq!(source.parsed("X", 1.5, "a number"), Ok(1.5));
        assert_eq!(source.integer("X", 7, 1..=9), Ok(7));
        assert_eq!(source.boolean("X", true), Ok(true));
        assert_eq!(source.duration_ms("X", 250, 1..=500), Ok(Duration::from_millis(250)));
        assert_eq!(source.duration_secs("X", 3, 1..=5), Ok(Duration::from_secs(3)));
        assert_eq!(source.listen_addr("X", "127.0.0.1:81"), Ok(vec!["127.0.0.1:81".parse().unwrap()]));
    }
}

#[test]
fn values_override_the_default() {
    assert_eq!(one("X", "set").string("X", "fallback"), "set");
    assert_eq!(one("X", "s3cret").secret("X").unwrap().expose_secret(), "s3cret");
    assert_eq!(one("X", "-4").integer("X", 7, -4..=9), Ok(-4));
    assert_eq!(one("X", "9").duration_secs("X", 3, 1..=9), Ok(Duration::from_secs(9)));
    for (text, value) in [("true", true), ("TRUE", true), ("1", true), ("false", false), ("False", false), ("0", false)]
    {
        assert_eq!(one("X", text).boolean("X", !value), Ok(value), "{text}");
    }
}

#[test]
fn a_wrong_value_is_one_line_with_name_value_and_what_is_accepted() {
    let price = |value: &str| one("PRICE_NORMAL", value).integer("PRICE_NORMAL", 1, 1..=1_000_000_000);
    let accepted = "is not accepted: it must be a whole number from 1 to 1000000000";
    for value in ["abc", "0", "1000000001", "1.5", "-1", " 1", "99999999999999999999"] {
        assert_eq!(price(value).unwrap_err().to_string(), format!("PRICE_NORMAL={value} {accepted}"));
    }
    assert_eq!(price("1\r\n\u{1b}").unwrap_err().to_string(), format!("PRICE_NORMAL=1\\r\\n\\u{{1b}} {accepted}"));
    assert_eq!(
        price(&"9".repeat(500)).unwrap_err().to_string(),
        format!("PRICE_NORMAL={}... {accepted}", "9".repeat(200))
    );

    let wrong = one("X", "yes").boolean("X", true).unwrap_err();
    assert_eq!(wrong.to_string(), "X=yes is not accepted: it must be true, false, 1 or 0");
    assert_eq!(wrong.name(), "X");
    let wrong = one("X", "0").duration_ms("X", 5, 1..=60_000).unwrap_err();
    assert_eq!(wrong.to_string(), "X=0 is not accepted: it must be a whole number from 1 to 60000");
    let wrong = one("X", "b").parsed("X", 'a'.len_utf8(), "a small number").unwrap_err();
    assert_eq!(wrong.to_string(), "X=b is not accepted: it must be a small number");
}

#[test]
fn listen_addresses_of_every_form() {
    let listen = |value: &str| one("A", value).listen_addr("A", ":1");
    let addresses = |list: &[&str]| -> Vec<SocketAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
    assert_eq!(listen(":8080").unwrap(), addresses(&["[::]:8080", "0.0.0.0:8080"]));
    assert_eq!(listen("0.0.0.0:8080").unwrap(), addresses(&["0.0.0.0:8080"]));
    assert_eq!(listen("[::]:8080").unwrap(), addresses(&["[::]:8080"]));
    assert_eq!(listen("localhost:9").unwrap()[0], "127.0.0.1:9".parse().unwrap());
    for wrong in ["8080", ":", ":http", ":65536", "0.0.0.0", "[::]", "http://0.0.0.0:80", "::1"] {
        let error = listen(wrong).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("A={wrong} is not accepted: it must be :port, address:port or host:port of this machine")
        );
    }
}

#[test]
fn the_common_section_has_its_defaults_and_variables() {
    let common = CommonSettings::load(&Source::from_pairs(EMPTY), "outbox-relay").unwrap();
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
    assert_eq!((telemetry.log, telemetry.otlp.unwrap().endpoint.as_str()), (LogFormat::Pretty, "https://otel:4317"));
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
        let error = CommonSettings::load(&one(name, value), "x").unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_broker_section_has_its_defaults_and_variables() {
    let broker = BrokerSettings::load(&Source::from_pairs(EMPTY)).unwrap();
    assert_eq!(broker.uri.expose_secret(), "amqp://guest:guest@localhost:5672/%2f");
    assert_eq!(broker.exchange, "message_exchange");
    assert_eq!((broker.express_queue.as_str(), broker.normal_queue.as_str()), ("message_express", "message_normal"));

    let source = Source::from_pairs([
        ("RABBIT_URI", "amqps://user:s3cret@rabbit/prod"),
        ("RABBIT_MESSAGE_EXCHANGE", "e"),
        ("EXPRESS_QUEUE", "fast"),
        ("NORMAL_QUEUE", "slow"),
    ]);
    let broker = BrokerSettings::load(&source).unwrap();
    assert_eq!(
        (broker.exchange.as_str(), broker.express_queue.as_str(), broker.normal_queue.as_str()),
        ("e", "fast", "slow")
    );
    assert!(!format!("{broker:?}").contains("s3cret"));
}

#[test]
fn wrong_values_of_the_broker_section_show_no_secret() {
    let long = "q".repeat(251);
    let table = [
        ("RABBIT_URI", "http://user:s3cret@rabbit", "RABBIT_URI=[hidden] is not accepted: it must be amqp://"),
        ("NORMAL_QUEUE", long.as_str(), "NORMAL_QUEUE=qqq"),
        (
            "RABBIT_MESSAGE_EXCHANGE",
            "a\nb",
            "RABBIT_MESSAGE_EXCHANGE=a\\nb is not accepted: it must be a name of 1 to 250",
        ),
        ("EXPRESS_QUEUE", "message_normal", "EXPRESS_QUEUE=message_normal is not accepted: it must be another queue"),
    ];
    for (name, value, expected) in table {
        let error = BrokerSettings::load(&one(name, value)).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(!format!("{error:?}{error}").contains("s3cret"), "{error}");
    }
}

#[test]
fn the_process_source_reads_the_environment() {
    // Cargo sets this one for every test.
    assert_eq!(Source::process().optional("CARGO_PKG_NAME").as_deref(), Some("service-kit"));
    assert_eq!(Source::process().optional("SERVICE_KIT_NO_SUCH_VARIABLE"), None);
}

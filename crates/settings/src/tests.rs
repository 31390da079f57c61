use secrecy::ExposeSecret as _;

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
        assert_eq!(source.parsed_with_default("X", "1.5", "a number", |text| text.parse().ok()), Ok(1.5));
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
    let wrong =
        one("X", "b").parsed_with_default("X", "1", "a small number", |text| text.parse::<u8>().ok()).unwrap_err();
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
fn the_process_source_reads_the_environment() {
    // Cargo sets this one for every test.
    assert_eq!(Source::process().optional("CARGO_PKG_NAME").as_deref(), Some("settings"));
    assert_eq!(Source::process().optional("SERVICE_KIT_NO_SUCH_VARIABLE"), None);
}

#[test]
fn what_was_asked_for_is_noted_with_default_and_range() {
    let source = one("X", "3");
    source.integer("X", 7, 1..=9).unwrap();
    source.string("Y", "fallback");
    source.secret("Z");
    let asked = |name: &str, default: Option<&str>, accepted: Option<&str>| Asked {
        name: name.to_owned(),
        default: default.map(str::to_owned),
        accepted: accepted.map(str::to_owned),
    };
    let expected = [
        asked("X", Some("7"), Some("a whole number from 1 to 9")),
        asked("Y", Some("fallback"), None),
        asked("Z", None, None),
    ];
    assert_eq!(source.asked(), expected);
}

#[test]
fn one_may_be_set_to_nothing() {
    let prefix = |source: &Source| source.possibly_empty("PREFIX", "0", "digits");
    let empty = || Source::from_pairs([("PREFIX", "")]);
    assert_eq!(prefix(&Source::from_pairs::<&str, &str>([])), "0");
    assert_eq!(prefix(&empty()), "");
    assert_eq!(prefix(&empty().with_defaults([("OTHER", "x")])), "", "through other defaults too");
    assert_eq!(empty().with_defaults([("PREFIX", "1")]).string("PREFIX", "2"), "1");
}

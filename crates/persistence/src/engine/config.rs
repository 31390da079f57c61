//! Where the database is and how many connections to keep: `DATABASE_URL`, or the reference's `DB_*`.

use std::{fmt::Write as _, net::Ipv6Addr, time::Duration};

use migrations::Address;
use secrecy::{ExposeSecret as _, SecretString};
use settings::{SettingError, Source};

use crate::ReceiptPolicy;

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`, or made from `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER_NAME`, `DB_PASSWORD`:
    /// `mysql://user:password@host:port/name` or `sqlite://path`.
    pub url: SecretString,
    /// `DB_MAX_OPEN_CONNS` (50): most open connections (MySQL; SQLite always has one writer).
    pub max_connections: u32,
    /// `DB_CONN_MAX_LIFETIME_SEC` (300): connections older than this are replaced.
    pub max_lifetime: Duration,
    /// How long one operation may take, with the wait for a connection and its retries.
    pub operation_timeout: Duration,
    /// `AUTO_MIGRATE` (true): whether this process brings the schema up to date at its start.
    pub auto_migrate: bool,
    /// What is done about receipts: whoever stores, joins or waits for them goes by it.
    pub receipts: ReceiptPolicy,
}

impl DatabaseConfig {
    /// The defaults for `url`: 50 connections at most, 300 s of life, operations of at most 5 s, the schema brought up to date.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 50,
            max_lifetime: Duration::from_mins(5),
            operation_timeout: Duration::from_secs(5),
            auto_migrate: true,
            receipts: ReceiptPolicy::default(),
        }
    }

    /// Reads the section. `DB_MAX_IDLE_CONNS` is checked for compatibility; the pool closes idle connections by their age.
    ///
    /// # Errors
    /// A URL that is none of [`ACCEPTED_URLS`](migrations::ACCEPTED_URLS), or a number outside its range.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        source.integer("DB_MAX_IDLE_CONNS", 25, 0..=10_000)?;
        Ok(Self {
            max_connections: source.integer("DB_MAX_OPEN_CONNS", 50, 1..=10_000)?,
            max_lifetime: source.duration_secs("DB_CONN_MAX_LIFETIME_SEC", 300, 1..=86_400)?,
            auto_migrate: source.boolean("AUTO_MIGRATE", true)?,
            receipts: ReceiptPolicy::load(source)?,
            ..Self::new(url(source)?)
        })
    }
}

fn url(source: &Source) -> Result<SecretString, SettingError> {
    let Some(url) = source.secret("DATABASE_URL") else { return from_parts(source) };
    Address::parse(url.expose_secret()).map_err(|error| SettingError::because("DATABASE_URL", error.to_string()))?;
    Ok(url)
}

fn from_parts(source: &Source) -> Result<SecretString, SettingError> {
    let host = source.parsed_with_default("DB_HOST", "localhost", "a host name, an IPv4 or an IPv6 address", host)?;
    let port: u16 = source.integer("DB_PORT", 3306, 1..=u16::MAX)?;
    let name = source.parsed_with_default("DB_NAME", "messaging_platform", "the name of a database", |name| {
        // These two cannot be the last part of a URL.
        (![".", ".."].contains(&name)).then(|| encoded(name))
    })?;
    let user = encoded(&source.string("DB_USER_NAME", "message_user"));
    let password = source.secret("DB_PASSWORD").map(|password| format!(":{}", encoded(password.expose_secret())));
    Ok(SecretString::from(format!("mysql://{user}{}@{host}:{port}/{name}", password.unwrap_or_default())))
}

/// As it is written in a URL.
fn host(host: &str) -> Option<String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    is_name.then(|| host.to_owned())
}

/// Percent-encoded but for what is never reserved: a `%` too, or two digits behind it would be decoded.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<DatabaseConfig, SettingError> {
        DatabaseConfig::load(&Source::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn the_references_variables_make_a_url() {
        let settings = load(&[("DB_HOST", "db"), ("DB_PASSWORD", "p@ss/w:rd#?")]).expect("accepted");
        assert_eq!(
            settings.url.expose_secret(),
            "mysql://message_user:p%40ss%2Fw%3Ard%23%3F@db:3306/messaging_platform"
        );
        assert_eq!(settings.max_connections, 50);
        assert_eq!(settings.max_lifetime, Duration::from_mins(5));
    }

    #[test]
    fn what_is_reserved_in_a_url_is_encoded_in_every_part() {
        let odd = "p%41@/:?#[]!$&'()*+,;= \u{e9}";
        let url = load(&[("DB_USER_NAME", odd), ("DB_PASSWORD", odd), ("DB_NAME", odd)]).expect("accepted").url;
        let url = Url::parse(url.expose_secret()).expect("a url");
        let encoded = "p%2541%40%2F%3A%3F%23%5B%5D%21%24%26%27%28%29%2A%2B%2C%3B%3D%20%C3%A9";
        assert_eq!((url.username(), url.password(), url.path()), (encoded, Some(encoded), &*format!("/{encoded}")));
        assert_eq!((url.host_str(), url.query(), url.fragment()), (Some("localhost"), None, None));
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        for (host, in_url) in [
            ("db-1.my_net", "@db-1.my_net:"),
            ("10.0.0.7", "@10.0.0.7:"),
            ("::1", "@[::1]:"),
            ("[::1]", "@[::1]:"),
            ("2001:DB8:0:0::1", "@[2001:db8::1]:"),
        ] {
            let url = load(&[("DB_HOST", host)]).expect(host).url;
            assert!(url.expose_secret().contains(in_url), "{host}");
        }
    }

    #[test]
    fn wrong_parts_name_their_variable_and_value() {
        for (name, value) in [
            ("DB_HOST", "db:3307"),
            ("DB_HOST", "[db]"),
            ("DB_HOST", "[::1"),
            ("DB_HOST", "fe80::1%eth0"),
            ("DB_HOST", "mysql://db"),
            ("DB_HOST", "/run/mysqld.sock"),
            ("DB_HOST", "user@db"),
            ("DB_HOST", " db"),
            ("DB_HOST", "b\u{fc}cher"),
            ("DB_PORT", "0"),
            ("DB_PORT", "65536"),
            ("DB_PORT", " 3306"),
            ("DB_PORT", "3306 "),
            ("DB_NAME", "."),
            ("DB_NAME", ".."),
            ("DB_MAX_OPEN_CONNS", "0"),
        ] {
            let error = load(&[(name, value)]).expect_err(value).to_string();
            assert!(error.starts_with(&format!("{name}={value} is not accepted: it must be ")), "{error}");
        }
    }

    #[test]
    fn a_url_overrides_them() {
        let settings = load(&[("DB_HOST", "db"), ("DATABASE_URL", "sqlite://x.sqlite")]).expect("accepted");
        assert_eq!(settings.url.expose_secret(), "sqlite://x.sqlite");
    }

    #[test]
    fn a_wrong_url_is_not_shown() {
        let error = load(&[("DATABASE_URL", "postgres://me:secret@db/x")]).expect_err("refused").to_string();
        assert!(error.contains("DATABASE_URL") && error.contains("mysql://") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn numbers_have_ranges_and_a_file_has_a_name() {
        assert!(load(&[("DB_MAX_OPEN_CONNS", "0")]).is_err());
        assert!(load(&[("DB_MAX_IDLE_CONNS", "-1")]).is_err());
        assert!(load(&[("DATABASE_URL", "sqlite://")]).is_err());
    }
}

//! Where the database is: `DATABASE_URL`, or the reference's `DB_*`.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{SettingError, Source};

/// How to reach the database, and how many connections to keep.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `DATABASE_URL`, or made from `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER_NAME`, `DB_PASSWORD`.
    pub url: SecretString,
    /// `DB_MAX_OPEN_CONNS` (50).
    pub max_open_connections: u32,
    /// `DB_MAX_IDLE_CONNS` (25): read for compatibility; the pool closes idle connections by their age.
    pub max_idle_connections: u32,
    /// `DB_CONN_MAX_LIFETIME_SEC` (300).
    pub max_lifetime: Duration,
    /// `AUTO_MIGRATE` (true): bring the schema up to date at start.
    pub auto_migrate: bool,
}

impl DatabaseSettings {
    /// Reads the section.
    ///
    /// # Errors
    /// A URL that is neither `mysql://` nor `sqlite://`, or a number outside its range.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let max_open_connections = source.integer("DB_MAX_OPEN_CONNS", 50, 1..=10_000)?;
        let max_idle_connections: u32 = source.integer("DB_MAX_IDLE_CONNS", 25, 0..=10_000)?;
        Ok(Self {
            url: url(source)?,
            max_open_connections,
            max_idle_connections: max_idle_connections.min(max_open_connections),
            max_lifetime: source.duration_secs("DB_CONN_MAX_LIFETIME_SEC", 300, 1..=86_400)?,
            auto_migrate: source.boolean("AUTO_MIGRATE", true)?,
        })
    }
}

fn url(source: &Source) -> Result<SecretString, SettingError> {
    if let Some(url) = source.secret("DATABASE_URL") {
        let text = url.expose_secret();
        let is_file = text.strip_prefix("sqlite:").is_some_and(|path| !path.trim_start_matches('/').is_empty());
        let is_server = text.starts_with("mysql://") && Url::parse(text).is_ok();
        if is_file || is_server {
            return Ok(url);
        }
        return Err(SettingError::hidden("DATABASE_URL", "mysql://user:password@host:port/name or sqlite://path"));
    }
    let host = source.string("DB_HOST", "localhost");
    let port: u16 = source.integer("DB_PORT", 3306, 1..=u16::MAX)?;
    let bad_host = || SettingError::new("DB_HOST", &host, "a host name or an address");
    let mut url = Url::parse("mysql://localhost").expect("a constant URL parses");
    url.set_host(Some(&host)).map_err(|_| bad_host())?;
    url.set_port(Some(port)).map_err(|()| bad_host())?;
    url.set_username(&source.string("DB_USER_NAME", "message_user")).map_err(|()| bad_host())?;
    if let Some(password) = source.secret("DB_PASSWORD") {
        url.set_password(Some(password.expose_secret())).map_err(|()| bad_host())?;
    }
    url.path_segments_mut().map_err(|()| bad_host())?.push(&source.string("DB_NAME", "messaging_platform"));
    Ok(SecretString::from(String::from(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<DatabaseSettings, SettingError> {
        DatabaseSettings::load(&Source::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn the_references_variables_make_a_url() {
        let settings = load(&[("DB_HOST", "db"), ("DB_PASSWORD", "p@ss/w:rd#?")]).expect("accepted");
        assert_eq!(
            settings.url.expose_secret(),
            "mysql://message_user:p%40ss%2Fw%3Ard%23%3F@db:3306/messaging_platform"
        );
        assert_eq!((settings.max_open_connections, settings.max_idle_connections), (50, 25));
        assert_eq!(settings.max_lifetime, Duration::from_mins(5));
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
    fn idle_connections_never_exceed_the_open_ones() {
        let settings = load(&[("DB_MAX_OPEN_CONNS", "10"), ("DB_MAX_IDLE_CONNS", "20")]).expect("accepted");
        assert_eq!(settings.max_idle_connections, 10);
        assert!(load(&[("DB_MAX_OPEN_CONNS", "0")]).is_err());
        assert!(load(&[("DATABASE_URL", "sqlite://")]).is_err());
    }
}

//! Settings from environment variables, read once at start.
//!
//! A wrong value is a [`SettingError`]: one line that names the variable, the value and what is accepted.
//! An empty variable counts as unset, as container platforms write unset ones that way. Each part of a process loads its own
//! section, and is the only one to say what it accepts.

mod error;

use std::{
    collections::HashMap,
    env,
    fmt::{self, Display},
    net::{SocketAddr, ToSocketAddrs as _},
    num::NonZeroUsize,
    ops::RangeInclusive,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;

pub use error::SettingError;

/// The setting that says where a process serves HTTP: its variable, and what it is when that is unset.
#[derive(Debug, Clone, Copy)]
pub struct ListenAddr {
    /// Such as `LISTEN_ADDR`.
    pub variable: &'static str,
    /// Such as `:8080`.
    pub default: &'static str,
}

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A variable that was asked for, as documents describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// What it is when it is unset; `None` where that is nothing, or not the source's to know.
    pub default: Option<String>,
    /// What is accepted, to follow "it must be"; `None` for any text.
    pub accepted: Option<String>,
}

/// Where settings come from: the environment of the process, or fixed pairs in tests.
pub struct Source {
    lookup: Box<Lookup>,
    asked: Mutex<Vec<Asked>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").finish_non_exhaustive()
    }
}

impl Source {
    /// The environment of this process. What is not Unicode is read with replacement characters, so that checks see it.
    pub fn process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        let lookup = |name: &str| match env::var(name) {
            Ok(value) => Some(value),
            Err(env::VarError::NotPresent) => None,
            Err(env::VarError::NotUnicode(raw)) => Some(raw.to_string_lossy().into_owned()),
        };
        Self::new(lookup)
    }

    /// Fixed pairs of name and value, for tests.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs: HashMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::new(move |name| pairs.get(name).cloned())
    }

    /// The same source, where what is unset or empty takes the value given here.
    #[must_use]
    pub fn with_defaults<const N: usize>(self, defaults: [(&'static str, &'static str); N]) -> Self {
        let default_of = move |name: &str| defaults.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let lookup = move |name: &str| {
            let value = (self.lookup)(name);
            let is_set = value.as_ref().is_some_and(|value| !value.is_empty());
            if is_set { value } else { default_of(name).map(str::to_owned).or(value) }
        };
        Self::new(lookup)
    }

    fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { lookup: Box::new(lookup), asked: Mutex::default() }
    }

    /// The variables that were asked for so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of what was asked for, and tells the value unless it is unset or empty.
    fn ask(&self, name: &str, default: Option<String>, accepted: Option<&str>) -> Option<String> {
        let asked = Asked { name: name.to_owned(), default, accepted: accepted.map(str::to_owned) };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        self.peek(name)
    }

    fn peek(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// The value of `name`, unless it is unset or empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        self.ask(name, None, None)
    }

    /// The value of `name`, or `default`.
    pub fn string(&self, name: &str, default: &str) -> String {
        self.ask(name, Some(default.to_owned()), None).unwrap_or_else(|| default.to_owned())
    }

    /// The value of `name`, or `default` where it is unset: one of the few for which to be empty says something. `accepted` continues
    /// the words "it must be".
    pub fn possibly_empty(&self, name: &str, default: &str, accepted: &str) -> String {
        let _unless_empty = self.ask(name, Some(default.to_owned()), Some(accepted));
        (self.lookup)(name).unwrap_or_else(|| default.to_owned())
    }

    /// The value of `name`, kept out of logs.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.optional(name).map(SecretString::from)
    }

    /// The value of `name` read by `parse`, or `None` when it is unset. `accepted` continues the words "it must be".
    ///
    /// # Errors
    /// `parse` returned `None`.
    pub fn parsed_with<T>(
        &self,
        name: &str,
        accepted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        self.parsed_or(name, None, accepted, parse)
    }

    /// The value of `name` read by `parse`, or `default`, which is read in the same way.
    ///
    /// # Errors
    /// `parse` returned `None`.
    ///
    /// # Panics
    /// When the default is not accepted.
    pub fn parsed_with_default<T>(
        &self,
        name: &str,
        default: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, SettingError> {
        let value = self.parsed_or(name, Some(default.to_owned()), accepted, &parse)?;
        Ok(value.unwrap_or_else(|| parse(default).expect("the default is accepted")))
    }

    /// The value of `name` read by `parse`, or `default`, which is read in the same way. It may hold a secret: the error says what is
    /// accepted, and what `parse` finds wrong, but never the value.
    ///
    /// # Errors
    /// That of `parse`.
    pub fn hidden_with_default<T, E: Display>(
        &self,
        name: &str,
        default: &str,
        accepted: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, SettingError> {
        let value = self.ask(name, Some(default.to_owned()), Some(accepted));
        parse(value.as_deref().unwrap_or(default))
            .map_err(|error| SettingError::hidden(name, format!("{accepted} ({error})")))
    }

    fn parsed_or<T>(
        &self,
        name: &str,
        default: Option<String>,
        accepted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        self.ask(name, default, Some(accepted))
            .map(|value| parse(&value).ok_or_else(|| SettingError::new(name, &value, accepted)))
            .transpose()
    }

    /// A whole number within `range`, or `default`.
    ///
    /// # Errors
    /// The value is not a whole number or outside of `range`.
    pub fn integer<T>(&self, name: &str, default: T, range: RangeInclusive<T>) -> Result<T, SettingError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let accepted = format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |value: &str| value.parse().ok().filter(|number| range.contains(number));
        Ok(self.parsed_or(name, Some(default.to_string()), &accepted, parse)?.unwrap_or(default))
    }

    /// `true`, `false`, `1` or `0` in any case, or `default`.
    ///
    /// # Errors
    /// Any other value.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool, SettingError> {
        Ok(self.parsed_or(name, Some(default.to_string()), BOOLEAN, boolean)?.unwrap_or(default))
    }

    /// As [`boolean`](Self::boolean), without a default.
    ///
    /// # Errors
    /// Any other value.
    pub fn optional_boolean(&self, name: &str) -> Result<Option<bool>, SettingError> {
        self.parsed_with(name, BOOLEAN, boolean)
    }

    /// A duration written in milliseconds, within `range`, or `default`; both are in milliseconds too.
    ///
    /// # Errors
    /// The value is not a whole number or outside of `range`.
    pub fn duration_ms(&self, name: &str, default: u64, range: RangeInclusive<u64>) -> Result<Duration, SettingError> {
        self.integer(name, default, range).map(Duration::from_millis)
    }

    /// A duration written in seconds, within `range`, or `default`; both are in seconds too.
    ///
    /// # Errors
    /// The value is not a whole number or outside of `range`.
    pub fn duration_secs(
        &self,
        name: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, SettingError> {
        self.integer(name, default, range).map(Duration::from_secs)
    }

    /// An address to listen on, or `default`: `:8080` (all interfaces), `0.0.0.0:8080`, `[::]:8080`, `localhost:8080`.
    ///
    /// The result lists candidates, the preferred one first: `:8080` is `[::]:8080`, which takes IPv4 too where the
    /// machine has IPv6, then `0.0.0.0:8080`; a host name is all its addresses, IPv4 first.
    ///
    /// # Errors
    /// The value has no port, or its host is not an address and cannot be resolved.
    pub fn listen_addr(&self, name: &str, default: &str) -> Result<Vec<SocketAddr>, SettingError> {
        const ACCEPTED: &str = ":port, address:port or host:port of this machine";
        let value = self.ask(name, Some(default.to_owned()), Some(ACCEPTED)).unwrap_or_else(|| default.to_owned());
        listen_candidates(&value).ok_or_else(|| SettingError::new(name, &value, ACCEPTED))
    }
}

const BOOLEAN: &str = "true, false, 1 or 0";

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Processors this process may use: those of the machine, or of its quota in a container. At least 1.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn listen_candidates(value: &str) -> Option<Vec<SocketAddr>> {
    let (host, port) = value.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    if host.is_empty() {
        return Some(vec![
            (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
            (std::net::Ipv4Addr::UNSPECIFIED, port).into(),
        ]);
    }
    if let Ok(address) = value.parse() {
        return Some(vec![address]);
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        return None;
    }
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().ok()?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    (!addresses.is_empty()).then_some(addresses)
}

#[cfg(test)]
mod tests;

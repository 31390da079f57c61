//! `mysql://user:password@host:port/name?parameters`.

use std::{fs::File, net::Ipv6Addr};

use url::Url;

use super::{AddressError, Place, decoded};

const DEFAULT_PORT: u16 = 3306;

const SSL_MODES: [&str; 5] = ["disabled", "preferred", "required", "verify_ca", "verify_identity"];

const PARAMETERS: &str = "ssl-mode, ssl-ca, ssl-cert, ssl-key, charset, collation, socket, timezone and \
     statement-cache-capacity are";

pub(super) fn parse(url: &str) -> Result<Place, AddressError> {
    let url = Url::parse(url).map_err(|error| AddressError::new(error.to_string()))?;
    if url.fragment().is_some() {
        return Err(AddressError::new("it has a #, which is written %23"));
    }
    decoded("user", url.username())?;
    decoded("password", url.password().unwrap_or_default())?;
    check_name(url.path())?;
    let mut socket = None;
    for (name, value) in url.query_pairs() {
        // Where the password has an unencoded / and ?, this is the rest of it.
        if url.query().is_some_and(|query| query.contains('@')) {
            return Err(AddressError::new("it has an @ behind its ?; in a password they are written %40 and %3F"));
        }
        check_parameter(&name, &value).map_err(AddressError::new)?;
        if name == "socket" {
            socket = Some(value.into_owned());
        }
    }
    if let Some(path) = socket {
        return Ok(Place::Socket(path));
    }
    let host = host(url.host_str().unwrap_or_default())?;
    match url.port().unwrap_or(DEFAULT_PORT) {
        0 => Err(AddressError::new("the port is 0")),
        port => Ok(Place::Server { host, port }),
    }
}

/// Without the brackets of an IPv6 address.
pub(super) fn host(host: &str) -> Result<String, AddressError> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| AddressError::new("the host is no IPv6 address"))?;
        return Ok(address.to_string());
    }
    if host.is_empty() {
        return Err(AddressError::new("there is no host"));
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        return Err(AddressError::new("the host is neither a name nor an address"));
    }
    Ok(host.to_owned())
}

fn check_name(path: &str) -> Result<(), AddressError> {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.is_empty() {
        return Err(AddressError::new("there is no name of a database behind the host"));
    }
    if name.contains('/') {
        return Err(AddressError::new("the name of the database has a /, which is written %2F"));
    }
    decoded("name of the database", name).map(drop)
}

/// Charset, collation and time zone become part of a statement as they are.
fn check_parameter(name: &str, value: &str) -> Result<(), String> {
    let is_word = |text: &str, also: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
    };
    let is_right = match name {
        "ssl-mode" | "sslmode" => SSL_MODES.contains(&value.to_ascii_lowercase().as_str()),
        "ssl-ca" | "sslca" | "ssl-cert" | "sslcert" | "ssl-key" | "sslkey" => return check_file(name, value),
        "charset" | "collation" => is_word(value, b"_"),
        "timezone" | "time-zone" => is_word(value, b"_+-:/"),
        "statement-cache-capacity" => value.parse::<usize>().is_ok(),
        "socket" => !value.is_empty(),
        _ => {
            let name = name.escape_debug();
            return Err(format!("the parameter {name} is not known to mysql, {PARAMETERS}"));
        }
    };
    if is_right {
        return Ok(());
    }
    let accepted = match name {
        "ssl-mode" | "sslmode" => SSL_MODES.join(", "),
        "timezone" | "time-zone" => "an offset such as +00:00 (with + written %2B)".to_owned(),
        "statement-cache-capacity" => "a whole number".to_owned(),
        "socket" => "a path".to_owned(),
        _ => "a name of letters, digits and _".to_owned(),
    };
    Err(format!("{name}={} is not accepted: it must be {accepted}", value.escape_debug()))
}

fn check_file(name: &str, path: &str) -> Result<(), String> {
    let unusable = |problem: String| format!("the file of {name}={} cannot be read: {problem}", path.escape_debug());
    let metadata = File::open(path).and_then(|file| file.metadata()).map_err(|error| unusable(error.to_string()))?;
    if metadata.is_dir() { Err(unusable("it is a folder".to_owned())) } else { Ok(()) }
}

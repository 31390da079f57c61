//! `sqlite://path`: the path that is opened, and nothing that SQLite would take for something else than a file.

use std::path::{Path, PathBuf};

use super::{AddressError, decoded, encoded};

pub(super) fn parse(url: &str) -> Result<PathBuf, AddressError> {
    // The scheme is taken off as the driver does it, so that the path is the one it opens.
    let rest = url.trim_start_matches("sqlite://").trim_start_matches("sqlite:");
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if path == ":memory:" {
        return Err(in_memory());
    }
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        check_parameter(parameter)?;
    }
    Ok(PathBuf::from(decoded("path", path)?))
}

/// What is opened is created where it is missing, so both modes that write are the same here.
fn check_parameter(parameter: &str) -> Result<(), AddressError> {
    match parameter.split_once('=').unwrap_or((parameter, "")) {
        ("mode", "rwc" | "rw") | ("cache", "private" | "shared") | ("immutable", "false" | "0") => Ok(()),
        ("mode", "memory") => Err(in_memory()),
        ("mode", "ro") | ("immutable", "true" | "1") => {
            Err(AddressError::new(format!("{parameter} only reads, and the platform writes")))
        }
        ("mode", _) => Err(AddressError::new(format!("{} is not a mode, use mode=rwc", parameter.escape_debug()))),
        (name, _) => Err(AddressError::new(format!(
            "the parameter {} is not accepted with sqlite, only mode=rwc is",
            name.escape_debug()
        ))),
    }
}

/// The URL from which the driver reads exactly this path.
pub(super) fn url(path: &Path) -> Result<String, AddressError> {
    let text = path.to_str().ok_or_else(|| AddressError::new("the path is not UTF-8"))?;
    check_path(text)?;
    let scheme = if text.starts_with('/') { "sqlite://" } else { "sqlite:" };
    Ok(format!("{scheme}{}", encoded(text, b"/._-")))
}

fn check_path(path: &str) -> Result<(), AddressError> {
    if path.trim_matches('/').is_empty() {
        return Err(AddressError::new("there is no path of a file"));
    }
    if path == ":memory:" {
        return Err(in_memory());
    }
    if path.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:")) {
        return Err(AddressError::new("SQLite's own file: URIs are not accepted, write sqlite://path"));
    }
    if path.chars().any(char::is_control) {
        return Err(AddressError::new("the path has a control character, such as a line break at its end"));
    }
    Ok(())
}

fn in_memory() -> AddressError {
    AddressError::new("a database in memory is gone with its connection, and with it what was accepted; name a file")
}

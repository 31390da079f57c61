//! The one line that says which variable is wrong and what is accepted.

/// The longest value that is shown in full, in characters.
const SHOWN: usize = 200;

/// A setting that is not accepted. Its text is one line and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={shown} is not accepted: {why}")]
pub struct SettingError {
    name: String,
    shown: String,
    why: String,
}

impl SettingError {
    /// `name` must not have `value`; `accepted` continues the words "it must be".
    pub fn new(name: &str, value: &str, accepted: impl Into<String>) -> Self {
        let mut shown: String = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        if value.chars().nth(SHOWN).is_some() {
            shown.push_str("...");
        }
        Self { name: name.to_owned(), shown, why: format!("it must be {}", accepted.into()) }
    }

    /// As [`new`](Self::new) for a value that must not be shown.
    pub fn hidden(name: &str, accepted: impl Into<String>) -> Self {
        Self::because(name, format!("it must be {}", accepted.into()))
    }

    /// As [`hidden`](Self::hidden), where whoever uses the value says in its own words what is wrong. `why` must quote no part of it.
    pub fn because(name: &str, why: impl Into<String>) -> Self {
        Self { name: name.to_owned(), shown: "[hidden]".to_owned(), why: why.into() }
    }

    /// Name of the variable.
    pub fn name(&self) -> &str {
        &self.name
    }
}

//! The one line that says which variable is wrong and what is accepted.

/// The longest value that is shown in full, in characters.
const SHOWN: usize = 200;

/// A setting that is not accepted. Its text is one line and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={shown} is not accepted: it must be {accepted}")]
pub struct SettingError {
    name: String,
    shown: String,
    accepted: String,
}

impl SettingError {
    /// `name` must not have `value`; `accepted` continues the words "it must be".
    pub fn new(name: &str, value: &str, accepted: impl Into<String>) -> Self {
        let mut shown: String = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        if value.chars().nth(SHOWN).is_some() {
            shown.push_str("...");
        }
        Self { name: name.to_owned(), shown, accepted: accepted.into() }
    }

    /// As [`new`](Self::new) for a value that must not be shown.
    pub fn hidden(name: &str, accepted: impl Into<String>) -> Self {
        Self { name: name.to_owned(), shown: "[hidden]".to_owned(), accepted: accepted.into() }
    }

    /// Name of the variable.
    pub fn name(&self) -> &str {
        &self.name
    }
}

//! What is read from a table that others wrote in, too.

use std::fmt;

/// A value of ours, or what only the reference or a person's hand wrote into the column. The one place where such a value goes
/// on: it is shown as it is, and nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored<T> {
    /// One that this release writes.
    Known(T),
    /// Any other.
    Legacy(String),
}

impl<T> Stored<T> {
    /// Reads a word. The reference wrote some in capitals.
    pub(crate) fn word(text: &str, parse: impl Fn(&str) -> Option<T>) -> Self {
        let text = text.to_ascii_lowercase();
        parse(&text).map_or(Self::Legacy(text), Self::Known)
    }

    /// Reads an identifier or a number.
    pub(crate) fn text(text: String) -> Self
    where
        T: TryFrom<String>,
    {
        T::try_from(text.clone()).map_or(Self::Legacy(text), Self::Known)
    }
}

impl<T: Into<String>> From<Stored<T>> for String {
    fn from(stored: Stored<T>) -> Self {
        match stored {
            Stored::Known(value) => value.into(),
            Stored::Legacy(text) => text,
        }
    }
}

impl<T: fmt::Display> fmt::Display for Stored<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Legacy(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{LedgerKind, Recipient};

    use super::*;

    #[test]
    fn what_is_not_ours_is_shown_as_it_is() {
        let kind = |text: &str| Stored::word(text, LedgerKind::parse);
        assert_eq!(kind("Corrective"), Stored::Known(LedgerKind::Corrective));
        assert_eq!(kind("Gift").to_string(), "gift");
        let recipient = |text: &str| Stored::<Recipient>::text(text.to_owned());
        assert!(matches!(recipient("+49123"), Stored::Known(_)));
        assert_eq!(recipient("Bob").to_string(), "Bob");
    }
}

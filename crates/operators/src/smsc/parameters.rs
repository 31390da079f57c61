//! The parameters of an SMPP operator's URL.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

/// Longest name of a parameter that is shown.
const MAX_NAME: usize = 16;

/// A parameter that is not accepted. Its value is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) parameter: String,
    pub(super) expected: String,
}

impl Wrong {
    pub(super) fn new(parameter: &str, expected: impl Into<String>) -> Self {
        // A password with a question mark in it ends up among the parameters.
        let is_name = |character: char| character.is_ascii_lowercase() || " _".contains(character);
        let is_shown = parameter.len() <= MAX_NAME && parameter.chars().all(is_name);
        Self { parameter: if is_shown { parameter } else { "a parameter" }.to_owned(), expected: expected.into() }
    }
}

/// Those that were given and not looked at yet.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `name=value&name=value`; a plus sign is one.
    pub(super) fn read(query: &str) -> Result<Self, Wrong> {
        let mut given: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = |expected| Wrong::new(name, expected);
            let value = decode(value).ok_or_else(|| wrong("percent-encoded UTF-8"))?;
            if given.iter().any(|(known, _)| known == name) {
                return Err(wrong("given no more than once"));
            }
            given.push((name.to_owned(), value));
        }
        Ok(Self(given))
    }

    /// That nothing was given that nobody asked for.
    pub(super) fn all_used(&self) -> Result<(), Wrong> {
        match self.0.first() {
            Some((name, _)) => Err(Wrong::new(name, "no such parameter is known")),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }

    /// One of these; the first where none is given.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<T, Wrong> {
        let Some(value) = self.take(name) else { return Ok(choices[0].1) };
        let expected = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let found = choices.iter().find(|(word, _)| *word == value);
        found.map(|(_, choice)| *choice).ok_or_else(|| Wrong::new(name, format!("one of {}", expected())))
    }

    pub(super) fn number<T>(&mut self, name: &str, default: T, accepted: RangeInclusive<T>) -> Result<T, Wrong>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(value) = self.take(name) else { return Ok(default) };
        let expected = format!("a whole number from {} to {}", accepted.start(), accepted.end());
        let number = value.parse().ok().filter(|number| accepted.contains(number));
        number.ok_or_else(|| Wrong::new(name, expected))
    }

    /// A number of one byte, or `None` for `auto`.
    pub(super) fn octet(&mut self, name: &str) -> Result<Option<u8>, Wrong> {
        match self.take(name).as_deref() {
            None | Some("auto") => Ok(None),
            Some(value) => {
                value.parse().map(Some).map_err(|_| Wrong::new(name, "auto, or a whole number from 0 to 255"))
            }
        }
    }

    /// A text of at most so many bytes.
    pub(super) fn text(&mut self, name: &str, most: usize) -> Result<Option<String>, Wrong> {
        let value = self.take(name);
        let is_right = value.as_ref().is_none_or(|value| value.len() <= most && !value.contains(char::is_control));
        if is_right {
            Ok(value)
        } else {
            Err(Wrong::new(name, format!("at most {most} bytes without control characters")))
        }
    }

    /// Values of `command_status` in hexadecimal digits, with anything but digits and letters between them.
    pub(super) fn statuses(&mut self, name: &str) -> Result<Vec<u32>, Wrong> {
        let value = self.take(name).unwrap_or_default();
        let words = value.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let status = |word: &str| u32::from_str_radix(word.trim_start_matches("0x").trim_start_matches("0X"), 16);
        let read: Result<Vec<_>, _> = words.map(status).collect();
        read.map_err(|_| Wrong::new(name, "values of command_status in hexadecimal digits, such as 400,401"))
    }
}

/// Undoes percent-encoding; `None` where that is not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

pub(super) fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

pub(super) fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

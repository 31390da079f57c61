//! Choosing by recipient.

use std::collections::BTreeMap;

/// What is said of the whole number, else of the longest suffix that fits.
pub(crate) fn most_specific<'a, T>(
    recipients: &'a BTreeMap<String, T>,
    suffixes: &'a BTreeMap<String, T>,
    recipient: &str,
) -> Option<&'a T> {
    let of_suffix = || {
        let fitting = suffixes.iter().filter(|(suffix, _)| recipient.ends_with(suffix.as_str()));
        fitting.max_by_key(|(suffix, _)| suffix.len()).map(|(_, chosen)| chosen)
    };
    recipients.get(recipient).or_else(of_suffix)
}

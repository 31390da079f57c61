//! Phone numbers as people write them at home, made into international ones, so that each phone is one recipient.
//!
//! Without a list of what each country uses: that is a megabyte which is old when a range is opened, and the operator decides anyway.

use crate::{Invalid, Recipient, Recipients};

/// Longest number that is a short code and no phone's.
const MAX_SHORT_CODE: usize = 6;
/// From how many digits on a number that begins with the country's code is taken for an international one without its `+`.
const MIN_INTERNATIONAL: usize = 11;
/// Longest national prefix.
const MAX_PREFIX: usize = 3;

/// A country's code without the `+`: 1 to 3 digits, the first not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryCode(String);

impl CountryCode {
    /// The code in `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_code = (1..=3).contains(&text.len()) && are_digits(text) && !text.starts_with('0');
        is_code.then(|| Self(text.to_owned()))
    }
}

/// How numbers are written where most of them are from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbering(Option<Plan>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    /// With its `+`.
    country: String,
    prefix: String,
}

impl Numbering {
    /// Of a country, whose own numbers begin with `prefix` when they are called from within: up to 3 digits, or none.
    pub fn new(country: &CountryCode, prefix: &str) -> Option<Self> {
        let is_prefix = prefix.len() <= MAX_PREFIX && are_digits(prefix);
        is_prefix.then(|| Self(Some(Plan { country: format!("+{}", country.0), prefix: prefix.to_owned() })))
    }

    /// Of no country: numbers stay as they are written.
    pub fn as_written() -> Self {
        Self(None)
    }

    /// Whether numbers may come out otherwise than they are written.
    pub fn changes_numbers(&self) -> bool {
        self.0.is_some()
    }

    /// Makes numbers international where they can be, and keeps each of them once.
    ///
    /// # Errors
    /// One is international and none that a phone can have (E.164); it is named by its place.
    pub fn normalise(&self, recipients: Recipients) -> Result<Recipients, Invalid> {
        let Some(plan) = &self.0 else { return Ok(recipients) };
        let normalised = Vec::from(recipients).into_iter().enumerate().map(|(index, recipient)| {
            let number = plan.normalise(recipient.as_str());
            let is_right = !number.starts_with('+') || is_e164(&number);
            let parsed = Recipient::try_from(number).ok().filter(|_| is_right);
            let wrong = || {
                let expected = "must each come to an international number of 7 to 15 digits";
                Invalid::new("recipients", format!("{expected}; the one at index {index}, counted from 0, does not"))
            };
            parsed.ok_or_else(wrong)
        });
        Recipients::try_from(normalised.collect::<Result<Vec<_>, _>>()?)
    }
}

impl Plan {
    fn normalise(&self, written: &str) -> String {
        let number = self.international(written);
        match number.strip_prefix(&self.country).and_then(|rest| rest.strip_prefix('0')) {
            // `+49 (0) 30`: the prefix is only for calls from within.
            Some(rest) if self.prefix == "0" => format!("{}{rest}", self.country),
            _ => number,
        }
    }

    fn international(&self, written: &str) -> String {
        if written.starts_with('+') || written.len() <= MAX_SHORT_CODE {
            return written.to_owned();
        }
        // Before the national prefix, or 0041 would become a number of the own country.
        if let Some(rest) = written.strip_prefix("00") {
            return format!("+{rest}");
        }
        match written.strip_prefix(&self.prefix) {
            Some(rest) if !self.prefix.is_empty() => format!("{}{rest}", self.country),
            _ if written.len() >= MIN_INTERNATIONAL && written.starts_with(&self.country[1..]) => format!("+{written}"),
            _ => written.to_owned(),
        }
    }
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `+`, then 7 to 15 digits of which the first is not 0.
fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && !digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbering(country: &str, prefix: &str) -> Numbering {
        Numbering::new(&CountryCode::parse(country).expect("a code"), prefix).expect("a prefix")
    }

    fn normalised(numbering: &Numbering, numbers: &[&str]) -> Result<Vec<String>, Invalid> {
        let written = Recipients::parse(numbers.iter().map(ToString::to_string).collect()).expect("valid");
        Ok(numbering.normalise(written)?.as_slice().iter().map(ToString::to_string).collect())
    }

    fn one(numbering: &Numbering, number: &str) -> String {
        normalised(numbering, &[number]).expect("accepted").remove(0)
    }

    #[test]
    fn one_phone_is_one_recipient_however_it_is_written() {
        let iran = numbering("98", "0");
        let forms =
            ["+989128582812", "00989128582812", "09128582812", "989128582812", "+9809128582812", "009809128582812"];
        assert_eq!(normalised(&iran, &forms).expect("accepted"), ["+989128582812"]);
        assert_eq!(normalised(&Numbering::as_written(), &forms).expect("accepted"), forms);
    }

    #[test]
    fn what_is_foreign_stays_foreign() {
        let germany = numbering("49", "0");
        assert_eq!(one(&germany, "0041791234567"), "+41791234567");
        assert_eq!(one(&germany, "+41791234567"), "+41791234567");
        assert_eq!(one(&germany, "017612345678"), "+4917612345678");
    }

    #[test]
    fn countries_differ() {
        let italy = numbering("39", "");
        assert_eq!(one(&italy, "0612345678"), "0612345678", "its zero is a part of the number");
        assert_eq!(one(&italy, "+390612345678"), "+390612345678");
        assert_eq!(one(&italy, "390612345678"), "+390612345678");
        assert_eq!(one(&numbering("7", "8"), "89161234567"), "+79161234567");
        assert_eq!(one(&numbering("1", "1"), "12125551234"), "+12125551234");
    }

    #[test]
    fn short_codes_are_no_phones() {
        for code in ["123", "0912", "000123", "980000"] {
            assert_eq!(one(&numbering("98", "0"), code), code);
        }
    }

    #[test]
    fn what_no_phone_can_have_is_named_by_its_place() {
        let iran = numbering("98", "0");
        for wrong in ["+123456", "+0123456789", "0012345", "001234567890123"] {
            let result = normalised(&iran, &["+989128582812", wrong]);
            if wrong.len() == 15 {
                assert!(result.is_ok(), "{wrong}");
                continue;
            }
            let error = result.expect_err(wrong).to_string();
            assert!(error.ends_with("; the one at index 1, counted from 0, does not"), "{error}");
        }
    }

    #[test]
    fn codes_and_prefixes_are_a_few_digits() {
        for wrong in ["", "0", "098", "+98", "9876", "x"] {
            assert!(CountryCode::parse(wrong).is_none(), "{wrong}");
        }
        let code = CountryCode::parse("98").expect("a code");
        assert!(Numbering::new(&code, "0000").is_none() && Numbering::new(&code, "x").is_none());
    }

    proptest! {
        #[test]
        fn what_is_normalised_stays_as_it_is(number in "\\+?[0-9]{3,15}", country in "[1-9][0-9]{0,2}", prefix in "0?") {
            let numbering = numbering(&country, &prefix);
            if let Ok(once) = normalised(&numbering, &[&number]) {
                let again = normalised(&numbering, &[&once[0]]).expect("accepted before");
                // A number whose national part begins with zeros loses one at a time.
                prop_assume!(!once[0].starts_with(&format!("+{country}0")));
                prop_assert_eq!(again, once);
            }
        }
    }
}

//! How a text is cut into parts.
//!
//! One character that GSM 7 cannot carry makes the whole text UCS-2, as UTF-16BE. Parts are counted by cutting and never by dividing: none ends
//! between an escape and its character or between two surrogates, so one may be a unit shorter than it could be.

use crate::{Encoding, EncodingChoice, Invalid, MessageText, encoding::septets};

/// How one text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segmentation {
    encoding: Encoding,
    count: usize,
    units: usize,
    units_left: usize,
    first_not_gsm7: Option<usize>,
}

impl Segmentation {
    /// How this text is cut.
    ///
    /// # Errors
    /// It is to be GSM 7 and has a character that this cannot carry.
    pub fn of(text: &MessageText, choice: EncodingChoice) -> Result<Self, Invalid> {
        let text = text.as_str();
        let first_not_gsm7 = text.chars().position(|character| septets(character).is_none()).map(|index| index + 1);
        let encoding = match (choice, first_not_gsm7) {
            (EncodingChoice::Ucs2, _) | (EncodingChoice::Auto, Some(_)) => Encoding::Ucs2,
            (EncodingChoice::Gsm7 | EncodingChoice::Auto, None) => Encoding::Gsm7,
            (EncodingChoice::Gsm7, Some(position)) => {
                let expected = format!("has characters that gsm7 cannot carry, the first at position {position}");
                return Err(Invalid::new("text", expected));
            }
        };
        Ok(Self { first_not_gsm7, ..Self::cut(text, encoding) })
    }

    fn cut(text: &str, encoding: Encoding) -> Self {
        let (alone, each) = encoding.limits();
        let units_of = |character| encoding.units(character).expect("the encoding carries the text");
        let units = text.chars().map(units_of).sum();
        if units <= alone {
            return Self { encoding, count: 1, units, units_left: alone - units, first_not_gsm7: None };
        }
        let (mut count, mut in_last) = (1, 0);
        for character_units in text.chars().map(units_of) {
            if in_last + character_units > each {
                count += 1;
                in_last = 0;
            }
            in_last += character_units;
        }
        Self { encoding, count, units, units_left: each - in_last, first_not_gsm7: None }
    }

    /// What it goes over the air in.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many parts, at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Its length: septets, an escape counted too, or units of UTF-16.
    pub fn units(&self) -> usize {
        self.units
    }

    /// How many more units the last part would take.
    pub fn units_left(&self) -> usize {
        self.units_left
    }

    /// The first character that GSM 7 cannot carry: its position, counted in characters from 1.
    pub fn first_not_gsm7(&self) -> Option<usize> {
        self.first_not_gsm7
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segmentation(text: &str) -> Segmentation {
        let text = MessageText::try_from(text.to_owned()).expect("a text");
        Segmentation::of(&text, EncodingChoice::Auto).expect("auto takes all")
    }

    /// As Twilio's sms-segments-calculator 1.3.0 has them.
    #[test]
    fn texts_are_cut_as_others_cut_them() {
        for (text, encoding, count) in [
            ("hi".to_owned(), Encoding::Gsm7, 1),
            ("a".repeat(160), Encoding::Gsm7, 1),
            ("a".repeat(161), Encoding::Gsm7, 2),
            ("a".repeat(306), Encoding::Gsm7, 2),
            ("a".repeat(307), Encoding::Gsm7, 3),
            ("€".repeat(80), Encoding::Gsm7, 1),
            ("€".repeat(81), Encoding::Gsm7, 2),
            ("a".repeat(152) + "[" + &"b".repeat(153), Encoding::Gsm7, 3),
            ("ا".repeat(70), Encoding::Ucs2, 1),
            ("ا".repeat(71), Encoding::Ucs2, 2),
            ("ا".repeat(66) + "😀" + &"ا".repeat(10), Encoding::Ucs2, 2),
            ("😀".repeat(35), Encoding::Ucs2, 1),
            ("😀".repeat(36), Encoding::Ucs2, 2),
            ("a".repeat(69) + "😀", Encoding::Ucs2, 2),
            ("😀".repeat(1_600), Encoding::Ucs2, 49),
            ("`".to_owned(), Encoding::Ucs2, 1),
            ("ç".to_owned(), Encoding::Ucs2, 1),
            ("Ç\u{c}\r\n".to_owned(), Encoding::Gsm7, 1),
        ] {
            let found = segmentation(&text);
            assert_eq!((found.encoding(), found.count()), (encoding, count), "{text}");
        }
    }

    #[test]
    fn what_is_left_is_told() {
        let told = |text: &str| {
            let found = segmentation(text);
            (found.units(), found.units_left())
        };
        assert_eq!(told(&"a".repeat(161)), (161, 145));
        assert_eq!(told("a€"), (3, 157));
        assert_eq!(told(&"😀".repeat(36)), (72, 61), "33 and 3");
    }

    #[test]
    fn a_choice_is_kept_or_refused() {
        let text = MessageText::try_from("Für Çağrı".to_owned()).expect("a text");
        assert_eq!(segmentation(text.as_str()).first_not_gsm7(), Some(7));
        let error = Segmentation::of(&text, EncodingChoice::Gsm7).expect_err("ğ is outside").to_string();
        assert_eq!(error, "text has characters that gsm7 cannot carry, the first at position 7");
        let plain = MessageText::try_from("hi".to_owned()).expect("a text");
        let forced = Segmentation::of(&plain, EncodingChoice::Ucs2).expect("carries all");
        assert_eq!((forced.encoding(), forced.units_left(), forced.first_not_gsm7()), (Encoding::Ucs2, 68, None));
        assert!(EncodingChoice::parse("utf8").is_err());
    }

    /// The parts themselves, cut one after the other.
    fn parts(text: &str, encoding: Encoding) -> Vec<String> {
        let (alone, each) = encoding.limits();
        let length =
            |text: &str| text.chars().map(|character| encoding.units(character).expect("carried")).sum::<usize>();
        if length(text) <= alone {
            return vec![text.to_owned()];
        }
        let mut parts = vec![String::new()];
        for character in text.chars() {
            let mut longer = parts.last().expect("one").clone();
            longer.push(character);
            if length(&longer) > each {
                parts.push(character.to_string());
            } else {
                *parts.last_mut().expect("one") = longer;
            }
        }
        parts
    }

    proptest! {
        #[test]
        fn parts_fit_and_hold_the_text(text in "[a-z€\\[ا😀]{1,400}") {
            let found = segmentation(&text);
            let parts = parts(&text, found.encoding());
            prop_assert_eq!(parts.len(), found.count());
            prop_assert_eq!(parts.concat(), text);
        }
    }
}

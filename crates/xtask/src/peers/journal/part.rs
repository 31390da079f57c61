//! One part of a message, as an SMSC got it.

use super::Entry;

/// In `esm_class`: the text begins with a header.
const HAS_HEADER: u8 = 0x40;
const UCS2: u8 = 8;
/// Elements of a header that say which part it is: with a reference of one byte, and of two.
const CONCATENATED: u8 = 0;
const CONCATENATED_16: u8 = 8;

/// A part, with which one of how many it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// What says so, by the name of the parameter `long`; `one` where nothing does.
    form: &'static str,
    reference: u16,
    index: u16,
    of: u16,
    is_ucs2: bool,
    text: String,
}

impl Part {
    pub(super) fn of(entry: &Entry) -> Self {
        let is_ucs2 = entry.data_coding == UCS2;
        let whole = |form, text: &str| {
            let text = text.to_owned();
            Self { form, reference: 0, index: 1, of: 1, is_ucs2, text }
        };
        if let Some(hex) = &entry.hex {
            return Self::of_octets(&octets(hex), entry.esm_class, is_ucs2);
        }
        let text = entry.text.as_deref().unwrap_or_default();
        match (&entry.payload, entry.sar, entry.udh.as_deref()) {
            (Some(payload), ..) => whole("payload", payload),
            (None, Some([reference, of, index]), _) => Self { reference, index, of, ..whole("sar", text) },
            (None, None, Some([element, ..])) => Self::with_element(&octets(element), whole("udh?", text)),
            _ => whole("one", text),
        }
    }

    /// As written by an SMSC that decodes nothing.
    fn of_octets(octets: &[u8], esm_class: u8, is_ucs2: bool) -> Self {
        let (header, text) = match octets {
            [length, rest @ ..] if esm_class & HAS_HEADER != 0 && rest.len() >= usize::from(*length) => {
                rest.split_at(usize::from(*length))
            }
            _ => (&[][..], octets),
        };
        let text = if is_ucs2 { utf16(text) } else { gsm(text) };
        let whole = Self { form: "one", reference: 0, index: 1, of: 1, is_ucs2, text };
        if header.is_empty() { whole } else { Self::with_element(header, whole) }
    }

    /// Reads an element of a header.
    fn with_element(element: &[u8], part: Self) -> Self {
        let (form, reference, of, index) = match *element {
            [CONCATENATED, 3, reference, of, index] => ("udh", u16::from(reference), of, index),
            [CONCATENATED_16, 4, high, low, of, index] => ("udh16", u16::from_be_bytes([high, low]), of, index),
            _ => return Self { form: "udh?", ..part },
        };
        Self { form, reference, index: index.into(), of: of.into(), ..part }
    }
}

/// Parts in their order, such as `udh 1 of 2, udh 2 of 2`, and what is wrong with them as a whole.
pub(super) fn describe(mut parts: Vec<Part>, text: &str) -> String {
    parts.sort_by_key(|part| part.index);
    let mut words: Vec<_> =
        parts.iter().map(|Part { form, index, of, .. }| format!("{form} {index} of {of}")).collect();
    words.extend(parts.iter().any(|part| part.is_ucs2).then(|| "ucs2".to_owned()));
    if parts.iter().any(|part| part.reference != parts[0].reference) {
        words.push("of several messages".to_owned());
    }
    if parts.iter().map(|part| part.text.as_str()).collect::<String>() != text {
        words.push("another text".to_owned());
    }
    words.join(", ")
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn utf16(octets: &[u8]) -> String {
    let units: Vec<_> = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// Of the characters of texts that are sent here, all but one are written as in ASCII.
fn gsm(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect::<String>().replace("\u{1b}<", "[")
}

#[cfg(test)]
mod tests {
    use crate::peers::journal::Journal;

    /// How the SMSC got it.
    fn seen(lines: &[&str], text: &str) -> String {
        Journal::read(&lines.join("\n")).parts("+4915112", text)
    }

    #[test]
    fn parts_are_read_in_the_words_of_both() {
        let node = [
            r#"{"what":"submit_sm","to":"4915112","dcs":0,"esm_class":64,"text":"c","udh":["0003aa0202"]}"#,
            r#"{"what":"submit_sm","to":"4915112","dcs":0,"esm_class":64,"text":"a[","udh":["0003aa0201"]}"#,
            r#"{"what":"submit_sm","to":"4915113","dcs":0,"esm_class":0,"text":"another"}"#,
        ];
        assert_eq!(seen(&node, "a[c"), "udh 1 of 2, udh 2 of 2");
        assert_eq!(seen(&node, "a["), "udh 1 of 2, udh 2 of 2, another text");
        let other = r#"{"what":"submit_sm","to":"4915112","source":"","dcs":0,"esm":64,"hex":"060804aabb0101611b3c"}"#;
        assert_eq!(seen(&[other], "a["), "udh16 1 of 1");
        let ucs2 = r#"{"what":"submit_sm","to":"4915112","source":"","dcs":8,"esm":0,"hex":"0627d83dde00"}"#;
        assert_eq!(seen(&[ucs2], "ا😀"), "one 1 of 1, ucs2");
    }

    #[test]
    fn parts_that_do_not_belong_together_are_told() {
        let sar = |reference, index| {
            format!(r#"{{"what":"submit_sm","to":"4915112","dcs":0,"text":"a","sar":[{reference},2,{index}]}}"#)
        };
        assert_eq!(seen(&[&sar(19_269, 1), &sar(19_269, 2)], "aa"), "sar 1 of 2, sar 2 of 2");
        assert_eq!(seen(&[&sar(7, 1), &sar(8, 2)], "aa"), "sar 1 of 2, sar 2 of 2, of several messages");
        let payload = r#"{"what":"submit_sm","to":"4915112","dcs":0,"text":"","payload":"hello"}"#;
        assert_eq!(seen(&[payload], "hello"), "payload 1 of 1");
        assert_eq!(seen(&[], "hello"), "another text");
    }
}

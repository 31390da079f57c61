//! Cutting a text into the parts that are sent.
//!
//! Parts are cut and never counted by dividing: none ends between an escape and its character, or between two
//! surrogates (python-smpplib issues 49 and 182, gammu issue 95).

use bytes::{BufMut as _, Bytes};

use crate::{
    Charset, Sm,
    charset::is_gsm,
    sm::esm,
    tlv::{Tlv, tag},
};

/// Most parts of one message: their number is one byte.
const MAX_PARTS: usize = 255;

/// How an SMSC is told that messages belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// By a header of user data with a reference of 8 bits.
    Udh,
    /// The same with one of 16 bits, which leaves less room for the text.
    Udh16,
    /// By the TLVs `sar_*`.
    Sar,
    /// It is not: the whole text is one `message_payload`, and the SMSC cuts it.
    Payload,
}

/// What is sent of a text at once.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    data_coding: u8,
    has_header: bool,
    octets: Bytes,
    tlvs: Vec<Tlv>,
}

impl Part {
    /// Puts it into a message, whose other fields stay as they are.
    pub fn put_into(self, sm: &mut Sm) {
        sm.data_coding = self.data_coding;
        if self.has_header {
            sm.esm_class |= esm::UDHI;
        }
        sm.short_message = self.octets;
        sm.tlvs.extend(self.tlvs);
    }
}

impl std::fmt::Debug for Part {
    /// Without the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({} octets of coding {})", self.octets.len(), self.data_coding)
    }
}

/// A text has more than 255 parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text comes to {0} parts, and no message has more than {MAX_PARTS}")]
pub struct TooLong(pub usize);

/// The parts of a text, in order; one where it fits.
///
/// It is sent in `plain` where GSM 03.38 and `plain` both have all of its characters, unless `is_ucs2` asks otherwise,
/// and else in UCS-2: so it has as many parts as it was counted to have, or more where `plain` lacks a character of GSM
/// 03.38, or `long` leaves less room. `reference` is what parts have in common, and the same for the same message
/// whenever it is sent, so that a part that comes twice takes its own place on the handset.
///
/// # Errors
/// It has more than 255 parts, or would have if it were cut: the SMSC cuts a `message_payload` itself.
pub fn split(text: &str, plain: Charset, is_ucs2: bool, long: Long, reference: u16) -> Result<Vec<Part>, TooLong> {
    let has_all = |charset: Charset| text.chars().all(|character| charset.encode(character, &mut Vec::new()));
    let charset = if is_ucs2 || !is_gsm(text) || !has_all(plain) { Charset::Ucs2 } else { plain };
    let data_coding = charset.data_coding();
    let units: usize = text.chars().map(|character| charset.units(character)).sum();
    let (alone, each) = limits(charset, long);
    if units <= alone {
        return Ok(vec![Part {
            data_coding,
            has_header: false,
            octets: octets(text, charset).into(),
            tlvs: Vec::new(),
        }]);
    }
    let texts = cut(text, charset, each);
    let count = u8::try_from(texts.len()).map_err(|_| TooLong(texts.len()))?;
    if long == Long::Payload {
        let tlvs = vec![Tlv::new(tag::MESSAGE_PAYLOAD, octets(text, charset))];
        return Ok(vec![Part { data_coding, has_header: false, octets: Bytes::new(), tlvs }]);
    }
    let part = |(text, number)| {
        let octets = octets(text, charset);
        part(&octets, data_coding, long, &Place { reference, count, number })
    };
    Ok(texts.into_iter().zip(1..=count).map(part).collect())
}

/// Which part of what.
struct Place {
    reference: u16,
    count: u8,
    number: u8,
}

fn part(octets: &[u8], data_coding: u8, long: Long, place: &Place) -> Part {
    let Place { reference, count, number } = *place;
    let [high, low] = reference.to_be_bytes();
    let header: &[u8] = match long {
        Long::Udh => &[0x05, 0x00, 0x03, low, count, number],
        Long::Udh16 => &[0x06, 0x08, 0x04, high, low, count, number],
        Long::Sar | Long::Payload => &[],
    };
    let tlvs = if long == Long::Sar {
        vec![
            Tlv::new(tag::SAR_MSG_REF_NUM, vec![high, low]),
            Tlv::new(tag::SAR_TOTAL_SEGMENTS, vec![count]),
            Tlv::new(tag::SAR_SEGMENT_SEQNUM, vec![number]),
        ]
    } else {
        Vec::new()
    };
    let mut all = Vec::with_capacity(header.len() + octets.len());
    all.put_slice(header);
    all.put_slice(octets);
    Part { data_coding, has_header: !header.is_empty(), octets: all.into(), tlvs }
}

/// Units of a text that is one part, and of each part where there are more.
fn limits(charset: Charset, long: Long) -> (usize, usize) {
    match (charset, long) {
        (Charset::Ucs2, Long::Udh16) => (70, 66),
        (Charset::Ucs2, _) => (70, 67),
        (_, Long::Udh16) => (160, 152),
        _ => (160, 153),
    }
}

fn octets(text: &str, charset: Charset) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    for character in text.chars() {
        charset.encode(character, &mut octets);
    }
    octets
}

/// Pieces of at most `each` units.
fn cut(text: &str, charset: Charset, each: usize) -> Vec<&str> {
    let (mut pieces, mut start, mut units) = (Vec::new(), 0, 0);
    for (place, character) in text.char_indices() {
        let of_character = charset.units(character);
        if units + of_character > each {
            pieces.push(&text[start..place]);
            (start, units) = (place, 0);
        }
        units += of_character;
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str, long: Long) -> Vec<Part> {
        split(text, Charset::Gsm0338, false, long, 0x1234).expect("not too long")
    }

    /// What a handset makes of parts, and their headers.
    fn read(parts: &[Part]) -> (String, Vec<Vec<u8>>) {
        let (mut text, mut headers) = (String::new(), Vec::new());
        for part in parts {
            let mut sm = Sm::default();
            part.clone().put_into(&mut sm);
            let length = if sm.esm_class & esm::UDHI == 0 { 0 } else { usize::from(sm.octets()[0]) + 1 };
            let charset = if sm.data_coding == 8 { Charset::Ucs2 } else { Charset::Gsm0338 };
            assert!(sm.short_message.len() <= if charset == Charset::Ucs2 { 140 } else { 160 }, "it fits");
            headers.push(sm.octets()[..length].to_vec());
            text.push_str(&charset.decode(&sm.octets()[length..]));
        }
        (text, headers)
    }

    #[test]
    fn a_text_that_fits_is_one_part_without_a_header() {
        for text in ["hi".to_owned(), "a".repeat(160), "€".repeat(80), "ا".repeat(70)] {
            for long in [Long::Udh, Long::Udh16, Long::Sar, Long::Payload] {
                let parts = parts(&text, long);
                assert_eq!((parts.len(), parts[0].has_header, parts[0].tlvs.len()), (1, false, 0));
                assert_eq!(read(&parts).0, text);
            }
        }
    }

    #[test]
    fn parts_say_what_they_belong_to() {
        let text = "a".repeat(152) + "[" + &"b".repeat(153);
        let (read_again, headers) = read(&parts(&text, Long::Udh));
        assert_eq!(read_again, text);
        assert_eq!(headers, [1, 2, 3].map(|number| vec![5, 0, 3, 0x34, 3, number]), "the escape is not cut off");
        let (_, headers) = read(&parts(&"ا".repeat(71), Long::Udh16));
        assert_eq!(headers, [1, 2].map(|number| vec![6, 8, 4, 0x12, 0x34, 2, number]));
        let by_tlv = parts(&"a".repeat(200), Long::Sar);
        let values: Vec<_> = by_tlv[1].tlvs.iter().map(|tlv| (tlv.tag, tlv.value.to_vec())).collect();
        assert_eq!(values, [(0x20C, vec![0x12, 0x34]), (0x20E, vec![2]), (0x20F, vec![2])]);
        let whole = parts(&"a".repeat(200), Long::Payload);
        assert!(whole.len() == 1 && whole[0].octets.is_empty() && whole[0].tlvs[0].value.len() == 200);
    }

    #[test]
    fn what_the_smsc_cannot_have_plain_goes_as_ucs2() {
        let coding = |text, plain, is_ucs2| split(text, plain, is_ucs2, Long::Udh, 0).expect("short")[0].data_coding;
        assert_eq!(coding("é", Charset::Gsm0338, false), 0);
        assert_eq!(coding("é", Charset::Latin1, false), 3);
        assert_eq!(coding("é", Charset::Ascii, false), 8);
        assert_eq!(coding("Δ", Charset::Latin1, false), 8);
        assert_eq!(coding("ç", Charset::Latin1, false), 8, "it was counted as UCS-2");
        assert_eq!(coding("e", Charset::Gsm0338, true), 8);
    }

    #[test]
    fn more_than_255_parts_are_refused() {
        let text = "a".repeat(255 * 153);
        assert_eq!(parts(&text, Long::Udh).len(), 255);
        let longer = text + "a";
        for long in [Long::Udh, Long::Sar, Long::Payload] {
            assert_eq!(split(&longer, Charset::Gsm0338, false, long, 0), Err(TooLong(256)), "{long:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_fit_and_hold_the_text(text in "[a-z€\\[\u{c}éاç😀]{0,500}|[a-z€\\[]{100,700}", is_ucs2: bool, kind in 0usize..4) {
            let long = [Long::Udh, Long::Udh16, Long::Sar, Long::Payload][kind];
            let parts = split(&text, Charset::Gsm0338, is_ucs2, long, 7).expect("not too long");
            prop_assert_eq!(read(&parts).0, text);
            prop_assert!(parts.iter().all(|part| part.data_coding == parts[0].data_coding));
        }
    }
}

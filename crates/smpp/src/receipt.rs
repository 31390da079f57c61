//! What an SMSC tells of a message that it took (appendix B, and the TLVs of section 5.3.2).
//!
//! The text of a receipt is only a custom: fields come in any order, some are missing, and what stands in them differs
//! (opentelecoms-org/jsmpp issue 62, twitter-archive/cloudhopper-smpp issue 105). So nothing that it says is an error.

use bytes::Bytes;

use crate::{
    Address, Charset, DataSm, Sm, esm,
    tlv::{self, Tlv, tag},
};

/// What became of a message (table 5-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// It waits for its time.
    Scheduled,
    /// It is on its way.
    Enroute,
    /// It reached the handset.
    Delivered,
    /// It was not delivered in time.
    Expired,
    /// It was deleted.
    Deleted,
    /// It cannot be delivered.
    Undeliverable,
    /// Somebody read it for the recipient.
    Accepted,
    /// The SMSC cannot tell.
    Unknown,
    /// It was refused.
    Rejected,
    /// It was left out.
    Skipped,
}

/// In the order of their numbers, with their short words.
const STATES: [(MessageState, &str); 10] = [
    (MessageState::Scheduled, "SCHEDULED"),
    (MessageState::Enroute, "ENROUTE"),
    (MessageState::Delivered, "DELIVRD"),
    (MessageState::Expired, "EXPIRED"),
    (MessageState::Deleted, "DELETED"),
    (MessageState::Undeliverable, "UNDELIV"),
    (MessageState::Accepted, "ACCEPTD"),
    (MessageState::Unknown, "UNKNOWN"),
    (MessageState::Rejected, "REJECTD"),
    (MessageState::Skipped, "SKIPPED"),
];

impl MessageState {
    /// The state of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        STATES.get(usize::from(number)).map(|(state, _)| *state)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        let place = STATES.iter().position(|(state, _)| *state == self).expect("every state is in the table");
        u8::try_from(place).expect("there are ten")
    }

    /// Its short word in texts of receipts.
    pub fn word(self) -> &'static str {
        STATES[usize::from(self.number())].1
    }

    /// The state that a text names, in any case, by its short word or a longer one that begins as this does.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_uppercase();
        let found = STATES.iter().find(|(_, known)| !word.is_empty() && (word == *known || word.starts_with(known)));
        // The two whose long names do not begin as their short ones.
        let by_name = || match word.as_str() {
            "DELIVERED" => Some(Self::Delivered),
            "ACCEPTED" => Some(Self::Accepted),
            "REJECTED" => Some(Self::Rejected),
            _ => None,
        };
        found.map(|(state, _)| *state).or_else(by_name)
    }
}

/// What an SMSC tells of one message, or of one part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the SMSC calls it; `None` where it does not say, so that nobody can know what it is about.
    pub id: Option<String>,
    /// What became of it; what cannot be understood is [`MessageState::Unknown`], or [`MessageState::Enroute`] in a
    /// notice on the way.
    pub state: MessageState,
    /// Why it was not delivered, in the SMSC's words.
    pub error: Option<String>,
    /// To whom it was sent.
    pub recipient: String,
}

impl Receipt {
    /// The receipt in a `deliver_sm`; `None` for a message from a handset.
    pub fn of(sm: &Sm) -> Option<Self> {
        read(sm.esm_class, &sm.source, sm.octets(), &sm.tlvs)
    }

    /// The receipt in a `data_sm`; `None` for a message from a handset.
    pub fn of_data(sm: &DataSm) -> Option<Self> {
        read(sm.esm_class, &sm.source, sm.octets(), &sm.tlvs)
    }
}

impl std::fmt::Debug for Receipt {
    /// Without the number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// `esm_class` of a notice on the way, which is read as a receipt is.
const INTERMEDIATE: u8 = 0x20;

fn read(esm_class: u8, source: &Address, octets: &Bytes, tlvs: &[Tlv]) -> Option<Receipt> {
    let id = tlv::value(tlvs, tag::RECEIPTED_MESSAGE_ID).map(|value| c_text(value)).filter(|id| !id.is_empty());
    let state = tlv::value(tlvs, tag::MESSAGE_STATE).and_then(|value| MessageState::from_number(*value.first()?));
    let kind = esm_class & esm::KIND;
    if ![esm::RECEIPT, INTERMEDIATE].contains(&kind) && (id.is_none() || state.is_none()) {
        return None;
    }
    let text = text(esm_class, octets);
    let fields = fields(&text);
    let of_text = |key| fields.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    let first_word = |key| of_text(key).and_then(|value: &str| value.split_whitespace().next()).map(bare);
    let of_kind = if kind == INTERMEDIATE { MessageState::Enroute } else { MessageState::Unknown };
    // What TLVs say is meant for programs, and wins (vumi pull request 637).
    Some(Receipt {
        id: id.or_else(|| first_word("id").map(str::to_owned)),
        state: state.or_else(|| MessageState::from_word(first_word("stat")?)).unwrap_or(of_kind),
        error: of_text("err").map(error).filter(|error| !error.is_empty()).or_else(|| network_error(tlvs)),
        recipient: source.address.clone(),
    })
}

/// What is before the first zero byte.
fn c_text(value: &[u8]) -> String {
    value.iter().take_while(|byte| **byte != 0).copied().map(char::from).collect::<String>().trim().to_owned()
}

/// The code, without the kind of network in the byte before it.
fn network_error(tlvs: &[Tlv]) -> Option<String> {
    match tlv::value(tlvs, tag::NETWORK_ERROR_CODE)?[..] {
        [_, high, low] => Some(u16::from_be_bytes([high, low]).to_string()),
        _ => None,
    }
}

/// The text, without a header of user data. `data_coding` is not asked: some SMSCs repeat that of the message, whatever
/// they write (farhadi/node-smpp issue 68). A receipt begins with ASCII, which in UCS-2 begins with a zero or with the
/// mark of its order.
fn text(esm_class: u8, octets: &Bytes) -> String {
    let header =
        if esm_class & esm::UDHI == 0 { 0 } else { octets.first().map_or(0, |length| usize::from(*length) + 1) };
    match octets.get(header..).unwrap_or_default() {
        octets @ ([0, ..] | [0xFE, 0xFF, ..]) => Charset::Ucs2.decode(octets),
        octets => Charset::Latin1.decode(octets),
    }
}

/// A value without what separates it from its neighbours.
fn bare(value: &str) -> &str {
    value.trim_matches(|character: char| character.is_whitespace() || [',', ';', '\0'].contains(&character))
}

/// What `err` says, up to the first field that is not known: that may be a number of the message.
fn error(value: &str) -> String {
    let words = value.split_whitespace().enumerate();
    let of_error = words.take_while(|(place, word)| *place == 0 || !word.contains(':')).map(|(_, word)| word);
    of_error.collect::<Vec<_>>().join(" ")
}

/// What a receipt's text may say; the last one quotes the message, and ends what is read.
const KEYS: [&str; 8] = ["id", "sub", "dlvrd", "submit date", "done date", "stat", "err", "text"];

/// Keys and values, in any order. A value goes on until the next key, for some have blanks.
fn fields(text: &str) -> Vec<(&'static str, &str)> {
    let lower = text.to_ascii_lowercase();
    let end = place_of(&lower, "text").map_or(lower.len(), |(start, _)| start);
    let lower = &lower[..end];
    let mut places: Vec<_> =
        KEYS.into_iter().filter_map(|key| place_of(lower, key).map(|(start, value)| (start, value, key))).collect();
    places.sort_unstable();
    let ends = places.iter().skip(1).map(|(start, ..)| *start).chain([end]);
    places.iter().zip(ends).map(|((_, value, key), end)| (*key, bare(&text[*value..end]))).collect()
}

/// Where `key:` stands as a word of its own, and where its value begins.
fn place_of(lower: &str, key: &str) -> Option<(usize, usize)> {
    let is_word =
        |start: usize| !lower[..start].ends_with(|before: char| before.is_alphanumeric() || "_-".contains(before));
    lower.match_indices(key).find_map(|(start, _)| {
        let value = start + key.len();
        (lower[value..].starts_with(':') && is_word(start)).then_some((start, value + 1))
    })
}

/// The text that SMSCs mostly send (appendix B); `date` is `YYMMDDhhmm`.
pub fn receipt_text(id: &str, state: MessageState, error: &str, date: &str) -> String {
    let delivered = u8::from(state == MessageState::Delivered);
    let word = state.word();
    format!("id:{id} sub:001 dlvrd:00{delivered} submit date:{date} done date:{date} stat:{word} err:{error} text:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(text: &str) -> Option<Receipt> {
        let short_message = Bytes::copy_from_slice(text.as_bytes());
        Receipt::of(&Sm { esm_class: esm::RECEIPT, short_message, ..Sm::default() })
    }

    fn told(text: &str) -> String {
        let Receipt { id, state, error, .. } = receipt(text).expect("a receipt");
        format!("{} {state:?} {}", id.unwrap_or_default(), error.unwrap_or_default())
    }

    #[test]
    fn texts_are_read_whatever_they_lack() {
        for (text, expected) in [
            (
                "id:1a2b sub:001 dlvrd:001 submit date:2611280930 done date:261128093012 stat:DELIVRD err:000 text:hi",
                "1a2b Delivered 000",
            ),
            ("id:7 submit date:2611280930 done date:2611280930 stat:UNDELIV err:001", "7 Undeliverable 001"),
            ("stat:expired ID:0007 ERR:Absent Subscriber TEXT:stat:DELIVRD id:9", "0007 Expired Absent Subscriber"),
            ("id:x-1\nstat:REJECTED\nerr:", "x-1 Rejected "),
            ("id: 12  stat: ACCEPTD", "12 Accepted "),
            ("msgid:3 id:4 substat:1 stat:DELETED", "4 Deleted "),
            ("id:5 stat:WHATEVER err:99", "5 Unknown 99"),
            ("id:5 other:1 stat:DELIVERED", "5 Delivered "),
            ("nothing of it", " Unknown "),
            ("", " Unknown "),
            ("id:é stat:DELIVRD", "Ã© Delivered "),
            ("msg_id:3 my-id:3 id:4 stat:DELIVRD", "4 Delivered "),
            ("id:5,sub:001; stat:UNDELIV;err:27;", "5 Undeliverable 27"),
            ("stat:UNDELIV err:27\0 id:6\0", "6 Undeliverable 27"),
            ("id:7\0", "7 Unknown "),
            ("id:, stat:DELIVRD err:;", " Delivered "),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn an_error_ends_where_a_field_that_is_not_known_begins() {
        assert_eq!(told("id:8 stat:UNDELIV err:001 msisdn:4915112345678"), "8 Undeliverable 001");
        assert_eq!(
            told("id:8 err:Absent Subscriber to:4915112345678 stat:UNDELIV"),
            "8 Undeliverable Absent Subscriber"
        );
        assert_eq!(told("id:8 stat:UNDELIV err:3:27 text:hi"), "8 Undeliverable 3:27");
    }

    #[test]
    fn a_notice_on_the_way_that_says_nothing_leaves_the_message_on_its_way() {
        let notice = |text: &'static str| {
            let short_message = Bytes::from_static(text.as_bytes());
            Receipt::of(&Sm { esm_class: INTERMEDIATE, short_message, ..Sm::default() }).expect("a receipt").state
        };
        assert_eq!(notice("id:1 memory of the handset is full"), MessageState::Enroute);
        assert_eq!(notice("id:1 stat:BUFFERED"), MessageState::Enroute);
        assert_eq!(notice("id:1 stat:DELIVRD"), MessageState::Delivered);
    }

    #[test]
    fn what_the_tlvs_say_wins() {
        let tlvs = vec![
            Tlv::new(tag::RECEIPTED_MESSAGE_ID, &b"right\0"[..]),
            Tlv::new(tag::MESSAGE_STATE, &b"\x02"[..]),
            Tlv::new(tag::NETWORK_ERROR_CODE, &b"\x03\x00\x22"[..]),
        ];
        let sm =
            Sm { short_message: Bytes::from_static(b"id:wrong stat:UNDELIV"), tlvs: tlvs.clone(), ..Sm::default() };
        let of_sm = Receipt::of(&sm).expect("by its TLVs, whatever its esm_class");
        let of_data = Receipt::of_data(&DataSm { tlvs, ..DataSm::default() }).expect("the same");
        for receipt in [of_sm, of_data] {
            assert_eq!((receipt.id.as_deref(), receipt.state), (Some("right"), MessageState::Delivered));
            assert_eq!(receipt.error.as_deref(), Some("34"));
        }
    }

    #[test]
    fn a_text_may_be_in_ucs2_behind_a_header_or_in_a_payload() {
        let text = "id:77 stat:DELIVRD";
        let ucs2: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let header = [&[5, 0, 3, 1, 1, 1][..], text.as_bytes()].concat();
        let receipt = esm::RECEIPT;
        for sm in [
            Sm { esm_class: receipt, data_coding: 8, short_message: ucs2.into(), ..Sm::default() },
            // An SMSC that repeats the coding of the message (farhadi/node-smpp issue 68).
            Sm {
                esm_class: receipt,
                data_coding: 8,
                short_message: Bytes::from_static(text.as_bytes()),
                ..Sm::default()
            },
            Sm { esm_class: receipt | esm::UDHI, short_message: header.into(), ..Sm::default() },
            Sm {
                esm_class: INTERMEDIATE,
                tlvs: vec![Tlv::new(tag::MESSAGE_PAYLOAD, text.as_bytes())],
                ..Sm::default()
            },
        ] {
            assert_eq!(Receipt::of(&sm).and_then(|receipt| receipt.id).as_deref(), Some("77"));
        }
    }

    #[test]
    fn messages_of_handsets_are_no_receipts() {
        let text = Bytes::from_static(b"id:1 stat:DELIVRD");
        for esm_class in [0, 0x03, 0x08, 0x10, 0x18, esm::UDHI] {
            assert_eq!(Receipt::of(&Sm { esm_class, short_message: text.clone(), ..Sm::default() }), None);
        }
    }

    #[test]
    fn states_have_numbers_and_words() {
        for number in 0..10 {
            let state = MessageState::from_number(number).expect("one of ten");
            assert_eq!((state.number(), MessageState::from_word(state.word())), (number, Some(state)));
        }
        assert_eq!(MessageState::from_number(10), None);
        assert_eq!(MessageState::from_word("UNDELIVERABLE"), Some(MessageState::Undeliverable));
    }

    #[test]
    fn our_own_text_is_read_again() {
        for (state, _) in STATES {
            let text = receipt_text("00aB", state, "000", "2611280930");
            assert_eq!(told(&text), format!("00aB {state:?} 000"));
        }
    }
}

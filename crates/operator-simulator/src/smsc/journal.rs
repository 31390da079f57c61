//! What came, what was answered and what was sent, in order.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use smpp::{Address, BindMode, Charset, Sm, esm, tag};

use crate::journal::Numbered;

/// One thing that happened at an SMSC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmscEntry {
    /// Counts all entries of an SMSC, from 1, without gaps.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The SMSC's name.
    pub smsc: String,
    /// The number of the connection, from 1.
    pub session: u64,
    /// What it was.
    #[serde(flatten)]
    pub what: SmscEvent,
}

impl Numbered for SmscEntry {
    fn seq(&self) -> u64 {
        self.seq
    }
}

/// What may happen at an SMSC. Each status is a number, as PDUs have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum SmscEvent {
    /// A client asked for a session.
    Bind {
        /// `transmitter`, `receiver` or `transceiver`.
        mode: SmscBindMode,
        /// The user that it named.
        system_id: String,
        /// Its `interface_version`.
        version: u8,
        /// What it was answered.
        status: u32,
    },
    /// A client submitted a message.
    SubmitSm(Box<SmscSubmit>),
    /// A client was sent a receipt.
    DeliverSm {
        /// The id in the answer to the message.
        message_id: String,
        /// The id in the receipt.
        receipt_id: String,
        /// What it said, by the short word.
        state: String,
        /// Its number.
        sequence: u32,
    },
    /// A client answered a receipt.
    DeliverSmResp {
        /// The id in the answer to the message.
        message_id: String,
        /// The receipt's number.
        sequence: u32,
        /// What it answered.
        status: u32,
    },
    /// A session was asked to end.
    Unbind {
        /// By the SMSC, and not by the client.
        by_smsc: bool,
    },
    /// A connection ended.
    Closed {
        /// Why.
        why: SmscEnd,
    },
}

/// In which directions messages go on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmscBindMode {
    /// From the SMSC to the client.
    Receiver,
    /// From the client to the SMSC.
    Transmitter,
    /// Both.
    Transceiver,
}

impl From<BindMode> for SmscBindMode {
    fn from(mode: BindMode) -> Self {
        match mode {
            BindMode::Receiver => Self::Receiver,
            BindMode::Transmitter => Self::Transmitter,
            BindMode::Transceiver => Self::Transceiver,
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmscEnd {
    /// The client closed it, or it broke.
    Client,
    /// After an unbind.
    Unbound,
    /// The SMSC did not answer a message, or was told to cut everything.
    Cut,
    /// The bind was refused.
    Refused,
    /// What the client sent was no SMPP.
    NotSmpp,
}

/// What an SMSC did with a `submit_sm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmscDecision {
    /// It has the message and answers so, be it late.
    Accepted,
    /// It has the message and does not answer.
    Silent,
    /// It has the message and closes the connection.
    Cut,
    /// It answers a status that the behaviour names.
    Refused,
    /// There were too many in a second.
    Throttled,
    /// The session is not bound for it.
    NotBound,
}

impl SmscDecision {
    /// Whether the SMSC has the message.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::Silent | Self::Cut)
    }
}

/// A number or a name, and how it is to be understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmscAddress {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
    /// As it came.
    pub address: String,
}

impl From<&Address> for SmscAddress {
    fn from(address: &Address) -> Self {
        Self { ton: address.ton, npi: address.npi, address: address.address.clone() }
    }
}

/// Which part of a message one is, by its `sar_*` TLVs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmscSar {
    /// What the parts have in common.
    pub reference: u16,
    /// How many there are.
    pub total: u8,
    /// Which one it is, from 1.
    pub part: u8,
}

/// A `submit_sm` as an SMSC saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmscSubmit {
    /// What was done.
    pub decision: SmscDecision,
    /// What was or will be answered, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
    /// What the SMSC calls it, if it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The PDU's number.
    pub sequence: u32,
    /// From whom.
    pub source: SmscAddress,
    /// To whom.
    pub destination: SmscAddress,
    /// Mostly empty.
    pub service_type: String,
    /// Kind and mode.
    pub esm_class: u8,
    /// Which receipts are asked for.
    pub registered_delivery: u8,
    /// As it came; empty for as long as the SMSC likes.
    pub validity_period: String,
    /// What its octets are.
    pub data_coding: u8,
    /// Without a header of user data; `None` where the octets are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The header of user data, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udh: Option<String>,
    /// The TLVs `sar_*`, where all three are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sar: Option<SmscSar>,
    /// Whether the text came as `message_payload`.
    pub is_payload: bool,
}

impl SmscSubmit {
    /// What `sm` says, and what was made of it.
    pub(crate) fn new(sm: &Sm, sequence: u32, decision: SmscDecision, status: Option<u32>, id: Option<String>) -> Self {
        let octets = sm.octets();
        let has_header = sm.esm_class & esm::UDHI != 0;
        let header = octets.first().filter(|_| has_header).map_or(0, |length| usize::from(*length) + 1);
        let (header, octets) = octets.split_at_checked(header).unwrap_or((octets, &[]));
        Self {
            decision,
            status,
            message_id: id,
            sequence,
            source: (&sm.source).into(),
            destination: (&sm.destination).into(),
            service_type: sm.service_type.clone(),
            esm_class: sm.esm_class,
            registered_delivery: sm.registered_delivery,
            validity_period: sm.validity_period.clone(),
            data_coding: sm.data_coding,
            text: charset(sm.data_coding).map(|charset| charset.decode(octets)),
            udh: (!header.is_empty()).then(|| in_hex(header)),
            sar: sar(sm),
            is_payload: sm.short_message.is_empty() && has_tlv(sm, tag::MESSAGE_PAYLOAD),
        }
    }
}

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _infallible = write!(digits, "{byte:02x}");
        digits
    })
}

fn charset(data_coding: u8) -> Option<Charset> {
    match data_coding {
        0 => Some(Charset::Gsm0338),
        1 => Some(Charset::Ascii),
        3 => Some(Charset::Latin1),
        8 => Some(Charset::Ucs2),
        _ => None,
    }
}

fn has_tlv(sm: &Sm, tag: u16) -> bool {
    sm.tlvs.iter().any(|tlv| tlv.tag == tag)
}

fn sar(sm: &Sm) -> Option<SmscSar> {
    let value = |tag| sm.tlvs.iter().find(|tlv| tlv.tag == tag).map(|tlv| &tlv.value);
    let reference = u16::from_be_bytes(value(tag::SAR_MSG_REF_NUM)?[..].try_into().ok()?);
    let total = *value(tag::SAR_TOTAL_SEGMENTS)?.first()?;
    let part = *value(tag::SAR_SEGMENT_SEQNUM)?.first()?;
    Some(SmscSar { reference, total, part })
}

#[cfg(test)]
mod tests {
    use smpp::{Long, split};

    use super::*;

    fn submit(text: &str, long: Long) -> SmscSubmit {
        let part = split(text, Charset::Gsm0338, false, long, 0x1234).expect("not too long").pop().expect("one");
        let mut sm = Sm { source: Address::source("BANK"), destination: Address::destination("+49"), ..Sm::default() };
        part.put_into(&mut sm);
        SmscSubmit::new(&sm, 7, SmscDecision::Accepted, Some(0), Some("a".to_owned()))
    }

    #[test]
    fn texts_are_read_without_their_headers() {
        let text = "a".repeat(152) + "€bbbbbbbbbb";
        let last = submit(&text, Long::Udh);
        assert_eq!(
            (last.text.as_deref(), last.udh.as_deref(), last.sar),
            (Some("€bbbbbbbbbb"), Some("050003340202"), None)
        );
        let last = submit(&text, Long::Sar);
        let sar = SmscSar { reference: 0x1234, total: 2, part: 2 };
        assert_eq!((last.text.as_deref(), last.udh, last.sar), (Some("€bbbbbbbbbb"), None, Some(sar)));
        let whole = submit(&text.repeat(2), Long::Payload);
        assert_eq!((whole.text, whole.is_payload), (Some(text.repeat(2)), true));
        let ucs2 = submit("سلام😀", Long::Udh);
        assert_eq!((ucs2.data_coding, ucs2.text.as_deref(), ucs2.is_payload), (8, Some("سلام😀"), false));
    }

    #[test]
    fn what_is_no_text_is_not_read_as_one() {
        let binary = Sm { data_coding: 4, short_message: vec![1, 2].into(), ..Sm::default() };
        assert_eq!(SmscSubmit::new(&binary, 1, SmscDecision::Accepted, None, None).text, None);
        let cut = Sm { esm_class: esm::UDHI, short_message: vec![9, 2].into(), ..Sm::default() };
        let cut = SmscSubmit::new(&cut, 1, SmscDecision::Accepted, None, None);
        assert_eq!((cut.text.as_deref(), cut.udh.as_deref()), (Some(""), Some("0902")));
    }

    #[test]
    fn entries_are_written_flat() {
        let entry = SmscEntry {
            seq: 1,
            at_ms: 2,
            smsc: "a".to_owned(),
            session: 3,
            what: SmscEvent::SubmitSm(Box::new(submit("hi", Long::Udh))),
        };
        let line = serde_json::to_string(&entry).expect("JSON");
        let expected =
            r#"{"seq":1,"at_ms":2,"smsc":"a","session":3,"what":"submit_sm","decision":"accepted","status":0,"#;
        assert!(line.starts_with(expected), "{line}");
        assert_eq!(serde_json::from_str::<SmscEntry>(&line).expect("the same"), entry);
    }
}

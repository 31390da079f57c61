//! The same PDUs written and read by `rusmpp` 0.4, a codec by others. It reads strictly, ours leniently: what both can
//! read is the same.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rusmpp::CommandStatus;
use smpp::{BindResp, Body, Frame, Pdu, Response, Sm, Status, Tlv, tag};

use crate::{bytes_of, generated, read, theirs};

/// Whether it is an answer that has no body when it refuses.
fn is_refusal(pdu: &Pdu) -> bool {
    pdu.status != Status::OK && matches!(pdu.body, Body::BindResp(..) | Body::SubmitSmResp(_))
}

/// What is left of a PDU on the wire.
fn on_the_wire(pdu: &Pdu) -> Pdu {
    let body = match &pdu.body {
        Body::BindResp(mode, _) if is_refusal(pdu) => Body::BindResp(*mode, BindResp::default()),
        Body::SubmitSmResp(_) if is_refusal(pdu) => Body::SubmitSmResp(Response::default()),
        body => body.clone(),
    };
    Pdu { body, ..*pdu }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(pdus in proptest::collection::vec(generated::pdu(), 1..4)) {
        let mut stream = BytesMut::new();
        for pdu in &pdus {
            pdu.write(&mut stream);
        }
        for pdu in &pdus {
            let frame = Frame::take(&mut stream).expect("SMPP").expect("a whole PDU");
            prop_assert_eq!(Pdu::read(frame), Ok(on_the_wire(pdu)));
        }
        prop_assert!(stream.is_empty());
    }

    #[test]
    fn rusmpp_reads_what_is_written(pdu in generated::pdu()) {
        let command = theirs::read(&pdu.to_bytes()).expect("within its limits");
        prop_assert_eq!(theirs::to_ours(&command), on_the_wire(&pdu));
    }

    #[test]
    fn what_rusmpp_writes_is_read(pdu in generated::pdu()) {
        let bytes = theirs::write(&theirs::of_ours(&pdu));
        prop_assert_eq!(read(&bytes), Ok(pdu.clone()));
        // The bytes are the same too, but for refusals: rusmpp writes a body whatever the status.
        if !is_refusal(&pdu) {
            prop_assert_eq!(pdu.to_bytes(), bytes);
        }
    }
}

#[test]
fn texts_that_are_too_long_for_their_field_are_payloads_to_rusmpp() {
    for length in [254, 255, 256, 65_000] {
        let sm = Sm { short_message: vec![b'a'; length].into(), ..Sm::default() };
        let command =
            theirs::read(&Pdu::request(1, Body::SubmitSm(Box::new(sm))).to_bytes()).expect("within its limits");
        let Body::SubmitSm(sm) = theirs::to_ours(&command).body else { panic!("a submit_sm") };
        assert_eq!((sm.short_message.is_empty(), sm.octets().len()), (length > 254, length));
    }
}

/// A `deliver_sm` of these TLVs, and of nothing else.
fn with_tlvs(tlvs: &[u8]) -> BytesMut {
    bytes_of(0x05, 0, &[&[0; 17][..], tlvs].concat())
}

#[test]
fn what_is_lenient_here_is_strict_there() {
    let bind = |user: &[u8], password: &[u8]| bytes_of(0x09, 0, &[user, &[0], password, b"\0\0\x34\0\0\0"].concat());
    let date = |date: &[u8]| bytes_of(0x05, 0, &[&[0; 11][..], date, &[0; 7]].concat());
    for (what, bytes) in [
        ("a password that is longer than 3.4 has them", bind(b"user", b"long-password")),
        ("a user that is no ASCII", bind(b"us\xE9r", b"password")),
        ("a time that is too short", date(b"2611280930")),
        ("a TLV that is cut short", with_tlvs(&[0x04, 0x27, 0, 1, 2, 0x14, 0, 0, 9, 1])),
        ("a TLV of a length that is not its own", with_tlvs(&[0x04, 0x27, 0, 2, 0, 2])),
        ("an id without a zero in a TLV", with_tlvs(b"\x00\x1E\x00\x02ab")),
        ("an id without a zero in an answer", bytes_of(0x8000_0004, 0, b"1a2b")),
        ("an id that is too long", bytes_of(0x8000_0004, 0, &[&[b'a'; 80][..], &[0]].concat())),
    ] {
        assert!(theirs::read(&bytes).is_err(), "{what} is an error there");
        assert!(read(&bytes).is_ok(), "{what} is none here");
    }
}

#[test]
fn statuses_are_called_the_same() {
    let mut differing = Vec::new();
    for value in 0..0x400 {
        let theirs = match CommandStatus::from(value) {
            CommandStatus::Other(_) => "OTHER".to_owned(),
            known => format!("{known:?}").to_uppercase(),
        };
        let ours = Status(value).name().replace('_', "").to_uppercase();
        if ours != theirs {
            differing.push(value);
        }
    }
    assert_eq!(differing, [0xC0, 0xC1, 0xC2, 0xC3, 0xC4], "5.0 says TLV where 3.4 says optional parameter");
}

#[test]
fn a_payload_is_the_text_of_both_where_there_is_no_other() {
    let sm = Sm { tlvs: vec![Tlv::new(tag::MESSAGE_PAYLOAD, Bytes::from_static(b"text"))], ..Sm::default() };
    let bytes = Pdu::request(1, Body::DeliverSm(Box::new(sm))).to_bytes();
    let Body::DeliverSm(theirs) = theirs::to_ours(&theirs::read(&bytes).expect("within its limits")).body else {
        panic!("a deliver_sm")
    };
    assert_eq!(&theirs.octets()[..], b"text");
}

//! What SMSCs write that they should not, or not in this way.

use bytes::{BufMut as _, BytesMut};
use smpp::{Address, BindMode, BindResp, Body, Frame, Pdu, Receipt, Response, Sm, Status, Tlv, Unreadable, esm, tag};

use crate::{bytes_of, frame, read};

const RESPONSE: u32 = 0x8000_0000;
const SUBMIT_SM: u32 = 0x04;
const DELIVER_SM: u32 = 0x05;
const UNBIND: u32 = 0x06;
const ENQUIRE_LINK: u32 = 0x15;
const DATA_SM: u32 = 0x103;
const BINDS: [(u32, BindMode); 3] = [(1, BindMode::Receiver), (2, BindMode::Transmitter), (9, BindMode::Transceiver)];
/// Good, refused, throttled, a vendor's own, and one that nobody knows.
const STATUSES: [u32; 5] = [0, 0x0B, 0x58, 0x401, u32::MAX];

fn body_of(command: u32, status: u32, body: &[u8]) -> Body {
    let pdu = read(&bytes_of(command, status, body)).expect("answers can always be read");
    assert_eq!((pdu.status, pdu.sequence), (Status(status), 7));
    pdu.body
}

fn unreadable(command: u32, body: &[u8]) -> Unreadable {
    read(&bytes_of(command, 0, body)).expect_err("it lacks something")
}

/// Answers of each kind that has a body, with this one in it.
fn answers(id: &str, tlvs: &[Tlv]) -> Vec<(u32, Body)> {
    let resp = || Response { message_id: id.to_owned() };
    let bind = || BindResp { system_id: id.to_owned(), tlvs: tlvs.to_vec() };
    let binds = BINDS.map(|(command, mode)| (command, Body::BindResp(mode, bind())));
    let messages = [
        (SUBMIT_SM, Body::SubmitSmResp(resp())),
        (DELIVER_SM, Body::DeliverSmResp(resp())),
        (DATA_SM, Body::DataSmResp(resp())),
    ];
    binds.into_iter().chain(messages).map(|(command, body)| (RESPONSE | command, body)).collect()
}

#[test]
fn answers_are_read_without_a_body_whatever_their_status() {
    let bare = [(UNBIND, Body::UnbindResp), (ENQUIRE_LINK, Body::EnquireLinkResp), (0, Body::GenericNack)];
    let bare = bare.map(|(command, body)| (RESPONSE | command, body));
    for status in STATUSES {
        for (command, expected) in answers("", &[]).into_iter().chain(bare.clone()) {
            assert_eq!(body_of(command, status, b""), expected, "{command:#x} with {status:#x}");
        }
    }
}

#[test]
fn answers_are_read_with_a_body_whatever_their_status() {
    for status in STATUSES {
        for (command, expected) in answers("1a2b", &[]) {
            assert_eq!(body_of(command, status, b"1a2b\0"), expected, "{command:#x} with {status:#x}");
        }
    }
}

#[test]
fn an_id_may_lack_its_zero() {
    for (command, expected) in answers("1a2b", &[]) {
        assert_eq!(body_of(command, 0, b"1a2b"), expected, "{command:#x}");
    }
}

#[test]
fn bytes_that_are_too_many_are_ignored() {
    let junk = b"\0\x01\x02";
    for (command, expected) in answers("1a2b", &[]) {
        assert_eq!(body_of(command, 0, b"1a2b\0\0\x01\x02"), expected, "{command:#x}");
    }
    for (command, expected) in [
        (UNBIND, Body::Unbind),
        (RESPONSE | UNBIND, Body::UnbindResp),
        (ENQUIRE_LINK, Body::EnquireLink),
        (RESPONSE | ENQUIRE_LINK, Body::EnquireLinkResp),
        (RESPONSE, Body::GenericNack),
    ] {
        assert_eq!(body_of(command, 0, junk), expected, "{command:#x}");
    }
    let pdu = read(&bytes_of(DELIVER_SM, 0, &[&message(b"text")[..], junk].concat())).expect("readable");
    assert_eq!(pdu, read(&bytes_of(DELIVER_SM, 0, &message(b"text"))).expect("readable"));
}

/// The body of a `submit_sm` or `deliver_sm` with this text, up to where TLVs may follow.
fn message(text: &[u8]) -> BytesMut {
    let mut body = BytesMut::from(&b"\0\x01\x01491511\0\x05\0BANK\0\0\0\0\0\0\0\0\0\0"[..]);
    body.put_u8(u8::try_from(text.len()).expect("short"));
    body.put_slice(text);
    body
}

fn delivered(body: &[u8]) -> Sm {
    match read(&bytes_of(DELIVER_SM, 0, body)) {
        Ok(Pdu { body: Body::DeliverSm(sm), .. }) => *sm,
        other => panic!("{other:?} is no deliver_sm"),
    }
}

#[test]
fn a_tlv_that_is_cut_short_keeps_those_before_it() {
    let whole = b"\x00\x1E\x00\x05a1b2\0\x04\x27\x00\x01\x02\x14\x00\x00\x02xy";
    let ends = [9, 14, 20];
    for cut in 0..=whole.len() {
        let sm = delivered(&[&message(b""), &whole[..cut]].concat());
        assert_eq!(sm.tlvs.len(), ends.iter().filter(|end| **end <= cut).count(), "cut at {cut}");
        if cut >= 14 {
            let receipt = Receipt::of(&sm).expect("by its TLVs");
            assert_eq!((receipt.id.as_deref(), receipt.state.number()), (Some("a1b2"), 2));
        }
    }
}

#[test]
fn a_bind_keeps_the_tlvs_before_the_broken_one() {
    let tlvs = [Tlv::new(tag::SC_INTERFACE_VERSION, &b"\x34"[..])];
    for (command, expected) in answers("SMSC", &tlvs).into_iter().take(3) {
        assert_eq!(body_of(command, 0, b"SMSC\0\x02\x10\0\x01\x34\x14\x00\xFF\xFF"), expected);
    }
}

#[test]
fn a_text_that_is_longer_than_its_pdu_costs_this_pdu_alone() {
    for (command, answer) in
        [(SUBMIT_SM, Body::SubmitSmResp(Response::default())), (DELIVER_SM, Body::DeliverSmResp(Response::default()))]
    {
        let mut body = message(b"text");
        let length = body.len() - 5;
        body[length] = 5;
        let mut stream = bytes_of(command, 0, &body);
        stream.put_slice(&bytes_of(ENQUIRE_LINK, 0, b""));
        let error = Pdu::read(Frame::take(&mut stream).expect("SMPP").expect("whole")).expect_err("too long");
        assert_eq!(error.answer(), Some(Pdu::response(7, Status::SYSTEM_ERROR, answer)));
        assert!(error.to_string().ends_with("cannot be read: short_message"), "{error}");
        let next = Pdu::read(Frame::take(&mut stream).expect("SMPP").expect("whole"));
        assert_eq!(next.expect("the next one is well").body, Body::EnquireLink);
    }
}

#[test]
fn a_request_that_ends_early_is_answered_at_every_length() {
    let whole = message(b"text");
    for (command, status) in [(SUBMIT_SM, 0x8000_0004), (DELIVER_SM, 0x8000_0005)] {
        for length in 0..whole.len() {
            let answer = unreadable(command, &whole[..length]).answer().expect("a request is answered");
            let header = frame(&answer.to_bytes()).header;
            assert_eq!((header.command, header.status, header.sequence), (status, 8, 7), "cut at {length}");
        }
    }
    for length in 0..10 {
        let answer = unreadable(DATA_SM, &b"\0\x01\x01\0\x01\x01\0\0\0\0"[..length]).answer();
        assert_eq!(answer, Some(Pdu::response(7, Status::SYSTEM_ERROR, Body::DataSmResp(Response::default()))));
        let answer = unreadable(9, &b"user\0password\0\0\x34\0\0\0"[..length]).answer();
        assert_eq!(answer, Some(Pdu::response(7, Status::SYSTEM_ERROR, Body::GenericNack)));
    }
}

#[test]
fn an_unknown_command_is_answered_with_a_nack() {
    for command in [0, 0x03, 0x07, 0x08, 0x21, 0x111, 0x0001_0000, 0x7FFF_FFFF] {
        let answer = unreadable(command, b"whatever").answer();
        assert_eq!(answer, Some(Pdu::response(7, Status::INVALID_COMMAND, Body::GenericNack)), "{command:#x}");
    }
}

#[test]
fn what_has_no_answer_in_the_protocol_gets_none() {
    for outbind_or_alert in [0x0B, 0x102] {
        assert_eq!(unreadable(outbind_or_alert, b"\0\0").answer(), None);
    }
}

#[test]
fn an_unknown_answer_is_not_answered() {
    for command in [0x03, 0x21, 0x102, 0x111, 0x7FFF_FFFF] {
        assert_eq!(unreadable(RESPONSE | command, b"whatever").answer(), None, "{command:#x}");
    }
}

#[test]
fn what_comes_after_an_unbind_is_read_too() {
    let mut stream = bytes_of(UNBIND, 0, b"");
    stream.put_slice(&bytes_of(RESPONSE | SUBMIT_SM, 0, b"1a2b\0"));
    stream.put_slice(b"\0\0");
    let mut next = || Frame::take(&mut stream).expect("SMPP").map(|frame| Pdu::read(frame).expect("readable").body);
    assert_eq!(next(), Some(Body::Unbind));
    assert_eq!(next(), Some(Body::SubmitSmResp(Response { message_id: "1a2b".to_owned() })));
    assert_eq!(next(), None);
}

#[test]
fn texts_that_are_no_ascii_are_kept() {
    let all: Vec<u8> = (1..=255).collect();
    let body = body_of(RESPONSE | SUBMIT_SM, 0, &[&all[..], &[0]].concat());
    let Body::SubmitSmResp(resp) = &body else { panic!("a submit_sm_resp") };
    assert_eq!(resp.message_id.chars().count(), 255);
    let again = Pdu::response(7, Status::OK, body.clone()).to_bytes();
    assert_eq!(&again[16..], &[&all[..], &[0]].concat()[..], "byte for byte");

    let source = Address { ton: 5, npi: 0, address: "caf\u{e9}".to_owned() };
    let sm = Sm { source, ..Sm::default() };
    let bytes = Pdu::request(7, Body::DeliverSm(Box::new(sm.clone()))).to_bytes();
    assert_eq!(delivered(&bytes[16..]), sm);
}

#[test]
fn characters_that_no_byte_can_be_are_question_marks() {
    let sm = Sm { service_type: "a\u{20AC}\0b".to_owned(), ..Sm::default() };
    let bytes = Pdu::request(7, Body::DeliverSm(Box::new(sm))).to_bytes();
    assert_eq!(delivered(&bytes[16..]).service_type, "a?b");
}

#[test]
fn a_text_of_255_octets_is_read() {
    let sm = delivered(&message(&[b'a'; 255]));
    assert_eq!(sm.octets().len(), 255, "5.0 has them");
}

#[test]
fn a_receipt_by_its_tlvs_needs_no_text_and_no_class() {
    let tlvs = b"\x04\x27\x00\x01\x05\x00\x1E\x00\x04a1b2";
    let sm = delivered(&[&message(b""), &tlvs[..]].concat());
    assert_eq!(sm.esm_class & esm::KIND, 0);
    let receipt = Receipt::of(&sm).expect("a receipt");
    assert_eq!((receipt.id.as_deref(), receipt.state.word()), (Some("a1b2"), "UNDELIV"));
    assert_eq!(receipt.recipient, "491511");
}

//! `Debug` is what gets into logs: no password, text or number may show there.

use std::fmt::Debug;

use smpp::{
    Address, Bind, BindMode, BindResp, Body, Charset, DataSm, Long, Pdu, Receipt, Response, Sm, Status, Tlv, esm,
    split, tag,
};

use crate::{bytes_of, frame};

const PASSWORD: &str = "canary-password";
const TEXT: &str = "canary-text";
const NUMBER: &str = "4917612345678";

/// The canaries as text, and as bytes that are printed one by one, in decimal or hex.
fn shows(printed: &str) -> bool {
    [PASSWORD, TEXT, NUMBER].iter().any(|canary| {
        let bytes = &canary.as_bytes()[..4];
        let decimal: Vec<_> = bytes.iter().map(u8::to_string).collect();
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let flat: String = printed.split_whitespace().collect();
        printed.contains(canary) || flat.contains(&decimal.join(",")) || flat.to_lowercase().contains(&hex)
    })
}

fn hides(value: &impl Debug) {
    for printed in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!shows(&printed), "{printed}");
    }
}

fn address() -> Address {
    Address::source(&format!("+{NUMBER}"))
}

fn sm(short_message: &str, tlvs: Vec<Tlv>) -> Sm {
    Sm {
        service_type: TEXT.to_owned(),
        source: address(),
        destination: address(),
        esm_class: esm::RECEIPT,
        short_message: short_message.to_owned().into_bytes().into(),
        tlvs,
        ..Sm::default()
    }
}

fn data_sm(tlvs: Vec<Tlv>) -> DataSm {
    let (source, destination) = (address(), address());
    DataSm { service_type: TEXT.to_owned(), source, destination, tlvs, ..DataSm::default() }
}

fn bind() -> Bind {
    Bind {
        system_id: NUMBER.to_owned(),
        password: PASSWORD.to_owned(),
        system_type: TEXT.to_owned(),
        address_range: NUMBER.to_owned(),
        ..Bind::default()
    }
}

#[test]
fn the_canaries_would_be_found() {
    assert!(shows(PASSWORD) && shows(&format!("{TEXT:?}")) && shows(&format!("{:?}", NUMBER.as_bytes())));
    assert!(
        shows(&format!("{:#?}", NUMBER.as_bytes())) && shows(&format!("{:02x?}", TEXT.as_bytes()).replace(", ", ""))
    );
    assert!(shows(&format!("{:?}", bytes::Bytes::from_static(TEXT.as_bytes()))));
}

#[test]
fn no_pdu_shows_a_password_a_text_or_a_number() {
    let payload = || vec![Tlv::new(tag::MESSAGE_PAYLOAD, TEXT.as_bytes()), Tlv::new(0x1400, NUMBER.as_bytes())];
    let resp = BindResp { system_id: "SMSC".to_owned(), tlvs: payload() };
    for body in [
        Body::Bind(BindMode::Transceiver, bind()),
        Body::BindResp(BindMode::Receiver, resp),
        Body::SubmitSm(Box::new(sm(TEXT, payload()))),
        Body::DeliverSm(Box::new(sm("", payload()))),
        Body::DataSm(Box::new(data_sm(payload()))),
    ] {
        let pdu = Pdu::request(1, body);
        hides(&pdu);
        hides(&frame(&pdu.to_bytes()));
    }
    hides(&bind());
    hides(&address());
    hides(&payload());
    hides(&sm(TEXT, payload()));
    hides(&data_sm(payload()));
    hides(&Response::default());
}

#[test]
fn no_receipt_shows_a_text_or_a_number() {
    let text = format!("id:1a2b stat:UNDELIV err:{TEXT} to:{NUMBER} text:{TEXT}");
    let receipt = Receipt::of(&sm(&text, Vec::new())).expect("a receipt");
    assert!(shows(&receipt.recipient), "it has the number");
    hides(&receipt);
}

#[test]
fn no_part_shows_its_text() {
    let text = format!("{TEXT} {NUMBER} ").repeat(20);
    for (long, is_ucs2) in [(Long::Udh, false), (Long::Sar, true), (Long::Payload, false)] {
        hides(&split(&text, Charset::Latin1, is_ucs2, long, 1).expect("short"));
    }
    hides(&split(&text.repeat(100), Charset::Latin1, false, Long::Udh, 1));
}

#[test]
fn no_error_shows_what_could_not_be_read() {
    let body = [&[0, 1, 1][..], NUMBER.as_bytes(), &[0], TEXT.as_bytes(), PASSWORD.as_bytes()].concat();
    for command in [0x05, 0x103, 0x09, 0x111, 0x8000_0111] {
        let error = Pdu::read(frame(&bytes_of(command, 0, &body))).expect_err("it lacks something");
        hides(&error);
        assert!(!shows(&error.to_string()), "{error}");
        hides(&error.answer());
    }
    hides(&Status(0x0B));
}

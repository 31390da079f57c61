//! What real peers sent, recorded between them on the wire: each is read to what it says, and written as they wrote it.
//!
//! A line of `golden/*.txt` is one PDU: who sent it and what it is, and its bytes in hex.

use std::collections::BTreeMap;

use bytes::BytesMut;
use smpp::{
    Address, Bind, BindMode, Body, Charset, Long, MessageState, Part, Pdu, Receipt, Response, Sm, Status, Tlv, esm,
    receipt_text, relative, split, tag,
};

use crate::read;

const PEERS: [(&str, &str); 4] = [
    ("net-smpp", include_str!("golden/net-smpp.txt")),
    ("node-smpp", include_str!("golden/node-smpp.txt")),
    ("smpp34", include_str!("golden/smpp34.txt")),
    ("smpplib", include_str!("golden/smpplib.txt")),
];

/// Bytes by peer and name, as in `smpp34 server.deliver_sm`.
fn golden() -> BTreeMap<String, Vec<u8>> {
    let lines = |(peer, lines): (&'static str, &'static str)| {
        lines.lines().filter(|line| !line.starts_with('#')).map(move |line| (peer, line))
    };
    let pdus = PEERS.into_iter().flat_map(lines).map(|(peer, line)| {
        let (name, hex) = line.split_once(' ').expect("a name and its bytes");
        (format!("{peer} {name}"), bytes(hex))
    });
    pdus.collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "two digits a byte");
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    pairs.iter().map(byte).collect()
}

fn one(name: &str) -> Vec<u8> {
    golden().remove(name).unwrap_or_else(|| panic!("{name} was not recorded"))
}

/// All that matters of a PDU, in one line.
fn told(pdu: &Pdu) -> String {
    let Pdu { status, sequence, body } = pdu;
    let body = match body {
        Body::Bind(mode, bind) => {
            let Bind { system_id, password, system_type, interface_version, addr_ton, addr_npi, address_range } = bind;
            let of_all = format!("{addr_ton}/{addr_npi} [{system_type}{address_range}]");
            format!("bind {mode:?} {system_id}:{password} {interface_version:#x} {of_all}")
        }
        Body::BindResp(mode, resp) => format!("bind_resp {mode:?} [{}]{}", resp.system_id, tlvs_told(&resp.tlvs)),
        Body::SubmitSm(sm) => format!("submit_sm {}", sm_told(sm)),
        Body::SubmitSmResp(resp) => format!("submit_sm_resp [{}]", resp.message_id),
        Body::DeliverSm(sm) => format!("deliver_sm {} {}", sm_told(sm), receipt_told(Receipt::of(sm))),
        Body::DeliverSmResp(resp) => format!("deliver_sm_resp [{}]", resp.message_id),
        Body::DataSm(sm) => {
            format!("data_sm {}{} {}", sm.esm_class, tlvs_told(&sm.tlvs), receipt_told(Receipt::of_data(sm)))
        }
        other => format!("{other:?}"),
    };
    format!("{:#x} #{sequence} {body}", status.0)
}

fn tlvs_told(tlvs: &[Tlv]) -> String {
    let told = |tlv: &Tlv| format!(" {:#x}={:?}", tlv.tag, String::from_utf8_lossy(&tlv.value));
    tlvs.iter().map(told).collect::<Vec<_>>().concat()
}

fn sm_told(sm: &Sm) -> String {
    let address = |address: &Address| format!("{}/{} {}", address.ton, address.npi, address.address);
    let (from, to) = (address(&sm.source), address(&sm.destination));
    let Sm { esm_class, registered_delivery, data_coding, validity_period, .. } = sm;
    let how = format!("class {esm_class:#x} registered {registered_delivery} coding {data_coding} [{validity_period}]");
    format!("{from} > {to} {how} {} octets{}", sm.octets().len(), tlvs_told(&sm.tlvs))
}

fn receipt_told(receipt: Option<Receipt>) -> String {
    let Receipt { id, state, error, recipient } = receipt.expect("a receipt");
    format!("= {} {state:?} {} of {recipient}", id.unwrap_or_default(), error.unwrap_or_default())
}

#[test]
fn what_peers_sent_is_read_to_what_it_says() {
    let read: Vec<_> = golden()
        .into_iter()
        .map(|(name, bytes)| format!("{name} : {}", told(&read(&bytes).expect("readable"))))
        .collect();
    let expected: Vec<_> = include_str!("golden/told.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(read, expected);
}

#[test]
fn what_peers_sent_is_written_as_they_wrote_it() {
    // Net::SMPP gives refusals a body, which ours writes without.
    let others = ["net-smpp server.bind_transceiver_resp.refused", "net-smpp server.submit_sm_resp.refused"];
    let differing = golden().into_iter().filter(|(_, bytes)| read(bytes).expect("readable").to_bytes() != bytes[..]);
    assert_eq!(differing.map(|(name, _)| name).collect::<Vec<_>>(), others);
}

#[test]
fn a_bind_is_made_as_all_of_them_make_it() {
    let bind = Bind {
        system_id: "esme1".to_owned(),
        password: "secret".to_owned(),
        interface_version: 0x34,
        ..Bind::default()
    };
    for (peer, sequence) in [("net-smpp", 1), ("node-smpp", 1), ("smpp34", 1), ("smpplib", 2)] {
        let pdu = Pdu::request(sequence, Body::Bind(BindMode::Transceiver, bind.clone()));
        assert_eq!(pdu.to_bytes(), one(&format!("{peer} client.bind_transceiver")), "{peer}");
    }
}

/// A message to where all of them sent theirs; what is in each of its parts.
fn messages(text: &str) -> Vec<Sm> {
    let sm = Sm {
        source: Address::source("BANK"),
        destination: Address::destination("+4915110000000"),
        registered_delivery: 1,
        ..Sm::default()
    };
    let parts = split(text, Charset::Gsm0338, false, Long::Udh, 0xA0).expect("short");
    let message = |part: Part| {
        let mut sm = sm.clone();
        part.put_into(&mut sm);
        sm
    };
    parts.into_iter().map(message).collect()
}

fn submitted(sequence: u32, sm: Sm) -> BytesMut {
    Pdu::request(sequence, Body::SubmitSm(Box::new(sm))).to_bytes()
}

#[test]
fn a_message_is_made_as_they_make_it() {
    for (peer, sequence, text, validity, data_coding) in [
        ("net-smpp", 2, "hello from perl", relative(600), 0),
        ("node-smpp", 2, "hello from node", String::new(), 1),
        ("smpp34", 2, "hello from smpp34", String::new(), 0),
        ("smpplib", 3, "hello from smpplib", String::new(), 0),
    ] {
        let sm = messages(text).remove(0);
        let bytes = submitted(sequence, Sm { validity_period: validity, data_coding, ..sm });
        assert_eq!(bytes, one(&format!("{peer} client.submit_sm")), "{peer}");
    }
}

#[test]
fn parts_are_made_as_smpplib_makes_them() {
    let parts = messages(&"سلام ".repeat(20));
    assert_eq!(parts.len(), 2);
    for (sequence, number, sm) in [(3, 1, &parts[0]), (4, 2, &parts[1])] {
        let recorded = one(&format!("smpplib client.submit_sm.part_{number}"));
        assert_eq!(submitted(sequence, sm.clone()), recorded, "part {number}");
    }
}

#[test]
fn a_receipt_is_made_as_they_make_it() {
    for (peer, from, to, id, date) in
        [("node-smpp", (1, 1), (5, 0), "1a2b3c00", "2611280556"), ("smpp34", (0, 0), (1, 1), "00000001", "2611280556")]
    {
        let address = |(ton, npi), address: &str| Address { ton, npi, address: address.to_owned() };
        let text = receipt_text(id, MessageState::Delivered, "000", date);
        let tlvs = vec![
            Tlv::new(tag::RECEIPTED_MESSAGE_ID, format!("{id}\0").into_bytes()),
            Tlv::new(tag::MESSAGE_STATE, vec![MessageState::Delivered.number()]),
        ];
        let sm = Sm {
            source: address(from, "4915110000000"),
            destination: address(to, "BANK"),
            esm_class: esm::RECEIPT,
            short_message: text.into_bytes().into(),
            tlvs,
            ..Sm::default()
        };
        let pdu = Pdu::request(1, Body::DeliverSm(Box::new(sm)));
        assert_eq!(pdu.to_bytes(), one(&format!("{peer} server.deliver_sm")), "{peer}");
    }
}

#[test]
fn answers_are_made_as_they_make_them() {
    let none = || Response::default();
    let taken = Response { message_id: "1a2b3c00".to_owned() };
    let queue_full = Pdu::response(2, Status::QUEUE_FULL, Body::SubmitSmResp(none()));
    let refused = Pdu::response(2, Status::INVALID_DESTINATION, Body::SubmitSmResp(none()));
    let nack = Pdu::response(3, Status::INVALID_COMMAND, Body::GenericNack);
    for (name, pdu) in [
        ("node-smpp server.submit_sm_resp", Pdu::response(2, Status::OK, Body::SubmitSmResp(taken))),
        ("node-smpp server.submit_sm_resp.queue_full", queue_full.clone()),
        ("smpp34 server.submit_sm_resp.queue_full", queue_full),
        ("node-smpp server.submit_sm_resp.refused", refused.clone()),
        ("smpp34 server.submit_sm_resp.refused", refused),
        ("smpp34 server.generic_nack", nack),
        ("smpp34 client.deliver_sm_resp", Pdu::response(1, Status::OK, Body::DeliverSmResp(none()))),
        ("node-smpp client.enquire_link", Pdu::request(3, Body::EnquireLink)),
        ("smpp34 server.enquire_link_resp", Pdu::response(2, Status::OK, Body::EnquireLinkResp)),
        ("smpp34 server.unbind_resp", Pdu::response(4, Status::OK, Body::UnbindResp)),
    ] {
        assert_eq!(pdu.to_bytes(), one(name), "{name}");
    }
}

//! Bytes as a peer may send them: cut into PDUs, read, asked for receipts, written and read again.

#![no_main]

use bytes::{Buf as _, BytesMut};
use libfuzzer_sys::fuzz_target;
use smpp::{Address, BindResp, Body, DataSm, Frame, MAX_LENGTH, NotSmpp, Pdu, Receipt, Response, Sm, Status, Tlv, tag};

/// TLVs of one PDU that are kept.
const TLVS: usize = 64;
/// Octets of a text outside of a TLV that are written.
const SHORT: usize = 254;

fuzz_target!(|bytes: &[u8]| {
    let mut received = BytesMut::from(bytes);
    let whole = frames(&mut received);
    arrives_in_pieces(bytes, &whole);
    for frame in whole.0 {
        one(frame);
    }
});

/// All PDUs at the front of these bytes, and whether what follows is none.
fn frames(received: &mut BytesMut) -> (Vec<Frame>, Option<NotSmpp>) {
    let mut frames = Vec::new();
    loop {
        match Frame::take(received) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// The PDUs are the same in whatever pieces their bytes come.
fn arrives_in_pieces(mut bytes: &[u8], whole: &(Vec<Frame>, Option<NotSmpp>)) {
    let size = 1 + bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 600;
    let (mut received, mut all) = (BytesMut::new(), Vec::new());
    let mut error = None;
    while bytes.has_remaining() && error.is_none() {
        received.extend_from_slice(&bytes[..size.min(bytes.len())]);
        bytes.advance(size.min(bytes.len()));
        let (frames, broken) = frames(&mut received);
        all.extend(frames);
        error = broken;
    }
    assert_eq!((&all, &error), (&whole.0, &whole.1));
}

fn one(frame: Frame) {
    let length = frame.body.len();
    match Pdu::read(frame) {
        Ok(pdu) => {
            assert!(kept(&pdu.body) <= 2 * length, "{pdu:?} keeps {} of {length} bytes", kept(&pdu.body));
            tells(&pdu.body, length);
            is_written(&pdu);
        }
        Err(error) => {
            assert!(error.to_string().len() < 200);
            if let Some(answer) = error.answer() {
                is_written(&answer);
            }
        }
    }
}

/// A receipt is made of what was received; a character of it may take two bytes, or three where it is none.
fn tells(body: &Body, length: usize) {
    let receipt = match body {
        Body::SubmitSm(sm) | Body::DeliverSm(sm) => Receipt::of(sm),
        Body::DataSm(sm) => Receipt::of_data(sm),
        _ => None,
    };
    if let Some(Receipt { id, error, recipient, .. }) = receipt {
        let texts = [id.unwrap_or_default(), error.unwrap_or_default(), recipient];
        let kept = texts.iter().map(String::len).sum::<usize>();
        assert!(kept <= 3 * length, "a receipt keeps {kept} of {length} bytes");
    }
}

/// Reading what was written gives the same.
fn is_written(pdu: &Pdu) {
    let mut bytes = pdu.to_bytes();
    // One that is as long as can be grows by a TLV's head where its text becomes a payload.
    if bytes.len() > MAX_LENGTH {
        return;
    }
    let frame = Frame::take(&mut bytes).expect("what is written is SMPP").expect("and whole");
    assert!(bytes.is_empty(), "and nothing else");
    assert_eq!(Pdu::read(frame).expect("it can be read").body, on_the_wire(pdu).body);
}

/// The same as another reads it: refusals have no body, and the text of 5.0's longest message is a payload.
fn on_the_wire(pdu: &Pdu) -> Pdu {
    let mut pdu = pdu.clone();
    match &mut pdu.body {
        Body::BindResp(_, resp) if pdu.status != Status::OK => *resp = BindResp::default(),
        Body::SubmitSmResp(resp) if pdu.status != Status::OK => *resp = Response::default(),
        Body::SubmitSm(sm) | Body::DeliverSm(sm) if sm.short_message.len() > SHORT => {
            let text = std::mem::take(&mut sm.short_message);
            sm.tlvs.insert(0, Tlv::new(tag::MESSAGE_PAYLOAD, text));
            sm.tlvs.truncate(TLVS);
        }
        _ => {}
    }
    pdu
}

/// Bytes of what was received that a PDU keeps.
fn kept(body: &Body) -> usize {
    let of_tlvs = |tlvs: &[Tlv]| tlvs.iter().map(|tlv| tlv.value.len()).sum::<usize>();
    let of_both = |source: &Address, destination: &Address| source.address.len() + destination.address.len();
    match body {
        Body::Bind(_, bind) => {
            let texts = [&bind.system_id, &bind.password, &bind.system_type, &bind.address_range];
            texts.iter().map(|text| text.len()).sum()
        }
        Body::BindResp(_, resp) => resp.system_id.len() + of_tlvs(&resp.tlvs),
        Body::SubmitSm(sm) | Body::DeliverSm(sm) => {
            let Sm { service_type, source, destination, schedule_delivery_time, validity_period, .. } = &**sm;
            let texts = service_type.len() + schedule_delivery_time.len() + validity_period.len();
            texts + of_both(source, destination) + sm.short_message.len() + of_tlvs(&sm.tlvs)
        }
        Body::DataSm(sm) => {
            let DataSm { service_type, source, destination, tlvs, .. } = &**sm;
            service_type.len() + of_both(source, destination) + of_tlvs(tlvs)
        }
        Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) | Body::DataSmResp(resp) => resp.message_id.len(),
        _ => 0,
    }
}

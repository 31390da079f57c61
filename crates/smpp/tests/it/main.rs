//! The codec against another one, against what real peers sent, and against what it has to put up with.

mod debug;
mod differential;
mod generated;
mod golden;
mod leniency;
mod theirs;

use bytes::{BufMut as _, BytesMut};
use smpp::{Frame, Pdu, Unreadable};

/// The one PDU that these bytes are.
fn frame(bytes: &[u8]) -> Frame {
    let mut received = BytesMut::from(bytes);
    let frame = Frame::take(&mut received).expect("SMPP").expect("a whole PDU");
    assert!(received.is_empty(), "{} bytes are left", received.len());
    frame
}

fn read(bytes: &[u8]) -> Result<Pdu, Unreadable> {
    Pdu::read(frame(bytes))
}

/// The bytes of a PDU with this body, be it what it may.
fn bytes_of(command: u32, status: u32, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u32(u32::try_from(16 + body.len()).expect("short"));
    bytes.put_u32(command);
    bytes.put_u32(status);
    bytes.put_u32(7);
    bytes.put_slice(body);
    bytes
}

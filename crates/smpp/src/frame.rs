//! Cutting a stream of bytes into PDUs.

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of a PDU before its body.
pub const HEADER_LENGTH: usize = 16;
/// Longest PDU that is read, in bytes: a text in a TLV may have 64 KiB, and nothing here is longer.
pub const MAX_LENGTH: usize = 65_536;

/// What every PDU begins with, but for its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which PDU it is; answers have the highest bit set.
    pub command: u32,
    /// How a request went; 0 in requests.
    pub status: u32,
    /// What an answer has in common with its request.
    pub sequence: u32,
}

/// A PDU whose body is not read yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its beginning.
    pub header: Header,
    /// All that follows.
    pub body: Bytes,
}

impl std::fmt::Debug for Frame {
    /// Without the body.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { header, body } = self;
        f.debug_struct("Frame").field("header", header).field("body_length", &body.len()).finish()
    }
}

/// What came is no PDU, and nothing after it can be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no SMSC answers there: a PDU of {length} bytes was announced{}", likely(*length))]
pub struct NotSmpp {
    /// What stood where a length should be.
    pub length: u32,
}

/// What else begins with these four bytes.
fn likely(length: u32) -> &'static str {
    match length.to_be_bytes() {
        [b'H', b'T', b'T', b'P'] => ", which is how an HTTP server answers",
        [b'S', b'S', b'H', b'-'] => ", which is how an SSH server answers",
        [0x14..=0x17, 0x03, ..] => ", which is how a TLS server answers (try smpps://)",
        _ => "",
    }
}

impl Frame {
    /// Takes the next PDU off the front of what was received; `None` until it is there as a whole. Never takes more
    /// than that.
    ///
    /// # Errors
    /// The announced length is shorter than a header or longer than [`MAX_LENGTH`].
    pub fn take(received: &mut BytesMut) -> Result<Option<Self>, NotSmpp> {
        let Some(announced) = received.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*announced);
        let whole = usize::try_from(length).ok().filter(|whole| (HEADER_LENGTH..=MAX_LENGTH).contains(whole));
        let whole = whole.ok_or(NotSmpp { length })?;
        if received.len() < whole {
            return Ok(None);
        }
        let mut pdu = received.split_to(whole).freeze();
        pdu.advance(4);
        let header = Header { command: pdu.get_u32(), status: pdu.get_u32(), sequence: pdu.get_u32() };
        Ok(Some(Self { header, body: pdu }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENQUIRE_LINK: [u8; 16] = [0, 0, 0, 16, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 7];

    #[test]
    fn pdus_are_taken_whole_and_one_by_one() {
        let mut received = BytesMut::new();
        for byte in ENQUIRE_LINK {
            assert_eq!(Frame::take(&mut received), Ok(None));
            received.extend_from_slice(&[byte]);
        }
        received.extend_from_slice(&ENQUIRE_LINK[..5]);
        let frame = Frame::take(&mut received).expect("SMPP").expect("whole");
        assert_eq!(frame.header, Header { command: 0x15, status: 0, sequence: 7 });
        assert!(frame.body.is_empty() && received.len() == 5, "{frame:?}");
    }

    #[test]
    fn what_is_no_smpp_is_said() {
        for (bytes, says) in [
            (b"HTTP/1.1 400 Bad Request", "1213486160 bytes was announced, which is how an HTTP server"),
            (b"\x15\x03\x03\x00\x02\x02\x46...............  ", "a TLS server answers (try smpps://)"),
            (b"SSH-2.0-OpenSSH_9.2p1   ", "an SSH server"),
            (b"\0\0\0\x0f....................", "15 bytes was announced"),
            (b"\0\x01\0\x01....................", "65537 bytes"),
        ] {
            let error = Frame::take(&mut BytesMut::from(&bytes[..])).expect_err("no SMPP").to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(Frame::take(&mut BytesMut::from(&b"\0\x01\0\0"[..])), Ok(None));
    }
}

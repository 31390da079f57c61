//! The few frames of AMQP 0-9-1 with which a connection begins and ends.

use std::io;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a client says first.
pub(super) const PROTOCOL: &[u8] = b"AMQP\x00\x00\x09\x01";

const METHOD_FRAME: u8 = 1;
const HEARTBEAT_FRAME: u8 = 8;
const FRAME_END: u8 = 0xce;
const CONNECTION_CLASS: u16 = 10;

/// More than the first frames of any broker have, in bytes.
const LONGEST_PAYLOAD: u32 = 128 * 1024;

/// A method of the class `connection`, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Method {
    Start,
    /// In seconds; 0 is none.
    Tune {
        channels: u16,
        frame: u32,
        heartbeat: u16,
    },
    OpenOk,
    Close {
        code: u16,
        text: String,
    },
    Other(u16),
}

/// What came was no frame of AMQP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unexpected {
    #[error("the connection ended: {0}")]
    Ended(#[from] io::Error),
    #[error("it speaks TLS: use amqps://, or the port without TLS")]
    Tls,
    #[error("it speaks HTTP: this is not RabbitMQ's port for AMQP (5672, with TLS 5671)")]
    Http,
    #[error("it speaks another version of AMQP than 0-9-1")]
    Version,
    #[error("it does not speak AMQP: this is not RabbitMQ's port for it (5672, with TLS 5671)")]
    Other,
}

/// Reads frames up to the next method.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Method, Unexpected> {
    loop {
        let mut header = [0; 7];
        read_header(stream, &mut header).await?;
        let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
        if !matches!(header[0], METHOD_FRAME | HEARTBEAT_FRAME) || size > LONGEST_PAYLOAD {
            return Err(language(&header));
        }
        let mut payload = vec![0; size as usize + 1];
        stream.read_exact(&mut payload).await?;
        if payload.pop() != Some(FRAME_END) {
            return Err(Unexpected::Other);
        }
        if header[0] == METHOD_FRAME {
            return method(&payload).ok_or(Unexpected::Other);
        }
    }
}

/// What is too short for a frame may still say which language it is.
async fn read_header<S: AsyncRead + Unpin>(stream: &mut S, header: &mut [u8; 7]) -> Result<(), Unexpected> {
    let mut filled = 0;
    while filled < header.len() {
        let count = match stream.read(&mut header[filled..]).await {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other,
        };
        match count {
            Ok(count) => filled += count,
            Err(error) if filled == 0 => return Err(error.into()),
            Err(_) => return Err(language(&header[..filled])),
        }
    }
    Ok(())
}

fn language(start: &[u8]) -> Unexpected {
    match start {
        // An alert, or a part of a handshake.
        [0x15 | 0x16, 0x03, ..] => Unexpected::Tls,
        [b'H', b'T', b'T', b'P', ..] => Unexpected::Http,
        [b'A', b'M', b'Q', b'P', ..] => Unexpected::Version,
        _ => Unexpected::Other,
    }
}

fn method(payload: &[u8]) -> Option<Method> {
    let (class, rest) = short(payload)?;
    let (id, rest) = short(rest)?;
    if class != CONNECTION_CLASS {
        return Some(Method::Other(id));
    }
    Some(match id {
        10 => Method::Start,
        30 => {
            let (channels, rest) = short(rest)?;
            let (frame, rest) = rest.split_first_chunk().map(|(bytes, rest)| (u32::from_be_bytes(*bytes), rest))?;
            Method::Tune { channels, frame, heartbeat: short(rest)?.0 }
        }
        41 => Method::OpenOk,
        50 => {
            let (code, rest) = short(rest)?;
            let (length, rest) = rest.split_first()?;
            let text = String::from_utf8_lossy(rest.get(..usize::from(*length))?).into_owned();
            Method::Close { code, text }
        }
        other => Method::Other(other),
    })
}

fn short(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk().map(|(bytes, rest)| (u16::from_be_bytes(*bytes), rest))
}

/// Logs in with `PLAIN`, and says that a refusal may be told.
pub(super) fn start_ok(name: &str, user: &str, password: &SecretString) -> Vec<u8> {
    let capabilities = [short_text("authentication_failure_close"), vec![b't', 1]].concat();
    let properties = [
        property("connection_name", b'S', name.as_bytes()),
        property("product", b'S', b"messaging"),
        property("capabilities", b'F', &capabilities),
    ];
    let login = format!("\0{user}\0{}", password.expose_secret());
    let login = long_text(login.as_bytes());
    frame(11, &[long_text(&properties.concat()), short_text("PLAIN"), login, short_text("en_US")].concat())
}

/// Agrees, but to no heartbeat: this connection does not live that long.
pub(super) fn tune_ok(channels: u16, frame_size: u32) -> Vec<u8> {
    let heartbeat = 0_u16;
    frame(31, &[&channels.to_be_bytes()[..], &frame_size.to_be_bytes(), &heartbeat.to_be_bytes()].concat())
}

pub(super) fn open(vhost: &str) -> Vec<u8> {
    // Two fields that are reserved.
    frame(40, &[short_text(vhost), short_text(""), vec![0]].concat())
}

pub(super) fn close() -> Vec<u8> {
    let (code, because_of) = (200_u16, [0; 4]);
    frame(50, &[&code.to_be_bytes()[..], &short_text("thank you"), &because_of].concat())
}

fn frame(method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&CONNECTION_CLASS.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    let channel = [0, 0];
    [&[METHOD_FRAME][..], &channel, &length(&payload), &payload, &[FRAME_END]].concat()
}

fn property(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    [short_text(name), vec![kind], long_text(value)].concat()
}

/// At most 255 bytes: the URI's parser refuses longer names of virtual hosts.
fn short_text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("at most 255 bytes");
    [&[length], text.as_bytes()].concat()
}

fn long_text(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes), bytes].concat()
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("a uri is shorter than 4 GiB").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(bytes: &[u8]) -> Result<Method, Unexpected> {
        read(&mut &*bytes).await
    }

    #[tokio::test]
    async fn methods_are_read_past_heartbeats() {
        let heartbeat = [HEARTBEAT_FRAME, 0, 0, 0, 0, 0, 0, FRAME_END];
        let tune = frame(30, &[7, 255, 0, 2, 0, 0, 0, 60]);
        let read = said(&[&heartbeat[..], &tune].concat()).await.expect("a method");
        assert_eq!(read, Method::Tune { channels: 2047, frame: 131_072, heartbeat: 60 });
        let close = frame(50, &[&403_u16.to_be_bytes()[..], &short_text("ACCESS_REFUSED"), &[0; 4]].concat());
        let read = said(&close).await.expect("a method");
        assert_eq!(read, Method::Close { code: 403, text: "ACCESS_REFUSED".to_owned() });
        assert_eq!(said(&frame(41, &[0])).await.expect("a method"), Method::OpenOk);
        assert_eq!(said(&frame(10, &[0, 9])).await.expect("a method"), Method::Start);
    }

    #[tokio::test]
    async fn other_languages_are_named() {
        for (bytes, says) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "HTTP"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
            (b"AMQP\x00\x01\x00\x00", "another version"),
            (b"-ERR unknown command\r\n", "does not speak AMQP"),
            (b"220", "does not speak AMQP"),
            (b"\x01\x00\x00\xff\xff\xff\xff", "does not speak AMQP"),
            (b"\x01\x00\x00\x00\x00\x00\x01\x00\x00", "does not speak AMQP"),
            (b"\x01\x00\x00\x00\x00\x00\x09\x00", "the connection ended"),
            (b"", "the connection ended"),
        ] {
            let problem = said(bytes).await.expect_err("no method").to_string();
            assert!(problem.contains(says), "{bytes:?}: {problem}");
        }
    }
}

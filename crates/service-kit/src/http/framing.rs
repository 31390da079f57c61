//! Where the parts of what a client sends end: the head of a request, its body, the next head.
//!
//! The server underneath remembers once for a connection, from the head that it read last, what an answer depends on:
//! that one to HEAD has no body, the version, whether the connection goes on. So it must get no head before the last
//! request is answered.

use actix_http::{
    HttpMessage as _, Request,
    header::{CONTENT_LENGTH, UPGRADE},
};

/// Read at once where it is not known how much follows: so much may have to be kept for later.
const UNKNOWN_PIECE: usize = 1024;
/// Read at once of a body.
const BODY_PIECE: usize = 8 * 1024;

/// The part that comes now, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Head(Head),
    /// A body of which so many bytes are left.
    Counted(u64),
    Chunked(Chunked),
    /// What lasts as long as the connection.
    Endless,
}

/// The next bytes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) length: usize,
    /// The part ends with them.
    pub(super) ends: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Self::Head(Head::Before)
    }
}

impl Framing {
    /// Of the body of `request`, which has one: as the server underneath sees it.
    pub(super) fn of_body(request: &Request) -> Self {
        let headers = request.headers();
        if request.chunked().unwrap_or(false) {
            return Self::Chunked(Chunked::Size(0));
        }
        let is_upgrade = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"websocket");
        if headers.get_all(UPGRADE).any(|value| is_upgrade(value.as_bytes())) {
            return Self::Endless;
        }
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        length.filter(|length| *length > 0).map_or(Self::Endless, Self::Counted)
    }

    pub(super) fn is_head(self) -> bool {
        matches!(self, Self::Head(_))
    }

    /// How much to read at once.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Counted(left) | Self::Chunked(Chunked::Data(left)) => {
                usize::try_from(left).map_or(BODY_PIECE, |left| left.min(BODY_PIECE))
            }
            Self::Head(_) | Self::Chunked(_) => UNKNOWN_PIECE,
            Self::Endless => BODY_PIECE,
        }
    }

    /// How much of `bytes` belongs to this part. After its end a head is expected.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Piece {
        let mut length = 0;
        while length < bytes.len() {
            let rest = &bytes[length..];
            let (step, ends) = match self {
                Self::Head(head) => (1, head.step(rest[0])),
                Self::Chunked(chunked) => chunked.step(rest),
                Self::Counted(left) => {
                    let step = passed(left, rest.len());
                    (step, *left == 0)
                }
                Self::Endless => (rest.len(), false),
            };
            length += step;
            if ends {
                *self = Self::default();
                return Piece { length, ends };
            }
        }
        Piece { length, ends: false }
    }
}

/// Takes up to `available` off `left`; says how many.
fn passed(left: &mut u64, available: usize) -> usize {
    let step = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= step as u64;
    step
}

/// A head ends with an empty line. Those before it belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Before,
    WithinLine,
    LineBegins,
    /// The line has a CR so far.
    Cr,
}

impl Head {
    /// Whether the head ends with `byte`.
    fn step(&mut self, byte: u8) -> bool {
        let ends = byte == b'\n' && matches!(self, Self::LineBegins | Self::Cr);
        *self = match (*self, byte) {
            (Self::Before, b'\r' | b'\n') => Self::Before,
            (_, b'\n') => Self::LineBegins,
            (Self::LineBegins, b'\r') => Self::Cr,
            _ => Self::WithinLine,
        };
        ends
    }
}

/// Only what the server underneath accepts has to be told apart: with anything else the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    /// The digits of a chunk's size.
    Size(u64),
    /// What else is in their line.
    Extension(u64),
    /// A chunk and the end of line behind it.
    Data(u64),
    /// A line begins, empty or a trailer.
    LineBegins,
    Trailer,
    TrailerCr,
    /// The last line, which is empty, has its CR.
    LastCr,
}

impl Chunked {
    /// How many of `bytes` are passed, and whether the body ends with them.
    fn step(&mut self, bytes: &[u8]) -> (usize, bool) {
        let byte = bytes[0];
        *self = match *self {
            Self::Data(mut left) => {
                let step = passed(&mut left, bytes.len());
                *self = if left == 0 { Self::Size(0) } else { Self::Data(left) };
                return (step, false);
            }
            Self::LastCr => return (1, true),
            Self::Size(0) | Self::Extension(0) if byte == b'\n' => Self::LineBegins,
            Self::Size(size) | Self::Extension(size) if byte == b'\n' => Self::Data(size.saturating_add(2)),
            Self::Size(size) => match char::from(byte).to_digit(16) {
                Some(digit) => Self::Size(size.saturating_mul(16).saturating_add(digit.into())),
                None => Self::Extension(size),
            },
            Self::Extension(size) => Self::Extension(size),
            Self::LineBegins if byte == b'\r' => Self::LastCr,
            Self::Trailer if byte == b'\r' => Self::TrailerCr,
            Self::LineBegins | Self::Trailer => Self::Trailer,
            Self::TrailerCr => Self::LineBegins,
        };
        (1, false)
    }
}

#[cfg(test)]
mod tests {
    use actix_http::h1::{Codec, Message};
    use bytes::BytesMut;
    use tokio::task::LocalSet;
    use tokio_util::codec::Decoder as _;

    use super::*;

    const NEXT: &str = "HEAD /next HTTP/1.1\r\nHost: x\r\n\r\n";

    const HEADS: [&str; 5] = [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "\r\n\n\r\nGET / HTTP/1.1\r\nHost: x\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: \rb\r\n\n",
        "GET / HTTP/1.1\r\n\r\n",
    ];

    const BODIES: [(&str, &str); 7] = [
        ("Content-Length: 5", "hello"),
        ("Content-Length: 4", "\r\n\r\n"),
        ("Transfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked",
            "1A;a=b\r\n\r\n\r\nGET / HTTP/1.1\r\nA: 5\r\n\r\n0 \t\r\nA: b\nc\r\nD: \r\n\r\n",
        ),
        ("Transfer-Encoding: chunked", "2\r\n\r\n\r\n00\r\n\r\n"),
        ("Transfer-Encoding: chunked", "10\r\n0123456789abcdef\r\n3 ;x\r\n0\r\n\r\n0;\r\n\r\n"),
    ];

    /// The lengths of the parts of `bytes`, which arrive in two pieces.
    fn parts(mut framing: Framing, bytes: &[u8], split: usize) -> Vec<usize> {
        let (mut parts, mut length) = (Vec::new(), 0);
        for mut piece in [&bytes[..split], &bytes[split..]] {
            while !piece.is_empty() {
                let taken = framing.take(piece);
                piece = &piece[taken.length..];
                length += taken.length;
                if taken.ends {
                    parts.push(std::mem::take(&mut length));
                }
            }
        }
        assert_eq!(length, 0, "all is in a part");
        parts
    }

    #[test]
    fn a_head_ends_with_its_empty_line_wherever_it_is_split() {
        for head in HEADS {
            let bytes = format!("{head}{NEXT}");
            for split in 0..=bytes.len() {
                assert_eq!(parts(Framing::default(), bytes.as_bytes(), split), [head.len(), NEXT.len()], "{head:?}");
            }
        }
    }

    /// The first request of `bytes` as the server underneath reads it, and what reads its body.
    fn decode_head(bytes: &mut BytesMut) -> Option<(Request, Codec)> {
        // It would keep a clock going.
        let tasks = LocalSet::new();
        let _never_run = tasks.enter();
        let mut codec = Codec::default();
        match codec.decode(bytes) {
            Ok(Some(Message::Item(request))) => Some((request, codec)),
            _ => None,
        }
    }

    /// The first request of `bytes`, and how much is left behind it; `None` if it is refused.
    fn decode(bytes: &[u8]) -> Option<(Request, usize)> {
        let mut left = BytesMut::from(bytes);
        let (request, mut codec) = decode_head(&mut left)?;
        loop {
            match codec.decode(&mut left) {
                Ok(Some(Message::Chunk(Some(_)))) => {}
                Ok(Some(Message::Chunk(None))) => return Some((request, left.len())),
                _ => return None,
            }
        }
    }

    #[test]
    fn a_body_ends_where_it_ends_for_the_server_underneath_wherever_it_is_split() {
        for (header, body) in BODIES {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n");
            let (request, left) = decode(format!("{head}{body}{NEXT}").as_bytes()).expect("it is accepted");
            assert_eq!(left, NEXT.len(), "{body:?}");
            let bytes = format!("{body}{NEXT}");
            for split in 0..=bytes.len() {
                let parts = parts(Framing::of_body(&request), bytes.as_bytes(), split);
                assert_eq!(parts, [body.len(), NEXT.len()], "{body:?}");
            }
        }
    }

    /// Each byte of each body is taken away, doubled or made another one.
    #[test]
    fn a_damaged_body_that_is_accepted_ends_at_the_same_byte() {
        let mut accepted = 0;
        for (header, body) in BODIES {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n");
            let body = format!("{body}{NEXT}").into_bytes();
            for at in 0..body.len() {
                let others = b"\r\n 0;x\t5".map(|other| vec![other]);
                for replacement in others.into_iter().chain([vec![], vec![body[at]; 2]]) {
                    let damaged = [&body[..at], &replacement, &body[at + 1..]].concat();
                    let Some((request, left)) = decode(&[head.as_bytes(), &damaged].concat()) else { continue };
                    let piece = Framing::of_body(&request).take(&damaged);
                    assert_eq!(piece, Piece { length: damaged.len() - left, ends: true }, "{damaged:?}");
                    accepted += 1;
                }
            }
        }
        assert!(accepted > 500, "{accepted}");
    }

    #[test]
    fn what_is_no_longer_http_has_no_end() {
        let head = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nContent-Length: 5\r\n\r\n";
        let (request, _) = decode_head(&mut BytesMut::from(head)).expect("it is accepted");
        let mut framing = Framing::of_body(&request);
        assert_eq!(framing.take(b"hello\r\n\r\n"), Piece { length: 9, ends: false });
    }
}

//! Bytes that are to be written, and which of them are answers to submits.

use std::collections::VecDeque;

use bytes::BytesMut;
use smpp::Pdu;

/// With so many bytes unwritten nothing more is read: a client that does not read its answers waits.
const FULL: usize = 1 << 20;

/// What goes out on one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) bytes: BytesMut,
    /// Whether written bytes may still be kept back, as TLS does.
    pub(crate) is_kept_back: bool,
    put: u64,
    wrote: u64,
    /// Where answers to submits end, counted from the first byte of the connection.
    answers: VecDeque<u64>,
}

impl Outbox {
    pub(crate) fn put(&mut self, pdu: &Pdu) {
        let before = self.bytes.len();
        pdu.write(&mut self.bytes);
        self.put += count(self.bytes.len() - before);
    }

    /// The same with the answer to a submit.
    pub(crate) fn put_answer(&mut self, pdu: &Pdu) {
        self.put(pdu);
        self.answers.push_back(self.put);
    }

    /// So many bytes were written; tells how many answers are with them.
    pub(crate) fn wrote(&mut self, bytes: usize) -> usize {
        self.wrote += count(bytes);
        let written = self.answers.partition_point(|end| *end <= self.wrote);
        self.answers.drain(..written).count()
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.bytes.is_empty() && !self.is_kept_back
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a usize has at most 64 bits")
}

#[cfg(test)]
mod tests {
    use smpp::Body;

    use super::*;

    #[test]
    fn an_answer_counts_once_its_last_byte_is_written() {
        let mut out = Outbox::default();
        let pdu = Pdu::request(1, Body::EnquireLink);
        out.put(&pdu);
        out.put_answer(&pdu);
        out.put_answer(&pdu);
        assert_eq!([31, 1, 0, 15, 1].map(|bytes| out.wrote(bytes)), [0, 1, 0, 0, 1]);
    }
}

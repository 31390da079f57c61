//! What was asked and what was decided, in order.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// What the operator did with a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It has the submission, whether or not the client learned so.
    Accepted,
    /// It will never take it (mode `reject`).
    Rejected,
    /// It answered another status (mode `status`).
    Failed,
    /// It neither took it nor answered.
    Stalled,
    /// It did not take it and closed the connection.
    Reset,
}

/// One submission as an operator saw it. The text is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts all entries of a simulator, from 1, without gaps.
    pub seq: u64,
    /// The operator's name.
    pub operator: String,
    /// The `Idempotency-Key` header.
    pub key: String,
    /// The body's `message_id`.
    pub message_id: String,
    /// The body's `recipient`.
    pub recipient: String,
    /// The body's `type`.
    pub r#type: String,
    /// The body's `from`, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The body's `encoding`, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The body's `segments`, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// What was done.
    pub decision: Decision,
    /// Whether the key had been accepted before and was recognised: nothing is delivered again.
    pub duplicate: bool,
    /// The `traceparent` header, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What has a number in a journal.
pub(crate) trait Numbered {
    fn seq(&self) -> u64;
}

impl Numbered for Entry {
    fn seq(&self) -> u64 {
        self.seq
    }
}

/// The newest entries in memory, all of them in a file if there is one.
#[derive(Debug)]
pub(crate) struct Journal<E> {
    entries: VecDeque<E>,
    capacity: usize,
    last_seq: u64,
    dropped: u64,
    file: Option<File>,
}

impl<E: Numbered + Serialize> Journal<E> {
    /// A journal of at most `capacity` entries in memory; entries are appended to `file` too.
    pub(crate) fn open(capacity: usize, file: Option<&Path>) -> io::Result<Self> {
        let file = file.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
        Ok(Self { entries: VecDeque::new(), capacity: capacity.max(1), last_seq: 0, dropped: 0, file })
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.last_seq + 1
    }

    /// Adds an entry, which must have the next sequence number.
    pub(crate) fn append(&mut self, entry: E) -> io::Result<()> {
        debug_assert_eq!(entry.seq(), self.next_seq());
        self.last_seq = entry.seq();
        let line = self.file.as_ref().map(|_| serde_json::to_vec(&entry)).transpose()?;
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(entry);
        if let (Some(file), Some(mut line)) = (&mut self.file, line) {
            line.push(b'\n');
            // One write per entry: a kill loses none and tears none.
            file.write_all(&line)?;
        }
        Ok(())
    }

    /// The entries after `seq`, oldest first.
    pub(crate) fn after(&self, seq: u64) -> impl Iterator<Item = &E> {
        let first = self.entries.partition_point(|entry| entry.seq() <= seq);
        self.entries.iter().skip(first)
    }

    /// How many entries were dropped because memory was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets the entries in memory; sequence numbers go on.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.dropped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(journal: &mut Journal<Entry>, operator: &str) {
        let seq = journal.next_seq();
        let entry = Entry {
            seq,
            operator: operator.into(),
            key: "k".into(),
            message_id: "m".into(),
            recipient: "123".into(),
            r#type: "normal".into(),
            from: None,
            encoding: None,
            segments: None,
            decision: Decision::Accepted,
            duplicate: false,
            traceparent: None,
            at_ms: 0,
        };
        journal.append(entry).expect("no file to fail");
    }

    #[test]
    fn memory_is_bounded_and_the_loss_is_counted() {
        let mut journal = Journal::open(3, None).expect("no file");
        for operator in ["a", "b", "a", "b", "a"] {
            append(&mut journal, operator);
        }
        let seqs = |journal: &Journal<Entry>, after| journal.after(after).map(|entry| entry.seq).collect::<Vec<_>>();
        assert_eq!(seqs(&journal, 0), [3, 4, 5]);
        assert_eq!(seqs(&journal, 4), [5]);
        assert_eq!(journal.dropped(), 2);
        journal.clear();
        append(&mut journal, "a");
        assert_eq!(seqs(&journal, 0), [6]);
    }
}

//! What an SMSC writes about what it got: a JSON object a line.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use self::part::Part;

mod part;

/// A line, in the words of either SMSC.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    what: String,
    /// In milliseconds since 1970, where it says so.
    at: i64,
    id: String,
    to: String,
    #[serde(alias = "source")]
    from: String,
    #[serde(alias = "dcs")]
    data_coding: u8,
    #[serde(alias = "esm")]
    esm_class: u8,
    stat: String,
    /// Of an answer to a receipt.
    status: u32,
    /// Of npm's `smpp`, which decodes.
    text: Option<String>,
    payload: Option<String>,
    udh: Option<Vec<String>>,
    sar: Option<[u16; 3]>,
    /// When it says that the message is no longer worth delivering.
    validity: Option<String>,
    /// Of Python's `smpp34`, which does not: header and text.
    hex: Option<String>,
}

/// What an SMSC has written.
#[derive(Debug, Clone)]
pub(super) struct Journal(Vec<Entry>);

impl Journal {
    /// Reads lines; what is none, or none yet, is left out.
    pub(super) fn read(output: &str) -> Self {
        Self(output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// How often something is told.
    pub(super) fn count(&self, what: &str) -> usize {
        self.0.iter().filter(|entry| entry.what == what).count()
    }

    /// How often a session ended in order.
    pub(super) fn unbinds(&self) -> usize {
        self.count("unbind") + self.count("Unbound")
    }

    /// How often a session began.
    pub(super) fn binds(&self) -> usize {
        self.count("bind") + self.count("bound")
    }

    /// How many parts came for a recipient.
    pub(super) fn submits(&self, recipient: &str) -> usize {
        self.submitted(recipient).count()
    }

    /// How many receipts of this state were taken that tell of what a recipient got first.
    pub(super) fn receipts_taken(&self, recipient: &str, state: &str) -> usize {
        let Some(first) = self.submitted(recipient).next() else { return 0 };
        let answers = self.0.iter().filter(|entry| entry.what == "deliver_sm_resp" && entry.status == 0);
        answers.filter(|entry| entry.id == first.id && entry.stat == state).count()
    }

    /// From whom the last message for a recipient was.
    pub(super) fn sender(&self, recipient: &str) -> String {
        self.submitted(recipient).last().map(|entry| entry.from.clone()).unwrap_or_default()
    }

    /// For how many seconds each part for a recipient was worth delivering, as the SMSC understood it.
    pub(super) fn validities(&self, recipient: &str) -> Vec<i64> {
        let seconds = |entry: &Entry| {
            let until: DateTime<Utc> = entry.validity.as_ref()?.parse().ok()?;
            // The SMSC counts from when it reads, and writes a few milliseconds after.
            Some((until.timestamp_millis() - entry.at + 500) / 1_000)
        };
        self.submitted(recipient).filter_map(seconds).collect()
    }

    /// How the parts for a recipient were written, in their order; and whether they come to the text.
    pub(super) fn parts(&self, recipient: &str, text: &str) -> String {
        part::describe(self.submitted(recipient).map(Part::of).collect(), text)
    }

    fn submitted(&self, recipient: &str) -> impl Iterator<Item = &Entry> {
        // A plus sign goes into the type of number.
        let to = recipient.trim_start_matches('+').to_owned();
        self.0.iter().filter(move |entry| entry.what == "submit_sm" && entry.to == to)
    }
}

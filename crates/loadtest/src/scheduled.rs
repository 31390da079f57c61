//! Messages that wait for their time, as a gateway leaves them.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Encoding, SegmentCount};
use persistence::AcceptRequest;

use crate::{Destinations, Traffic, store, waiting::Filler};

/// Transactions at the same time, each over a connection of its own.
const AT_ONCE: u32 = 4;
/// After so many it is told how far it is.
const STEP: u64 = 50_000;

/// When scheduled messages fall due.
#[derive(Debug, Clone, Copy)]
pub struct DueTimes {
    /// How many there are.
    pub count: u64,
    /// The first one's time.
    pub first: DateTime<Utc>,
    /// From the first one to the last; zero is all at once.
    pub over: Duration,
}

impl DueTimes {
    fn of(&self, index: u64) -> anyhow::Result<DateTime<Utc>> {
        let share = self.over.mul_f64(index as f64 / self.count.max(1) as f64);
        Ok(self.first + TimeDelta::from_std(share).context("a time too far ahead")?)
    }

    /// The same message, to be sent at its time, as of a request that says so.
    fn schedule(&self, index: u64, mut request: AcceptRequest) -> anyhow::Result<AcceptRequest> {
        request.payload.message.encoding = Some(Encoding::Gsm7);
        Ok(AcceptRequest { send_at: Some(self.of(index)?), segments: Some(SegmentCount::ONE), ..request })
    }
}

/// Stores accepted messages of `traffic` that fall due at these times. Their users must have the balance. `progress` is told how many are
/// stored.
///
/// # Errors
/// When the database refuses, or a user cannot pay.
pub async fn insert_scheduled(
    database_url: &str,
    traffic: &Traffic,
    due: DueTimes,
    progress: impl Fn(u64),
) -> anyhow::Result<()> {
    let database = store::open(database_url, AT_ONCE).await?;
    let mut filler = Filler::new(database.clone(), *traffic, Destinations::default())
        .changing(move |index, request| due.schedule(index, request));
    let mut told = 0;
    let tell = |stored: u64| {
        if stored / STEP > told / STEP || stored == due.count {
            progress(stored);
        }
        told = stored;
    };
    filler.add(due.count, tell).await?;
    database.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fall_due_one_after_the_other_or_all_at_once() {
        let first = DateTime::from_timestamp_secs(1_800_000_000).expect("a time");
        let due = DueTimes { count: 10, first, over: Duration::from_secs(100) };
        let seconds = |index| (due.of(index).expect("a time") - first).num_seconds();
        assert_eq!([seconds(0), seconds(1), seconds(9)], [0, 10, 90]);
        let at_once = DueTimes { over: Duration::ZERO, ..due };
        assert_eq!(at_once.of(9).expect("a time"), first);
    }
}

//! Events of a kind that only a newer release knows, as in a rolling upgrade or after a rollback. They are neither ours to
//! publish nor to give up: they wait beside the line until a relay that knows them takes them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long such an event waits before it is looked at again.
pub(crate) const PUT_OFF: Duration = Duration::from_mins(1);

/// How often they are spoken of.
const SAY_EVERY: Duration = Duration::from_mins(1);

/// Says once a minute that there are some. Clones share the minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnknownKinds {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    said: Option<Instant>,
    /// Events since then.
    events: u64,
}

impl UnknownKinds {
    /// Takes note of events that were put off, each by its kind.
    pub(crate) fn note<'a>(&self, kinds: impl Iterator<Item = &'a str>, now: Instant) {
        let mut kinds = kinds.peekable();
        let Some(kind) = kinds.peek().copied() else { return };
        if let Some(put_off) = self.due(kinds.count() as u64, now) {
            tracing::warn!(put_off, kind, "events of a kind that this release does not know are put off by a minute");
        }
    }

    /// How many events there were since the last line, where it is time for another.
    fn due(&self, events: u64, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.events += events;
        if seen.said.is_some_and(|said| now - said < SAY_EVERY) {
            return None;
        }
        seen.said = Some(now);
        Some(std::mem::take(&mut seen.events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_tells_of_all_events_since_the_last() {
        let (kinds, start) = (UnknownKinds::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(kinds.due(200, start), Some(200));
        assert_eq!(kinds.clone().due(200, after(1)), None);
        assert_eq!(kinds.due(600, after(59)), None);
        assert_eq!(kinds.due(1_000, after(60)), Some(1_800));
        assert_eq!(kinds.due(1_000, after(119)), None);
        assert_eq!(kinds.due(0, after(121)), Some(1_000));
    }
}

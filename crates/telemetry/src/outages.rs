//! Log lines of an outage: at most one a second of each kind, with how many were left out.
//!
//! A database, a broker or an operator that is away fails every request, every try and every message. A line that says
//! so carries the field `outage`, which names what is away. Such lines, and what the libraries underneath warn of, are
//! held to one a second for each place in the code that writes them. The next line from there tells in `repeated` how
//! many were left out before it; when no more come, a line of its own does.
//!
//! What happens to a message for good (a refund, a dead letter) is no outage: it has no such field and is never left out.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Level, Metadata};

/// Libraries that log each of their steps at info; held at warn unless the filter names them.
pub(crate) const NOISY: [&str; 14] = [
    "actix_server",
    "amqprs",
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "sea_orm",
    "sea_orm_migration",
    "sqlx",
    "sqlx_core",
    "sqlx_mysql",
    "sqlx_sqlite",
    "tonic",
];

/// The field that marks a line.
const MARK: &str = "outage";
const EVERY: Duration = Duration::from_secs(1);

/// What each place in the code has written and left out. Places are part of the program, so their number is bounded.
pub(crate) struct Outages {
    places: Mutex<HashMap<Place, Lines>>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl Default for Outages {
    fn default() -> Self {
        Self::on_clock(Instant::now)
    }
}

/// Where a line is written: the module and the line in its file.
type Place = (&'static str, u32);

#[derive(Debug)]
struct Lines {
    last: Instant,
    left_out: u64,
}

impl Outages {
    pub(crate) fn on_clock(clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { places: Mutex::default(), clock: Box::new(clock) }
    }

    /// How many lines were left out before this one; `None` when it is to be left out itself.
    pub(crate) fn admit(&self, metadata: &Metadata<'static>) -> Option<u64> {
        if is_of_an_outage(metadata) { self.admit_from(place_of(metadata), (self.clock)()) } else { Some(0) }
    }

    fn admit_from(&self, place: Place, now: Instant) -> Option<u64> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = places.get_mut(&place) else {
            places.insert(place, Lines { last: now, left_out: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(lines.last) < EVERY {
            lines.left_out += 1;
            return None;
        }
        lines.last = now;
        Some(std::mem::take(&mut lines.left_out))
    }

    /// The places that left lines out and wrote none for a second, each with how many; they count as told then.
    fn untold(&self, now: Instant) -> Vec<(Place, u64)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = places
            .iter_mut()
            .filter(|(_, lines)| lines.left_out > 0 && now.saturating_duration_since(lines.last) >= EVERY);
        untold
            .map(|(place, lines)| {
                lines.last = now;
                (*place, std::mem::take(&mut lines.left_out))
            })
            .collect()
    }

    /// Writes a line for each place with lines that nobody has told of.
    pub(crate) fn tell(&self) {
        self.tell_as_of((self.clock)());
    }

    /// The same at the end of the process, when nobody else will.
    pub(crate) fn tell_the_rest(&self) {
        self.tell_as_of((self.clock)() + EVERY);
    }

    fn tell_as_of(&self, now: Instant) {
        for ((module, line), repeated) in self.untold(now) {
            tracing::warn!(repeated, module, line, "log lines of an outage were left out");
        }
    }
}

fn is_of_an_outage(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    let is_warning = *metadata.level() <= Level::WARN;
    metadata.fields().field(MARK).is_some() || (is_warning && NOISY.contains(&library))
}

fn place_of(metadata: &Metadata<'static>) -> Place {
    (metadata.target(), metadata.line().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = ("relay::claimer", 7);
    const THERE: Place = ("relay::claimer", 8);

    #[test]
    fn each_place_is_held_to_a_line_a_second_and_counts_the_rest() {
        let (outages, start) = (Outages::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(outages.admit_from(HERE, at(0)), Some(0));
        assert_eq!(outages.admit_from(THERE, at(1)), Some(0), "another kind has its own second");
        for millis in 1..1_000 {
            assert_eq!(outages.admit_from(HERE, at(millis)), None, "after {millis} ms");
        }
        assert_eq!(outages.admit_from(HERE, at(1_000)), Some(999));
        assert_eq!(outages.admit_from(HERE, at(1_999)), None);
        assert_eq!(outages.admit_from(HERE, at(60_000)), Some(1));
        assert_eq!(outages.admit_from(THERE, at(60_000)), Some(0));
    }

    #[test]
    fn what_was_left_out_is_told_when_no_line_follows() {
        let (outages, start) = (Outages::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(outages.untold(at(0)), []);
        outages.admit_from(HERE, at(0));
        outages.admit_from(HERE, at(1));
        outages.admit_from(HERE, at(2));
        outages.admit_from(THERE, at(2));
        assert_eq!(outages.untold(at(999)), [], "the next line may still tell");
        assert_eq!(outages.untold(at(1_000)), [(HERE, 2)]);
        assert_eq!(outages.untold(at(9_000)), [], "it is told once");
        outages.admit_from(HERE, at(9_000));
        assert_eq!(outages.admit_from(HERE, at(9_100)), None);
        assert_eq!(outages.untold(at(9_500)), []);
    }
}

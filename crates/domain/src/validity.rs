//! For how long a message may be sent, and from when on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Invalid, rfc3339};

/// Seconds for which a message may be sent: 5 seconds to a week.
pub const VALIDITY_SECONDS: std::ops::RangeInclusive<i64> = 5..=604_800;
/// So far ahead a message may be scheduled, in days.
const DAYS_AHEAD: i64 = 35;
/// What lies so far behind, in seconds, is now: clocks differ, and requests take their time.
const SECONDS_BEHIND: i64 = 60;

/// For how long a message may be sent from its acceptance, or from when it is scheduled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity(Duration);

impl Validity {
    /// So many seconds.
    ///
    /// # Errors
    /// They are too few or too many.
    pub fn parse(seconds: i64) -> Result<Self, Invalid> {
        let wrong = || {
            let (least, most) = VALIDITY_SECONDS.into_inner();
            Invalid::new("validity_seconds", format!("must be a whole number from {least} to {most}"))
        };
        let in_range = VALIDITY_SECONDS.contains(&seconds);
        let seconds = u64::try_from(seconds).ok().filter(|_| in_range).ok_or_else(wrong)?;
        Ok(Self(Duration::from_secs(seconds)))
    }

    /// How long that is.
    pub fn get(self) -> Duration {
        self.0
    }

    /// When it is over for what may be sent from `start` on.
    pub fn end_from(self, start: DateTime<Utc>) -> DateTime<Utc> {
        TimeDelta::from_std(self.0).ok().and_then(|validity| start.checked_add_signed(validity)).unwrap_or(start)
    }
}

/// When a request wants its message sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendAt {
    /// At once: it names no time, or one that has just been.
    Now,
    /// Then.
    Later(DateTime<Utc>),
    /// Longer ago than clocks may differ: only an answer that was given before can be given again.
    Missed,
}

impl SendAt {
    /// The time that a request names, on a clock that says `now`.
    ///
    /// # Errors
    /// It is no time, or too far ahead.
    pub fn parse(text: &str, now: DateTime<Utc>) -> Result<(DateTime<Utc>, Self), Invalid> {
        let wrong = |expected| Invalid::new("send_at", expected);
        let time = rfc3339::parse(text).ok_or_else(Self::no_time)?;
        let ahead = time - now;
        let when = match () {
            () if ahead > TimeDelta::days(DAYS_AHEAD) => return Err(wrong(Self::EXPECTED)),
            () if ahead > TimeDelta::zero() => Self::Later(time),
            () if ahead >= TimeDelta::seconds(-SECONDS_BEHIND) => Self::Now,
            () => Self::Missed,
        };
        Ok((time, when))
    }

    /// What is accepted, for what is not.
    const EXPECTED: &str = "must lie between now and 35 days ahead";

    /// Why what is no time is refused.
    pub fn no_time() -> Invalid {
        Invalid::new("send_at", "must be RFC 3339 with an offset")
    }

    /// Why a time that was missed is refused.
    pub fn missed() -> Invalid {
        Invalid::new("send_at", Self::EXPECTED)
    }
}

/// When a message may not be sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At this time of the database's clock.
    At(DateTime<Utc>),
    /// So long after its acceptance.
    After(Duration),
}

impl Expiry {
    /// Whether it is over for a message of this age.
    pub fn is_over(self, now: DateTime<Utc>, age: Duration) -> bool {
        match self {
            Self::At(time) => now >= time,
            Self::After(validity) => age >= validity,
        }
    }

    /// For how long it has been over.
    pub fn over_for(self, now: DateTime<Utc>, age: Duration) -> Duration {
        match self {
            Self::At(time) => (now - time).to_std().unwrap_or(Duration::ZERO),
            Self::After(validity) => age.saturating_sub(validity),
        }
    }

    /// How long it still may be sent; zero where it may not.
    pub fn rest(self, now: DateTime<Utc>, age: Duration) -> Duration {
        match self {
            Self::At(time) => (time - now).to_std().unwrap_or(Duration::ZERO),
            Self::After(validity) => validity.saturating_sub(age),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    #[test]
    fn a_validity_is_five_seconds_to_a_week() {
        for (seconds, taken) in [(4, false), (5, true), (604_800, true), (604_801, false), (-5, false)] {
            assert_eq!(Validity::parse(seconds).is_ok(), taken, "{seconds}");
        }
        let error = Validity::parse(0).expect_err("too short").to_string();
        assert_eq!(error, "validity_seconds must be a whole number from 5 to 604800");
        let validity = Validity::parse(300).expect("in range");
        assert_eq!(validity.end_from(at("2026-12-01T08:30:00Z")), at("2026-12-01T08:35:00Z"));
    }

    #[test]
    fn a_time_has_an_offset_and_lies_ahead() {
        let now = at("2026-11-01T00:00:00Z");
        let when = |text: &str| SendAt::parse(text, now).map(|(_, when)| when).map_err(|invalid| invalid.to_string());
        assert_eq!(when("2026-11-01T03:30:01+03:30"), Ok(SendAt::Later(at("2026-11-01T00:00:01Z"))));
        assert_eq!(when("2026-11-01T00:00:00Z"), Ok(SendAt::Now));
        assert_eq!(when("2026-10-31T23:59:00Z"), Ok(SendAt::Now));
        assert_eq!(when("2026-10-31T23:58:59Z"), Ok(SendAt::Missed));
        assert_eq!(when("2026-12-06T00:00:00Z"), Ok(SendAt::Later(at("2026-12-06T00:00:00Z"))));
        assert_eq!(when("2026-12-06T00:00:01Z"), Err("send_at must lie between now and 35 days ahead".to_owned()));
        for wrong in ["", "tomorrow", "2026-12-01T08:30:00", "2026-12-01", "1764577800"] {
            assert_eq!(when(wrong), Err("send_at must be RFC 3339 with an offset".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn what_is_over_has_no_rest() {
        let (now, minute) = (at("2026-11-01T00:01:00Z"), Duration::from_mins(1));
        for (expiry, rest) in [
            (Expiry::At(at("2026-11-01T00:01:10Z")), 10),
            (Expiry::At(now), 0),
            (Expiry::At(at("2026-11-01T00:00:00Z")), 0),
            (Expiry::After(Duration::from_secs(70)), 10),
            (Expiry::After(minute), 0),
        ] {
            assert_eq!(expiry.rest(now, minute), Duration::from_secs(rest), "{expiry:?}");
            assert_eq!(expiry.is_over(now, minute), rest == 0, "{expiry:?}");
        }
    }
}

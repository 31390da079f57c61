//! Times as clients write them.

use chrono::{DateTime, Timelike as _, Utc};

/// The last nanosecond of a second: a leap second is the end of the one before it, for databases know none.
const LAST_NANOSECOND: u32 = 999_999_999;

/// A time of RFC 3339, which names its offset; `None` for anything else.
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    if time.nanosecond() > LAST_NANOSECOND { time.with_nanosecond(LAST_NANOSECOND) } else { Some(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_an_offset_and_no_leap_second() {
        for (text, is) in [
            ("2026-12-01T08:30:00Z", "2026-12-01 08:30:00 UTC"),
            ("2026-12-01T08:30:00+03:30", "2026-12-01 05:00:00 UTC"),
            ("2016-12-31T23:59:60Z", "2016-12-31 23:59:59.999999999 UTC"),
            ("2026-12-01T08:30:60.5Z", "2026-12-01 08:30:59.999999999 UTC"),
        ] {
            assert_eq!(parse(text).expect(text).to_string(), is);
        }
        for text in ["", "2026-12-01T08:30:00", "2026-12-01", "2026-13-01T08:30:00Z", "2026-12-01T08:30:61Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

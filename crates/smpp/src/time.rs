//! Times in PDUs (section 7.1): `YYMMDDhhmmsstnnp`, 16 characters.

use chrono::{DateTime, Utc};

/// Longest that [`relative`] can say, in seconds: 99 days, 23 hours, 59 minutes, 59 seconds.
const MAX_RELATIVE: u64 = 99 * 86_400 + 86_399;

/// So many seconds from when the SMSC reads it; longer ones are the longest that can be said. Tenths are always one
/// digit, 0 (jookies/jasmin issue 1179).
pub fn relative(seconds: u64) -> String {
    let seconds = seconds.min(MAX_RELATIVE);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("0000{days:02}{hours:02}{minutes:02}{:02}000R", seconds % 60)
}

/// That time, in UTC.
pub fn absolute(time: DateTime<Utc>) -> String {
    format!("{}000+", time.format("%y%m%d%H%M%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sixteen_characters() {
        for (seconds, expected) in [
            (5, "000000000005000R"),
            (600, "000000001000000R"),
            (3_661, "000000010101000R"),
            (604_800, "000007000000000R"),
            (u64::MAX, "000099235959000R"),
        ] {
            assert_eq!(relative(seconds), expected);
        }
        let time = DateTime::from_timestamp(1_796_113_805, 0).expect("a time");
        assert_eq!(absolute(time), "261201083005000+");
    }
}

//! Whole numbers however JSON writes them: `1`, `1.0` and `10e-1` are one number. Read from the digits, never by way of
//! a float, so that none is rounded to another.

/// The number that `text` is in JSON, if it is whole and fits.
pub(crate) fn whole(text: &str) -> Option<i64> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(integer) || !is_number(fraction) {
        return None;
    }
    // The number is `digits` times ten to the power of `scale`.
    let digits = format!("{integer}{fraction}");
    let all = digits.trim_start_matches('0');
    let digits = all.trim_end_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let cut = i64::try_from(all.len() - digits.len()).ok()?;
    let scale = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(cut)?;
    // More zeros than an `i64` has digits cannot fit; fewer than none are a fraction.
    let zeros = usize::try_from(scale).ok().filter(|zeros| *zeros < 20)?;
    format!("{sign}{digits}{}", "0".repeat(zeros)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_exactly() {
        for (text, number) in [
            ("0", 0),
            ("-0", 0),
            ("0.000", 0),
            ("0e99", 0),
            ("1", 1),
            ("1.0", 1),
            ("-1.0", -1),
            ("1e0", 1),
            ("1E2", 100),
            ("1e+2", 100),
            ("10e-1", 1),
            ("12.5e1", 125),
            ("0.001e3", 1),
            ("100.00", 100),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775807.000", i64::MAX),
            ("9.223372036854775807e18", i64::MAX),
            ("922337203685477580700e-2", i64::MAX),
            ("-9223372036854775808.0", i64::MIN),
        ] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        let long = format!("1{}e-10000", "0".repeat(10_000));
        assert_eq!(whole(&long), Some(1));
    }

    #[test]
    fn what_is_not_a_whole_number_that_fits_is_none() {
        for text in [
            "",
            "-",
            "+",
            ".",
            "e",
            "1.",
            ".1",
            "1.5",
            "0.1",
            "1e-1",
            "1.00000000000000000000001",
            "1e",
            "e1",
            "1e1.0",
            "1.0.0",
            "--1",
            "1-",
            " 1",
            "1 ",
            "0x1",
            "1_000",
            "١",
            "NaN",
            "1e19",
            "9223372036854775808",
            "9223372036854775808.0",
            "-9223372036854775809",
            "1e99999999999999999999",
            "1e9223372036854775807",
            "1e-9223372036854775808",
        ] {
            assert_eq!(whole(text), None, "{text:?}");
        }
    }
}

//! Reading `/metrics`.

use std::collections::BTreeMap;

/// One scrape in the Prometheus text format: series by name with labels, as written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads a scrape; lines that are not series are left out.
    pub fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// The value of a series with its labels, as in `up{job="a"}`; `None` where there is none.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The cumulative buckets of a histogram with this label (`type="normal"`): upper bound and count, without `+Inf`.
    pub fn buckets(&self, name: &str, label: &str) -> Vec<(f64, f64)> {
        let prefix = format!("{name}_bucket{{");
        let of_this = self.0.iter().filter(|(series, _)| series.starts_with(&prefix) && series.contains(label));
        let mut buckets: Vec<(f64, f64)> = of_this
            .filter_map(|(series, count)| {
                let bound = series.split_once("le=\"")?.1.split('"').next()?.parse::<f64>().ok()?;
                bound.is_finite().then_some((bound, *count))
            })
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        buckets
    }

    /// The histogram's values since `earlier`.
    pub fn buckets_since(&self, earlier: &Self, name: &str, label: &str) -> Vec<(f64, f64)> {
        let before: BTreeMap<u64, f64> =
            earlier.buckets(name, label).into_iter().map(|(bound, count)| (bound.to_bits(), count)).collect();
        let now = self.buckets(name, label).into_iter();
        now.map(|(bound, count)| (bound, count - before.get(&bound.to_bits()).unwrap_or(&0.0))).collect()
    }
}

/// A quantile in milliseconds of cumulative buckets in seconds, evenly spread within its bucket; `None` for an empty
/// histogram. Values above the last bound count as that bound.
pub fn quantile_ms(buckets: &[(f64, f64)], quantile: f64) -> Option<f64> {
    let rank = buckets.last().map(|(_, count)| count * quantile).filter(|rank| *rank > 0.0)?;
    let (mut bound_below, mut count_below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= rank {
            let share = (rank - count_below) / (count - count_below);
            return Some((bound_below + (bound - bound_below) * share) * 1_000.0);
        }
        (bound_below, count_below) = (*bound, *count);
    }
    Some(bound_below * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"# TYPE wait_seconds histogram
wait_seconds_bucket{type="normal",le="0.01"} 10
wait_seconds_bucket{type="normal",le="0.1"} 10
wait_seconds_bucket{type="normal",le="+Inf"} 10
"#;
    const AFTER: &str = r#"wait_seconds_bucket{type="normal",le="0.01"} 60
wait_seconds_bucket{type="normal",le="0.1"} 110
wait_seconds_bucket{type="normal",le="+Inf"} 110
wait_seconds_bucket{type="express",le="0.01"} 7
other_bucket{type="normal",le="0.01"} 1
up 1
"#;

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let scrape = Scrape::parse(AFTER);
        assert_eq!(scrape.value("up"), Some(1.0));
        assert_eq!(scrape.value(r#"other_bucket{type="normal",le="0.01"}"#), Some(1.0));
        assert_eq!(scrape.value("other_bucket"), None);
    }

    #[test]
    fn only_what_was_added_between_two_scrapes_counts() {
        let (before, after) = (Scrape::parse(BEFORE), Scrape::parse(AFTER));
        let buckets = after.buckets_since(&before, "wait_seconds", r#"type="normal""#);
        assert_eq!(buckets, [(0.01, 50.0), (0.1, 100.0)]);
        assert_eq!(after.buckets("wait_seconds", r#"type="express""#), [(0.01, 7.0)]);
    }

    #[test]
    fn quantiles_are_interpolated_within_their_bucket() {
        let buckets = [(0.01, 50.0), (0.1, 100.0)];
        let near = |quantile, expected: f64| {
            let found = quantile_ms(&buckets, quantile).expect("values");
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        };
        near(0.25, 5.0);
        near(0.5, 10.0);
        near(0.75, 55.0);
        near(1.0, 100.0);
        assert_eq!(quantile_ms(&[(0.01, 0.0)], 0.5), None);
        assert_eq!(quantile_ms(&[], 0.5), None);
    }
}

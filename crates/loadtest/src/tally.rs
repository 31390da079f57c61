//! What came of the requests.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{Reply, SendError};

/// Longest latency told apart.
const LONGEST: Duration = Duration::from_mins(10);

/// Counts and latencies of requests.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Answered with 2xx.
    pub successful: u64,
    /// Answered with another status, by status.
    pub non_2xx: BTreeMap<u16, u64>,
    /// Not answered, by reason.
    pub errors: BTreeMap<SendError, u64>,
    /// Microseconds from the intended start to the end of the answer, of 2xx.
    latencies: Histogram<u64>,
}

/// What came of a load, as it is reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Seconds from the first measured start to the last answer.
    pub seconds: f64,
    /// Measured requests.
    pub total: u64,
    /// Answered with 2xx.
    pub successful: u64,
    /// Answered with another status, by status.
    pub non_2xx: BTreeMap<u16, u64>,
    /// Not answered, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Share of 2xx, 0 to 1.
    pub success_rate: f64,
    /// From the intended start to the end of the answer, of 2xx.
    pub latency_ms: Latency,
    /// The same by percentile (0 to 100).
    pub curve: Vec<(f64, f64)>,
}

impl Outcome {
    /// Sums up what took so long to the last answer.
    pub fn of(tally: &Tally, took: Duration) -> Self {
        Self {
            seconds: took.as_secs_f64(),
            total: tally.total(),
            successful: tally.successful,
            non_2xx: tally.non_2xx.clone(),
            errors: tally.errors.iter().map(|(error, count)| (error.as_str().to_owned(), *count)).collect(),
            success_rate: tally.success_rate(),
            latency_ms: tally.latency(),
            curve: tally.curve(),
        }
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { successful: 0, non_2xx: BTreeMap::new(), errors: BTreeMap::new(), latencies: histogram() }
    }
}

/// Microseconds up to ten minutes, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(micros(LONGEST), 3).expect("three digits are allowed")
}

impl Tally {
    /// Counts one request that began, or should have begun, `latency` ago.
    pub fn record(&mut self, outcome: &Result<Reply, SendError>, latency: Duration) {
        match outcome {
            Ok(reply) if reply.is_success() => {
                self.successful += 1;
                self.latencies.saturating_record(micros(latency));
            }
            Ok(reply) => *self.non_2xx.entry(reply.status).or_default() += 1,
            Err(error) => *self.errors.entry(*error).or_default() += 1,
        }
    }

    /// Counts those of another one too.
    pub fn add(&mut self, other: &Self) {
        self.successful += other.successful;
        for (status, count) in &other.non_2xx {
            *self.non_2xx.entry(*status).or_default() += count;
        }
        for (error, count) in &other.errors {
            *self.errors.entry(*error).or_default() += count;
        }
        self.latencies += &other.latencies;
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.successful + self.refused() + self.failed()
    }

    /// Answers other than 2xx.
    pub fn refused(&self) -> u64 {
        self.non_2xx.values().sum()
    }

    /// Requests without an answer.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Share of 2xx, 0 to 1.
    pub fn success_rate(&self) -> f64 {
        if self.total() == 0 { 0.0 } else { self.successful as f64 / self.total() as f64 }
    }

    /// Latencies of 2xx.
    pub fn latency(&self) -> Latency {
        percentiles(&self.latencies)
    }

    /// The curve behind them: percentile (0 to 100) and milliseconds.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        if self.latencies.is_empty() {
            return Vec::new();
        }
        let points = self.latencies.iter_quantiles(2);
        let mut curve: Vec<_> =
            points.map(|point| (point.quantile_iterated_to() * 100.0, millis(point.value_iterated_to()))).collect();
        curve.dedup();
        curve
    }
}

/// The usual percentiles of a histogram of microseconds.
pub(crate) fn percentiles(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| millis(histogram.value_at_quantile(quantile));
    Latency { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max: millis(histogram.max()) }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Reply {
        Reply { status, body: bytes::Bytes::new() }
    }

    #[test]
    fn refusals_and_errors_are_told_apart_and_have_no_latency() {
        let mut tally = Tally::default();
        for millis in 1..=100 {
            tally.record(&Ok(answered(200)), Duration::from_millis(millis));
        }
        tally.record(&Ok(answered(503)), Duration::from_secs(9));
        tally.record(&Ok(answered(429)), Duration::from_secs(9));
        tally.record(&Ok(answered(503)), Duration::from_secs(9));
        tally.record(&Err(SendError::Timeout), Duration::from_secs(10));
        assert_eq!((tally.total(), tally.successful, tally.refused(), tally.failed()), (104, 100, 3, 1));
        assert_eq!(tally.non_2xx, BTreeMap::from([(429, 1), (503, 2)]));
        let latency = tally.latency();
        for (measured, expected) in
            [(latency.p50, 50.0), (latency.p90, 90.0), (latency.p99, 99.0), (latency.max, 100.0)]
        {
            assert!((measured - expected).abs() / expected < 0.002, "{measured} is not {expected}");
        }
        assert!((tally.success_rate() - 100.0 / 104.0).abs() < 1e-9);
    }

    #[test]
    fn two_tallies_together_have_the_requests_of_both() {
        let (mut one, mut other, mut both) = (Tally::default(), Tally::default(), Tally::default());
        for (millis, outcome) in
            [(1, Ok(answered(200))), (2, Ok(answered(503))), (3, Err(SendError::Timeout)), (400, Ok(answered(200)))]
        {
            let half = if millis % 2 == 0 { &mut one } else { &mut other };
            half.record(&outcome, Duration::from_millis(millis));
            both.record(&outcome, Duration::from_millis(millis));
        }
        one.add(&other);
        let seen = |tally: &Tally| (tally.successful, tally.non_2xx.clone(), tally.errors.clone(), tally.latency());
        assert_eq!(seen(&one), seen(&both));
    }

    #[test]
    fn the_curve_rises_to_the_longest() {
        let mut tally = Tally::default();
        (1..=1_000).for_each(|millis| tally.record(&Ok(answered(200)), Duration::from_millis(millis)));
        let curve = tally.curve();
        assert!(curve.is_sorted_by(|one, other| one.0 <= other.0 && one.1 <= other.1), "{curve:?}");
        let (percentile, longest) = curve.last().expect("points");
        assert!(*percentile > 99.9 && (longest - 1_000.0).abs() < 2.0, "{percentile} {longest}");
    }

    #[test]
    fn nothing_recorded_is_no_reason_to_panic() {
        let tally = Tally::default();
        assert_eq!((tally.success_rate(), tally.latency(), tally.curve()), (0.0, Latency::default(), vec![]));
    }
}

//! How much is sent, for how long, by whom.

use std::time::Duration;

use clap::Args;

/// A load to offer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Requests a second, above 0.
    pub rps: f64,
    /// Connections, each with one request at a time.
    pub concurrency: usize,
    /// How long it is measured.
    pub duration: Duration,
    /// How long the same load runs before, unmeasured.
    pub warmup: Duration,
    /// Users 1 to this one take turns.
    pub users: u32,
    /// Recipients of each request, 1 to 1000.
    pub recipients: u32,
    /// Share of express requests, 0 to 1.
    pub express_ratio: f64,
}

impl Default for Load {
    /// 1,000 requests a second for 30 s over 200 connections, 5,000 users, one recipient, 20 % express.
    fn default() -> Self {
        Self {
            rps: 1_000.0,
            concurrency: 200,
            duration: Duration::from_secs(30),
            warmup: Duration::from_secs(3),
            users: 5_000,
            recipients: 1,
            express_ratio: 0.2,
        }
    }
}

impl Load {
    /// The arguments of `loadtest` that mean this load.
    pub fn arguments(&self) -> Vec<String> {
        let seconds = |duration: Duration| format!("{}s", duration.as_secs_f64());
        [
            ("--rps", self.rps.to_string()),
            ("--concurrency", self.concurrency.to_string()),
            ("--duration", seconds(self.duration)),
            ("--warmup", seconds(self.warmup)),
            ("--users", self.users.to_string()),
            ("--recipients", self.recipients.to_string()),
            ("--express-ratio", self.express_ratio.to_string()),
        ]
        .map(|(name, value)| [name.to_owned(), value])
        .concat()
    }

    /// Those of the arguments that make it differ from `usual`.
    pub fn arguments_over(&self, usual: &Self) -> Vec<String> {
        let (here, there) = (self.arguments(), usual.arguments());
        let pairs = here.chunks(2).zip(there.chunks(2));
        pairs.filter(|(one, other)| one != other).flat_map(|(one, _)| one.to_vec()).collect()
    }
}

/// What may be changed of a load, by flag or variable.
#[derive(Debug, Clone, Default, Args)]
pub struct LoadArgs {
    /// Requests a second
    #[arg(long, env = "BENCH_RPS", value_parser = parse_rate)]
    rps: Option<f64>,
    /// Connections
    #[arg(long, env = "BENCH_CONCURRENCY", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: Option<u32>,
    /// How long is measured: 60s, 2m, 500ms or seconds
    #[arg(long, env = "BENCH_DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// The same load before that, which does not count
    #[arg(long, env = "BENCH_WARMUP", value_parser = parse_duration)]
    warmup: Option<Duration>,
    /// Users that take turns, from 1
    #[arg(long, env = "BENCH_USERS", value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// Recipients of each request
    #[arg(long, env = "BENCH_RECIPIENTS", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    recipients: Option<u32>,
    /// Share of express requests, 0 to 1
    #[arg(long, env = "BENCH_EXPRESS_RATIO", value_parser = parse_ratio)]
    express_ratio: Option<f64>,
}

impl LoadArgs {
    /// `usual` with what was given instead.
    pub fn over(&self, usual: Load) -> Load {
        Load {
            rps: self.rps.unwrap_or(usual.rps),
            concurrency: self.concurrency.map_or(usual.concurrency, |given| given as usize),
            duration: self.duration.unwrap_or(usual.duration),
            warmup: self.warmup.unwrap_or(usual.warmup),
            users: self.users.unwrap_or(usual.users),
            recipients: self.recipients.unwrap_or(usual.recipients),
            express_ratio: self.express_ratio.unwrap_or(usual.express_ratio),
        }
    }
}

/// Reads `60s`, `2m`, `500ms` or a number of seconds.
///
/// # Errors
/// A sentence for the user.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let seconds_each = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        _ => return Err("write 60s, 2m, 500ms or seconds".to_owned()),
    };
    let seconds = number.parse::<f64>().map_err(|_| "write 60s, 2m, 500ms or seconds".to_owned())? * seconds_each;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= Duration::from_hours(24) => Ok(duration),
        _ => Err("must be 0 to 24 hours".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= 1e6);
    rate.ok_or_else(|| "must be above 0 and at most 1000000".to_owned())
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_unit() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("60s"), Ok(60.0));
        assert_eq!(seconds("60"), Ok(60.0));
        assert_eq!(seconds("1.5"), Ok(1.5));
        assert_eq!(seconds("2m"), Ok(120.0));
        assert_eq!(seconds("500ms"), Ok(0.5));
        for wrong in ["", "s", "-1", "1h", "NaN", "25000m", "inf"] {
            assert!(seconds(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn rates_and_ratios_have_their_ranges() {
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "NaN", "x", "1e7"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_ratio("1"), Ok(1.0));
        for wrong in ["1.1", "-0.1", "NaN"] {
            assert!(parse_ratio(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_load_survives_the_command_line() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            load: LoadArgs,
        }
        let load =
            Load { rps: 1_234.5, duration: Duration::from_millis(1_500), users: 1, recipients: 7, ..Load::default() };
        let line = ["loadtest".to_owned()].into_iter().chain(load.arguments());
        let parsed = <Command as clap::Parser>::try_parse_from(line).expect("well-formed");
        assert_eq!(parsed.load.over(Load::default()), load);
        let slower = Load { rps: 5.0, ..load };
        assert_eq!(slower.arguments_over(&load), ["--rps", "5"]);
    }

    #[test]
    fn what_is_not_given_stays_as_usual() {
        let args = LoadArgs { rps: Some(10.0), users: Some(1), ..LoadArgs::default() };
        assert_eq!(args.over(Load::default()), Load { rps: 10.0, users: 1, ..Load::default() });
    }
}

//! Reading the Prometheus text format.

use std::collections::BTreeMap;

/// One sample: its name, labels and value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Everything one scrape told.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) samples: Vec<Sample>,
}

impl Scrape {
    /// Reads the whole text; every line must be understood.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
        Self { samples: lines.map(parse_line).collect() }
    }

    /// The sum over all series of `name` that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matching = self.samples.iter().filter(|sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        });
        matching.map(|sample| sample.value).sum()
    }

    /// The values that a label has, over all metrics.
    pub(crate) fn values_of(&self, label: &str) -> Vec<&str> {
        self.samples.iter().filter_map(|sample| sample.labels.get(label)).map(String::as_str).collect()
    }
}

fn parse_line(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line:?}"));
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels end")),
    };
    // Values of ours hold neither commas nor quotes.
    let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
        let (label, value) = pair.split_once('=').unwrap_or_else(|| panic!("not a label: {line:?}"));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        (label.to_owned(), value.unwrap_or_else(|| panic!("not a label's value: {line:?}")).to_owned())
    });
    Sample { name: name.to_owned(), labels: pairs.collect(), value: value.parse().expect("a number") }
}

//! Recording rules, alerts, and their unit tests.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::repository;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "name")]
    _name: String,
    rules: Vec<Rule>,
}

/// A recording rule or an alert.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) record: Option<String>,
    pub(crate) alert: Option<String>,
    pub(crate) expr: String,
    #[serde(rename = "for")]
    _for: Option<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Rule {
    pub(crate) fn severity(&self) -> &str {
        self.labels.get("severity").map_or("none", String::as_str)
    }
}

fn all() -> Vec<Rule> {
    let files = repository::files("observability/prometheus/rules", "yml");
    files
        .iter()
        .flat_map(|path| repository::yaml::<RuleFile>(path).groups)
        .flat_map(|group| group.rules)
        .inspect(|rule| assert!(rule.record.is_some() != rule.alert.is_some(), "{rule:?}"))
        .collect()
}

/// Rules that record a series, in order.
pub(crate) fn recorded() -> Vec<Rule> {
    all().into_iter().filter(|rule| rule.record.is_some()).collect()
}

/// Alerts with their names, in order.
pub(crate) fn alerts() -> Vec<(String, Rule)> {
    all().into_iter().filter_map(|rule| Some((rule.alert.clone()?, rule))).collect()
}

#[derive(Debug, Deserialize)]
struct TestFile {
    tests: Vec<UnitTest>,
}

/// One replay of series with the alerts expected in it.
#[derive(Debug, Deserialize)]
pub(crate) struct UnitTest {
    #[serde(default)]
    pub(crate) promql_expr_test: Vec<Expectation>,
}

/// What an expression comes to at one time.
#[derive(Debug, Deserialize)]
pub(crate) struct Expectation {
    pub(crate) expr: String,
    pub(crate) eval_time: String,
    pub(crate) exp_samples: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sample {
    pub(crate) labels: String,
}

/// The unit tests of rules.
pub(crate) fn unit_tests() -> Vec<UnitTest> {
    let files = repository::files("observability/prometheus/tests", "yml");
    files.iter().flat_map(|path| repository::yaml::<TestFile>(path).tests).collect()
}

//! Every query of the repository names metrics and labels that exist.

use std::collections::BTreeMap;

use crate::{
    catalogue::Catalogue,
    grafana::{Dashboard, dashboards},
    promql::Query,
    rules,
};

/// What Grafana would put in place of a variable, each with a value that fits anything.
pub(crate) fn fill_in(expr: &str, rate_interval: &str, range: &str) -> String {
    let values = [("$__rate_interval", rate_interval), ("$__range", range), ("$job", ".+"), ("$instance", ".+")];
    let mut filled = expr.to_owned();
    for (variable, value) in values.into_iter().chain([("$queue", ".+")]) {
        filled = filled.replace(variable, value);
    }
    assert!(!filled.contains('$'), "a variable is left in {filled}");
    filled
}

/// All queries of a dashboard: of panels, annotations and variables.
fn queries_of(dashboard: &Dashboard) -> Vec<String> {
    let panels = dashboard.views().flat_map(|panel| panel.targets.iter().map(|target| target.expr.clone()));
    let annotations = dashboard.annotations().filter_map(|annotation| annotation.expr.clone());
    let variables = dashboard.templating.list.iter().filter_map(|variable| {
        let definition = variable.definition.as_deref()?;
        let inside = definition.strip_prefix("label_values(")?.strip_suffix(')')?;
        Some(inside.rsplit_once(',').expect("label_values(series, label)").0.to_owned())
    });
    panels.collect::<Vec<_>>().into_iter().chain(annotations).chain(variables).collect()
}

fn assert_fine(queries: impl IntoIterator<Item = (String, String)>) {
    let catalogue = Catalogue::new();
    let mut violations = BTreeMap::<(String, String), Vec<String>>::new();
    for (place, text) in queries {
        let found = match Query::parse(&text) {
            Ok(query) => query.violations(&catalogue),
            Err(error) => vec![error],
        };
        if !found.is_empty() {
            violations.insert((place, text), found);
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Not on a dashboard, for there is nothing to see in them by themselves.
const NOT_SHOWN: &[&str] = &[];

#[test]
fn every_metric_of_the_table_is_in_a_panel_or_a_rule() {
    let rules = rules::recorded().into_iter().chain(rules::alerts().into_iter().map(|(_, rule)| rule));
    let rules = rules.map(|rule| rule.expr);
    let shown: String = dashboards().iter().flat_map(queries_of).chain(rules).collect::<Vec<_>>().join("\n");
    let names = telemetry::names::ALL.iter().map(|metric| metric.name);
    let missing: Vec<_> = names.filter(|name| !shown.contains(name) && !NOT_SHOWN.contains(name)).collect();
    assert!(missing.is_empty(), "no panel and no rule shows {missing:?}");
}

#[test]
fn dashboards_name_metrics_and_labels_that_exist() {
    let dashboards = dashboards();
    let queries = dashboards.iter().flat_map(|dashboard| {
        queries_of(dashboard).into_iter().map(|query| (dashboard.title.clone(), fill_in(&query, "5m", "1h")))
    });
    assert_fine(queries);
}

#[test]
fn rules_name_metrics_and_labels_that_exist() {
    let recorded = rules::recorded().into_iter().map(|rule| (rule.record.expect("a name"), rule.expr));
    let alerts = rules::alerts().into_iter().map(|(name, rule)| (name, rule.expr));
    assert_fine(recorded.chain(alerts));
}

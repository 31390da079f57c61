//! Alerts: what each says, its runbook, and that its unit test shows it firing and clearing.

use std::{collections::BTreeSet, time::Duration};

use smpp::{Fault, Status, SubmitClass};

use crate::{promql::Query, repository, rules};

const RUNBOOKS: &str = "docs/runbooks.md";

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for (name, rule) in rules::alerts() {
        assert!(["critical", "warning"].contains(&rule.severity()), "{name}: {:?}", rule.labels);
        let keys: Vec<_> = rule.annotations.keys().map(String::as_str).collect();
        assert_eq!(keys, ["description", "runbook_url", "summary"], "{name}");
        assert!(rule.annotations.values().all(|text| text.len() > 10), "{name}: {:?}", rule.annotations);
        let section = format!("{RUNBOOKS}#{}", name.to_lowercase());
        assert_eq!(rule.annotations["runbook_url"], section, "{name}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let text = repository::text(RUNBOOKS);
    let sections: Vec<_> = text.split("\n## ").skip(1).collect();
    let titles: Vec<_> = sections.iter().map(|section| section.lines().next().unwrap_or_default().to_owned()).collect();
    let described: BTreeSet<_> = titles.iter().cloned().collect();
    assert_eq!(described.len(), titles.len(), "a section is there twice");
    let alerts: BTreeSet<_> = rules::alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(described, alerts);
    for section in sections {
        for part in ["**Meaning.**", "**What users notice.**", "**Find the cause.**", "**What to do.**"] {
            assert!(section.contains(part), "{}: no part {part}", section.lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn every_alert_is_shown_firing_and_clearing() {
    let tests = rules::unit_tests();
    for (name, rule) in rules::alerts() {
        let severity = format!("severity=\"{}\"", rule.severity());
        let shown = tests.iter().any(|test| {
            let about = |query: &str| {
                query.contains(&format!("alertname=\"{name}\""))
                    && (!query.contains("severity=") || query.contains(&severity))
            };
            let mine: Vec<_> = test.promql_expr_test.iter().filter(|expected| about(&expected.expr)).collect();
            let fires = mine.iter().find(|one| one.exp_samples.iter().any(|sample| sample.labels.contains(&severity)));
            fires.is_some_and(|fires| {
                let silent = |after: bool| {
                    mine.iter().any(|one| {
                        one.exp_samples.is_empty() && (time_of(&one.eval_time) > time_of(&fires.eval_time)) == after
                    })
                };
                silent(false) && silent(true)
            })
        });
        assert!(shown, "no unit test has {name} ({severity}) silent, firing and silent again");
    }
}

#[test]
fn what_smscs_find_wrong_in_our_settings_is_told() {
    let alerts = rules::alerts();
    let (_, rule) = alerts.iter().find(|(name, _)| name == "SmppSettingsWrong").expect("there is such an alert");
    let query = Query::parse(&rule.expr).expect("valid PromQL");
    let is_told = |status: &str| query.looks_at("smpp_responses_total", "status", status);
    for status in Status::known() {
        let is_wrong = status.submit_class() == SubmitClass::Rejected(Fault::Settings);
        assert_eq!(is_told(status.name()), is_wrong, "{status}");
    }
    assert!(is_told("generic_nack") && !is_told("vendor") && !is_told("other"));
}

fn time_of(text: &str) -> Duration {
    promql_parser::util::parse_duration(text).expect("a duration")
}

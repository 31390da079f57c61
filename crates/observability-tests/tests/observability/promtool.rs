//! What Prometheus's own tool says of the configuration and the rules, and the rules' unit tests.

use std::process::Command;

use test_support::provision;

use crate::repository;

fn promtool(arguments: &[&str], files: &[std::path::PathBuf]) {
    let promtool = provision::prometheus().expect("promtool is there or can be installed").promtool;
    let output = Command::new(promtool).args(arguments).args(files).output().expect("promtool starts");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {}: {printed}", arguments.join(" "));
}

#[test]
fn the_configuration_is_valid() {
    promtool(&["check", "config"], &[repository::root().join("observability/prometheus/prometheus.yml")]);
}

#[test]
fn the_rules_are_valid() {
    promtool(&["check", "rules"], &repository::files("observability/prometheus/rules", "yml"));
}

#[test]
fn alerts_fire_clear_and_stay_silent() {
    promtool(&["test", "rules"], &repository::files("observability/prometheus/tests", "yml"));
}

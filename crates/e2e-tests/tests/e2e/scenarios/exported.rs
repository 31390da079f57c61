//! What the services export to Prometheus: everything from the start, and the money and the recipients they counted.

use std::collections::BTreeSet;

use telemetry::{exports::of, names::Exporter};
use test_support::{ServiceProcess, wait_until};

use crate::{
    client::{Answer, Kind, Submission},
    journal::clear,
    platform::{Observed as _, SETTLED, Setup, Standalone},
};

/// An operator with the metrics of SMPP, at which nobody listens: what the others take never comes to it.
const OVER_SMPP: (&str, &str) = ("operatorS", "smpp://user:secret@127.0.0.1:9");

/// A service exports its own metrics and those of every process, and no others.
async fn assert_exports(service: &ServiceProcess, own: &[Exporter]) {
    let every = [Exporter::Process, Exporter::Connections].iter().chain(own);
    let expected: BTreeSet<String> = every.flat_map(|exporter| of(*exporter)).map(str::to_owned).collect();
    let exported = service.metric_names().await;
    let missing: Vec<_> = expected.difference(&exported).collect();
    let unlisted: Vec<_> = exported.difference(&expected).collect();
    assert!(missing.is_empty() && unlisted.is_empty(), "missing: {missing:?}, not in the table: {unlisted:?}");
}

async fn wait_for(service: &ServiceProcess, metric: &str, labels: &[&str], value: f64) {
    let is_there = async || (service.metric(metric, labels).await >= value).then_some(());
    wait_until(SETTLED, &format!("{metric} {labels:?} of {value}"), is_there).await;
    let found = service.metric(metric, labels).await;
    assert!((found - value).abs() < 0.5, "{metric} {labels:?} is {found} and not {value}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_exists_from_the_start_and_counts_what_was_committed() {
    // Without retries a lost answer puts its recipient off.
    let settings = [("LEDGER_AUDIT_INTERVAL_SECS", "1"), ("OPERATOR_MAX_RETRIES", "0")];
    let setup = settings.into_iter().fold(Setup::new(), |setup, (variable, value)| setup.set(variable, value));
    let setup = setup.last_operator_at(OVER_SMPP.0, OVER_SMPP.1);
    let mut platform = setup.start().await;
    assert_exports(&platform.gateway, &[Exporter::Gateway]).await;
    assert_exports(&platform.relays[0], &[Exporter::Relay]).await;
    assert_exports(&platform.workers[0], &[Exporter::Worker]).await;
    for (service, series) in [
        (&platform.gateway, r#"http_requests_total{path="/messages/send",method="POST",status="503"} 0"#),
        (&platform.gateway, r#"ledger_credits_total{type="withdrawal"} 0"#),
        (&platform.relays[0], "ledger_mismatches 0"),
        (&platform.relays[0], r#"broker_publishes_total{result="returned"} 0"#),
        (&platform.workers[0], r#"operator_breaker_state{operator="operatorB"} 0"#),
        (&platform.workers[0], r#"recipients_settled_total{result="deferred"} 0"#),
        (&platform.workers[0], r#"accept_to_operator_seconds_count{type="express"} 0"#),
    ] {
        assert!(service.has_metric(series).await, "no {series}");
    }

    platform.mix_operators();
    platform.top_up(1, 100).await;
    let repeated = Submission::new(1, Kind::Normal, &["+98500", "+98502", "+98512"]);
    platform.send_as(repeated.clone()).await;
    let again = clear(async || platform.client.send(&repeated).await).await;
    assert!(matches!(again, Answer::Accepted { replayed: true, .. }), "{again:?}");
    platform.send(1, Kind::Express, &["+98503"]).await;
    platform.wait_all_terminal().await;
    wait_for(&platform.gateway, "ledger_credits_total", &[r#"type="deposit""#], 100.0).await;
    wait_for(&platform.gateway, "ledger_credits_total", &[r#"type="withdrawal""#], 3.0 * 2.0 + 5.0).await;
    wait_for(&platform.workers[0], "ledger_credits_total", &[r#"type="corrective""#], 2.0 * 2.0).await;
    for (result, recipients) in [("done", 2.0), ("failed", 2.0), ("deferred", 1.0)] {
        let label = format!(r#"result="{result}""#);
        wait_for(&platform.workers[0], "recipients_settled_total", &[&label], recipients).await;
    }

    let relay = &platform.relays[0];
    platform.tables.execute("UPDATE user_balances SET balance = balance + 1 WHERE user_id = 1").await;
    wait_for(relay, "ledger_mismatches", &[], 1.0).await;
    let is_logged = async || {
        let named = |line: &str| line.contains("balances differ") && line.contains(r#""first_users":"[1]""#);
        relay.output().lines().any(named).then_some(())
    };
    wait_until(SETTLED, "a log line that names the user", is_logged).await;
    platform.tables.execute("UPDATE user_balances SET balance = balance - 1 WHERE user_id = 1").await;
    let is_repaired = async || relay.has_metric("ledger_mismatches 0").await.then_some(());
    wait_until(SETTLED, "no mismatch any more", is_repaired).await;
    assert!(relay.metric("ledger_audits_total", &[]).await >= 3.0);
    platform.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standalone_exports_what_the_three_services_do() {
    let folder = tempfile::tempdir().expect("a folder for the database file");
    let platform = Standalone::start_with(folder.path(), Some(OVER_SMPP)).await;
    assert_exports(&platform.service, &[Exporter::Gateway, Exporter::Relay, Exporter::Worker]).await;
    platform.finish().await;
}

//! The metrics that dashboards rely on.

use std::{collections::BTreeSet, time::Duration};

use instruments::names;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use operator_simulator::{Mode, SmscBehaviour, SmscMode};
use operators::{BreakerConfig, OperatorsConfig, Prior};
use smpp::Status;

use crate::{
    ClosedPort, build, config, simulator,
    smpp::{Fixture, eventually, hello, smsc},
    submission,
};

/// Operators over SMPP whose metrics are read here.
fn measured(list: &str) -> (Fixture, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let it = metrics::with_local_recorder(&recorder, || Fixture::new(list));
    (it, recorder.handle())
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
}

/// The values of a label of a metric.
fn values<'a>(text: &'a str, metric: &str, label: &str) -> BTreeSet<&'a str> {
    let (metric, label) = (format!("{metric}{{"), format!("{label}=\""));
    let of_metric = text.lines().filter(|line| line.starts_with(&metric));
    of_metric.filter_map(|line| line.split_once(&label)?.1.split('"').next()).collect()
}

#[tokio::test]
async fn every_attempt_is_counted_by_its_result() {
    let simulator = simulator();
    simulator.set_behaviour("a", Mode::Status { code: 503 }).expect("valid");
    simulator.set_behaviour("c", Mode::Reset).expect("valid");
    let closed = ClosedPort::new();
    let list = format!(
        "a={},b=http://{}/,c={},d={}",
        simulator.operator_url("a"),
        closed.address,
        simulator.operator_url("c"),
        simulator.operator_url("d")
    );
    let breaker = BreakerConfig { failure_threshold: 2, success_threshold: 1, open_timeout: Duration::from_mins(10) };
    let config = OperatorsConfig { breaker, ..config(&list) };
    let recorder = PrometheusBuilder::new().build_recorder();
    let operators = metrics::with_local_recorder(&recorder, || build(config));

    for number in 0..3 {
        operators.send(&submission(&format!("m{number}")), Prior::First).await;
    }
    simulator.set_behaviour("d", Mode::Reject { code: 404 }).expect("valid");
    operators.send(&submission("rejected"), Prior::First).await;

    let text = recorder.handle().render();
    for line in [
        r#"operator_calls_total{operator="a",result="temporary"} 2"#,
        r#"operator_calls_total{operator="a",result="breaker_open"} 2"#,
        r#"operator_calls_total{operator="b",result="not_sent"} 2"#,
        r#"operator_calls_total{operator="c",result="unknown"} 2"#,
        r#"operator_calls_total{operator="d",result="accepted"} 1"#,
        r#"operator_calls_total{operator="d",result="rejected"} 1"#,
        r#"operator_calls_total{operator="d",result="unknown"} 0"#,
        r#"operator_breaker_state{operator="a"} 2"#,
        r#"operator_breaker_state{operator="d"} 0"#,
        r#"operator_duration_seconds_count{operator="a"} 2"#,
        r#"operator_duration_seconds_count{operator="d"} 2"#,
    ] {
        assert!(has(&text, line), "no {line} in\n{text}");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn every_series_of_sessions_exists_from_the_start_with_all_its_labels() {
    let closed = ClosedPort::new();
    let (it, metrics) = measured(&format!("a=smpp://user:secret@{}", closed.address));
    let text = metrics.render();
    let of_sessions = names::ALL.iter().map(|metric| metric.name).filter(|name| name.starts_with("smpp_"));
    for name in of_sessions.chain([names::PARTIAL_SUBMITS_TOTAL]) {
        assert!(text.contains(&format!("\n{name}")), "no {name} in\n{text}");
    }
    let is_zero = |line: &&str| line.starts_with('#') || line.is_empty() || line.ends_with(" 0");
    assert!(text.lines().all(|line| is_zero(&line)), "nothing has happened yet:\n{text}");
    let states = BTreeSet::from(["binding", "bound", "throttled", "waiting"]);
    assert_eq!(values(&text, names::SMPP_SESSIONS, "state"), states);
    let reasons = BTreeSet::from(["closed", "connect", "not_smpp", "refused", "silent", "tls", "unbound"]);
    assert_eq!(values(&text, names::SMPP_RECONNECTS_TOTAL, "reason"), reasons);
    let statuses: BTreeSet<_> = Status::names().chain(["generic_nack"]).collect();
    assert_eq!(values(&text, names::SMPP_RESPONSES_TOTAL, "status"), statuses);
    let refusals = values(&text, names::SMPP_BIND_FAILURES_TOTAL, "status");
    assert!(refusals.len() == 10 && refusals.contains("ESME_RINVPASWD") && refusals.contains("other"), "{refusals:?}");
    eventually(|| metrics.render().contains(r#"smpp_reconnects_total{operator="a",reason="connect"} 1"#)).await;
    it.end().await;
}

#[tokio::test]
async fn sessions_and_their_answers_are_shown_as_they_are() {
    let smsc = smsc();
    let behaviour = SmscBehaviour { max_binds: Some(1), ..SmscBehaviour::default() };
    let wrong = SmscMode::refuse(Status(0x43));
    smsc.set_behaviour(behaviour.with_suffix("01", wrong).with_suffix("02", SmscMode::Silent)).expect("valid");
    let (it, metrics) = measured(&format!("a={}?binds=2&window=5&timeout_ms=300", smsc.url()));
    eventually(|| smsc.stats().binds_refused == 1 && smsc.stats().sessions == 1).await;
    it.bound().await;
    for recipient in ["+491511200", "+491511201", "+491511202"] {
        it.send(&hello(recipient)).await;
    }
    let lines = [
        r#"smpp_sessions{operator="a",state="bound"} 1"#,
        r#"smpp_sessions{operator="a",state="waiting"} 1"#,
        r#"smpp_window_size{operator="a"} 5"#,
        r#"smpp_window_used{operator="a"} 1"#,
        r#"smpp_bind_failures_total{operator="a",status="ESME_RALYBND"} 1"#,
        r#"smpp_reconnects_total{operator="a",reason="refused"} 1"#,
        r#"smpp_responses_total{operator="a",status="ESME_ROK"} 1"#,
        r#"smpp_responses_total{operator="a",status="ESME_RINVESMCLASS"} 1"#,
        r#"smpp_submit_seconds_count{operator="a"} 2"#,
    ];
    eventually(|| lines.iter().all(|line| has(&metrics.render(), line))).await;
    it.end().await;
    let text = metrics.render();
    for line in [r#"smpp_sessions{operator="a",state="bound"} 0"#, r#"smpp_window_size{operator="a"} 0"#] {
        assert!(has(&text, line), "no {line} in\n{text}");
    }
    smsc.stop().await;
}

#[tokio::test]
async fn a_bind_that_is_refused_in_an_unusual_way_is_counted_as_other() {
    let smsc = smsc();
    smsc.set_behaviour(SmscBehaviour { refuse_binds: Some(Status(0x401)), ..SmscBehaviour::default() }).expect("valid");
    let (it, metrics) = measured(&format!("a={}", smsc.url()));
    eventually(|| has(&metrics.render(), r#"smpp_bind_failures_total{operator="a",status="other"} 1"#)).await;
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn a_session_is_not_shown_as_throttled_for_want_of_messages() {
    let smsc = smsc();
    let throttles = SmscMode::refuse(Status::THROTTLED);
    smsc.set_behaviour(SmscBehaviour::default().with_suffix("01", throttles)).expect("valid");
    let (it, metrics) = measured(&format!("a={}?timeout_ms=300", smsc.url()));
    it.bound().await;
    it.send(&hello("+491511201")).await;
    let shows = |state: &str| has(&metrics.render(), &format!(r#"smpp_sessions{{operator="a",state="{state}"}} 1"#));
    eventually(|| shows("throttled")).await;
    // Its pause ends, and there is nothing that it could take.
    eventually(|| shows("bound")).await;
    it.end().await;
    smsc.stop().await;
}

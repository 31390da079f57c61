//! The metrics that dashboards rely on.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use operator_simulator::Mode;
use operators::{BreakerConfig, OperatorsConfig, Prior};

use crate::{ClosedPort, build, config, simulator, submission};

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
        assert!(text.lines().any(|other| other == line), "no {line} in\n{text}");
    }
    simulator.stop().await;
}

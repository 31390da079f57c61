//! `/healthz` and `/readyz` while all is well, and while the broker is away.

use std::process::Command;

use serde_json::{Value, json};
use test_support::free_port;
use tokio::task::spawn_blocking;

use crate::support::{Answer, Fixture, Gateway, Request, fixture::BrokerKind, message};

pub(crate) async fn all_is_well(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for _ in 0..3 {
        let alive = api.get("/healthz").await;
        assert_eq!(alive.ok(), json!({"status": "ok"}));
        let ready = api.get("/readyz").await;
        assert_eq!(ready.ok(), json!({"status": "ready", "dependencies": {"mysql": "ok", "rabbitmq": "ok"}}));
    }
    let probe = api.call(Request::get("/healthz?from=probe").header("User-Agent", "kube-probe/1.31")).await;
    assert_eq!(probe.ok(), json!({"status": "ok"}));
}

/// As a container's health check runs it: the program itself, with the environment of the one that serves.
pub(crate) async fn the_program_checks_itself(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let check = |argument: &'static str, port: u16| async move {
        let mut program = Command::new(env!("CARGO_BIN_EXE_api-gateway"));
        program.arg(argument).env("LISTEN_ADDR", format!(":{port}"));
        spawn_blocking(move || program.output()).await.expect("no panic").expect("the program runs")
    };
    let output = check("--healthcheck", api.address.port()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = r#"{"status":"ready","dependencies":{"mysql":"ok","rabbitmq":"ok"}}"#;
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("api-gateway: {report}\n"));

    for (argument, port) in [("--healthcheck", free_port()), ("--help", api.address.port())] {
        let output = check(argument, port).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{output:?}");
    }
}

pub(crate) async fn the_broker_may_be_away(f: &Fixture) {
    let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let api = f.start(&[("RABBIT_URI", &uri)], BrokerKind::Rabbit).await;
    api.ready().await;
    let ready = api.get("/readyz").await;
    let dependencies = json!({"mysql": "ok", "rabbitmq": "unavailable"});
    assert_eq!(ready.ok(), json!({"status": "ready", "dependencies": dependencies}));
    // The outbox takes what the broker cannot.
    assert_accepts(&api).await;

    let strict = [("RABBIT_URI", uri.as_str()), ("READYZ_REQUIRES_BROKER", "true")];
    let api = f.start(&strict, BrokerKind::Rabbit).await;
    // The database is there: it has served the gateway above.
    let ready = test_support::wait_until(std::time::Duration::from_mins(1), "the database is ready", async || {
        let answer = api.get("/readyz").await;
        (not_ready(&answer)["mysql"] == json!("ok")).then_some(answer)
    });
    assert_eq!(not_ready(&ready.await), dependencies);
    assert_accepts(&api).await;
}

async fn assert_accepts(api: &Gateway) {
    api.fund(1, 1).await;
    api.send(&message(1, &["111"])).await.accepted();
}

/// The dependencies that a gateway names which is not ready.
#[track_caller]
pub(crate) fn not_ready(answer: &Answer) -> Value {
    assert_eq!(answer.status, 503, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["status"], json!("not_ready"));
    assert_eq!(body.as_object().expect("an object").len(), 2, "{body}");
    body["dependencies"].clone()
}

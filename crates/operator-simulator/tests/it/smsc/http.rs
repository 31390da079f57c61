//! SMSCs, steered over HTTP.

use operator_simulator::{Simulator, Smsc, SmscOptions};
use serde_json::{Value, json};
use smpp::{BindMode, Body, Status};

use crate::{
    ANY,
    client::call,
    smsc::{esme::Esme, wait_for_stats},
};

/// A simulator with an SMSC `a`.
fn start() -> (Simulator, Smsc) {
    let smsc = Smsc::start(ANY, SmscOptions { name: "a".to_owned(), ..SmscOptions::default() }).expect("a free port");
    let simulator = crate::start();
    simulator.add_smsc(&smsc);
    (simulator, smsc)
}

async fn stop((simulator, smsc): (Simulator, Smsc)) {
    simulator.stop().await;
    smsc.stop().await;
}

#[tokio::test]
async fn an_smsc_can_be_steered_and_looked_at_over_http() {
    let started = start();
    let (address, smsc) = (started.0.address(), &started.1);
    let behaviour = r#"{"default": {"mode": "status", "code": "ESME_RX_P_APPN"}, "ids": "name"}"#;
    assert_eq!(call(address, "PUT", "/smsc/a/behaviour", None, behaviour).await, (204, Value::Null));
    let mut esme = Esme::bound(smsc, BindMode::Transceiver).await;
    assert_eq!(esme.submit("+491").await.0, Status(0x65));
    let by_port = format!("/smsc/{}", smsc.address().port());
    let accept = r#"{"default": {"mode": "accept"}, "ids": "name"}"#;
    assert_eq!(call(address, "PUT", &format!("{by_port}/behaviour"), None, accept).await.0, 204);
    assert_eq!(esme.submit("+492").await, (Status::OK, "a-1".to_owned()));

    let (status, journal) = call(address, "GET", "/smsc/a/journal?after=1", None, "").await;
    assert_eq!(status, 200);
    let told: Vec<_> = journal
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| json!([entry["seq"], entry["what"], entry["decision"], entry["status"], entry["message_id"]]))
        .collect();
    let expected = [json!([2, "submit_sm", "refused", 101, null]), json!([3, "submit_sm", "accepted", 0, "a-1"])];
    assert_eq!(told, expected);
    let (status, stats) = call(address, "GET", &format!("{by_port}/stats"), None, "").await;
    assert_eq!((status, &stats["submits"], &stats["sessions"]), (200, &json!(2), &json!(1)));
    assert_eq!(call(address, "DELETE", "/smsc/a/journal", None, "").await.0, 204);
    assert_eq!(call(address, "GET", "/smsc/a/journal", None, "").await.1, json!([]));

    assert_eq!(call(address, "POST", "/smsc/a/unbind", None, "").await.0, 204);
    assert_eq!(esme.next().await.body, Body::Unbind);
    assert_eq!(call(address, "POST", "/smsc/a/cut", None, "").await.0, 204);
    assert_eq!(esme.next_or_end().await, None);
    wait_for_stats(smsc, |stats| stats.sessions == 0).await;
    stop(started).await;
}

#[tokio::test]
async fn wrong_requests_change_nothing() {
    let started = start();
    let address = started.0.address();
    for wrong in [r#"{"default": {"mode": "stall"}}"#, r#"{"refuse_binds": 0}"#, "nonsense"] {
        let (status, answer) = call(address, "PUT", "/smsc/a/behaviour", None, wrong).await;
        assert_eq!(status, 400);
        assert!(answer["message"].is_string());
    }
    for (method, path) in [
        ("PUT", "/smsc/b/behaviour"),
        ("GET", "/smsc/1/journal"),
        ("DELETE", "/smsc/b/journal"),
        ("GET", "/smsc/b/stats"),
        ("POST", "/smsc/b/unbind"),
        ("POST", "/smsc/b/cut"),
    ] {
        assert_eq!(call(address, method, path, None, "{}").await.0, 404, "{method} {path}");
    }
    let mut esme = Esme::bound(&started.1, BindMode::Transceiver).await;
    assert_eq!(esme.submit("+491").await.0, Status::OK);
    stop(started).await;
}

//! What `--healthcheck` asks, against a real admin server.

use std::{future::ready, net::TcpListener};

use service_kit::{
    Health,
    admin::AdminServer,
    health::Required,
    healthcheck::{HealthcheckError, readiness},
};
use settings::{ListenAddr, Source};
use tokio::task::spawn_blocking;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const ADDRESS: ListenAddr = ListenAddr { variable: "ADMIN_ADDR", default: ":8081" };

async fn check(address: String) -> Result<String, HealthcheckError> {
    let source = Source::from_pairs([(ADDRESS.variable, address)]);
    spawn_blocking(move || readiness(&source, ADDRESS)).await.expect("it does not panic")
}

/// Checks a process with one dependency, given as `ADMIN_ADDR` is written for its port.
async fn check_served(dependency_is_up: bool, address: impl Fn(u16) -> String) -> Result<String, HealthcheckError> {
    let health = Health::new().check("mysql", Required, move || ready(dependency_is_up));
    let candidates = Source::from_pairs([("ADMIN_ADDR", ":0")]).listen_addr("ADMIN_ADDR", "").expect("accepted");
    let server = AdminServer::bind(&candidates, health, telemetry::recorder().1).expect("a free port");
    let (port, stop) = (server.local_addr().port(), CancellationToken::new());
    let running = TaskTracker::new().spawn(server.run(stop.clone()));
    let result = check(address(port)).await;
    stop.cancel();
    running.await.expect("no panic").expect("it ends well");
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_process_is_found_however_its_address_is_written() {
    for host in ["", "0.0.0.0", "127.0.0.1", "localhost"] {
        let report = check_served(true, |port| format!("{host}:{port}")).await.expect(host);
        assert_eq!(report, r#"{"status":"ready","dependencies":{"mysql":"ok"}}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unavailable_is_named() {
    let error = check_served(false, |port| format!(":{port}")).await.expect_err("it is not ready");
    assert!(matches!(error, HealthcheckError::NotReady { status: 503, .. }), "{error}");
    assert!(error.to_string().contains(r#""mysql":"unavailable""#), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_nonsense_are_not_health() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let nonsense = spawn_blocking(move || {
        let (mut stream, _) = listener.accept().expect("the check connects");
        std::io::Write::write_all(&mut stream, b"SSH-2.0-what\r\n\r\n").expect("written");
    });
    let error = check(address.clone()).await.expect_err("not HTTP");
    assert!(matches!(error, HealthcheckError::NoAnswer { .. }), "{error}");
    nonsense.await.expect("it answered");
    // The listener is gone by now.
    let error = check(address).await.expect_err("nobody listens");
    assert!(matches!(error, HealthcheckError::NoAnswer { .. }), "{error}");
    let error = check("nowhere".to_owned()).await.expect_err("no address");
    assert!(matches!(error, HealthcheckError::Setting(_)), "{error}");
}

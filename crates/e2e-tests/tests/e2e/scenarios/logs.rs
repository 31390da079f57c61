//! What the services log about one message: lines of JSON that name its trace and its identifier, and nothing private.

use serde_json::Value;
use test_support::{ServiceProcess, database_url, rabbit_uri, wait_until};

use crate::{
    client::{Answer, Kind, Submission, TEXT},
    platform::{SETTLED, Setup},
};

const TRACE: &str = "5bf92f3577b34da6a3ce929d0e0e4736";
const REFUSED_TRACE: &str = "6bf92f3577b34da6a3ce929d0e0e4736";

/// The lines of a service, each of which must be a JSON object with our members.
fn lines(service: &ServiceProcess) -> Vec<Value> {
    let output = service.output();
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let lines: Vec<Value> = output.lines().map(parse).collect();
    for line in &lines {
        for member in ["timestamp", "level", "message", "target", "service"] {
            assert!(line[member].is_string(), "no {member} in {line}");
        }
    }
    lines
}

/// Waits for a line with this message in the trace.
async fn line_of(service: &ServiceProcess, trace: &str, message: &str) -> Value {
    let found = async || {
        let is_it = |line: &Value| line["trace_id"] == trace && line["message"] == message;
        lines(service).into_iter().find(is_it)
    };
    wait_until(SETTLED, &format!("a line {message:?} of trace {trace}"), found).await
}

fn submission(trace: &str, user: i64, recipient: &str) -> Submission {
    let traceparent = Some(format!("00-{trace}-00f067aa0ba902b7-01"));
    Submission { traceparent, ..Submission::new(user, Kind::Normal, &[recipient]) }
}

/// `user:password@` of a URL, if it has one.
fn credentials(url: &str) -> Option<&str> {
    let authority = url.split("://").nth(1)?;
    authority.find('@').map(|end| &authority[..=end])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_about_a_message_name_its_trace_and_identifier_and_nothing_private() {
    let mut platform = Setup::new()
        .set("RUST_LOG", "info,api_gateway=debug,delivery_worker=debug,operators=debug")
        // Without retries the worker does not learn at once what became of a lost answer.
        .set("OPERATOR_MAX_RETRIES", "0")
        .start()
        .await;
    platform.mix_operators();
    platform.top_up(1, 100).await;

    let refused = platform.submit(submission(REFUSED_TRACE, 7, "+989127654301")).await;
    assert!(matches!(refused, Answer::Refused { status: 402, .. }), "{refused:?}");
    let line = line_of(&platform.gateway, REFUSED_TRACE, "a request was refused").await;
    assert_eq!((&line["code"], &line["user_id"]), (&"insufficient_balance".into(), &7.into()), "{line}");

    // The relay cannot publish it at first, and the operator takes it without an answer.
    assert!(platform.relays[0].terminate().await.success());
    let recipient = "+989127654303";
    let message = platform.send_as(submission(TRACE, 1, recipient)).await;
    let route = |key: &str| {
        format!(
            "UPDATE outbox_events SET payload = JSON_SET(payload, '$.routing_key', '{key}')
             WHERE aggregate_id = '{message}'"
        )
    };
    let names = platform.names.clone();
    assert_eq!(platform.tables.execute(&route("nowhere")).await, 1);
    platform.relays[0].start();
    let not_published = line_of(&platform.relays[0], TRACE, "an event was not published, trying later").await;
    assert_eq!(platform.tables.execute(&route(&names.normal_queue)).await, 1);
    let unknown = "no operator has answered for good; they are put off";
    let unknown = line_of(&platform.workers[0], TRACE, unknown).await;
    let handled = line_of(&platform.workers[0], TRACE, "a message was handled").await;
    for line in [&not_published, &unknown, &handled] {
        assert_eq!((&line["message_identifier"], &line["user_id"]), (&message.as_str().into(), &1.into()), "{line}");
    }
    assert_eq!((&not_published["service"], &unknown["service"]), (&"outbox-relay".into(), &"delivery-worker".into()));

    platform.wait_all_terminal().await;
    let (database, rabbit) = (database_url(), rabbit_uri());
    let secrets =
        [Some(TEXT), Some(&recipient[1..]), Some("989127654301"), credentials(&database), credentials(&rabbit)];
    for service in [&platform.gateway, &platform.relays[0], &platform.workers[0]] {
        let output = service.output();
        for secret in secrets.into_iter().flatten() {
            assert!(!output.contains(secret), "{secret} is in a log:\n{output}");
        }
    }
    platform.finish().await;
}

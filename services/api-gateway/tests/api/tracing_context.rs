//! The client's trace goes on in the outbox, so that one trace spans all services.

use crate::support::{Fixture, Request, message};

pub(crate) async fn the_trace_goes_on_in_the_outbox(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let send = || Request::post("/messages/send", &message(1, &["111"]));
    let traced = send().header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let continued = api.call(traced).await.accepted();
    let own = api.call(send()).await.accepted();
    let after_nonsense = api.call(send().header("traceparent", "00-zz-zz-zz")).await.accepted();
    let mut sql = f.sql().await;
    for (identifier, goes_on) in [(continued, true), (own, false), (after_nonsense, false)] {
        let stored =
            sql.text(&format!("SELECT traceparent FROM outbox_events WHERE aggregate_id = '{identifier}'")).await;
        let parts: Vec<_> = stored.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{stored}");
        assert_eq!(parts[1] == trace, goes_on, "{stored}");
        assert_ne!(parts[2], "00f067aa0ba902b7", "the span is ours, not the client's");
    }
    sql.close().await;
}

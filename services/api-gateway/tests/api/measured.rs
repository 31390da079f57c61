//! `/metrics`: names, labels, and that no client can invent any.

use std::collections::{BTreeMap, BTreeSet};

use api_gateway::endpoints;
use serde_json::json;

use crate::{
    receipts::TOKEN as RECEIPT_TOKEN,
    support::{
        Connection, Fixture, Request,
        collection::{Variables, collected},
        message,
        metrics::{Sample, Scrape},
    },
};

pub(crate) async fn requests_are_counted_by_route(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let before = api.metrics().await;
    api.fund(1, 10).await;
    api.send(&message(1, &["111"])).await.accepted();
    api.send(&message(1, &[])).await.error(400, "invalid_input");
    api.send(&message(2, &["111"])).await.error(402, "insufficient_balance");
    api.history("user_id=1&status=pending&limit=7").await;
    api.account(1).await;
    api.call(Request::new("DELETE", "/balance")).await.error(405, "method_not_allowed");
    let after = api.metrics().await;
    for (path, method, status) in [
        ("/balance/add", "POST", "200"),
        ("/messages/send", "POST", "200"),
        ("/messages/send", "POST", "400"),
        ("/messages/send", "POST", "402"),
        ("/messages/history", "GET", "200"),
        ("/balance", "GET", "200"),
        ("/balance", "DELETE", "405"),
        ("/readyz", "GET", "200"),
        ("/metrics", "GET", "200"),
    ] {
        let labels = [("path", path), ("method", method), ("status", status)];
        let counted = |name: &str| (after.sum(name, &labels), after.sum(name, &labels) - before.sum(name, &labels));
        let (total, more) = counted("http_requests_total");
        let expected = if path == "/readyz" { 0.0 } else { 1.0 };
        assert!(total >= 1.0 && more >= expected, "{labels:?}: {total}, {more} more");
        assert!(counted("http_request_duration_seconds_count").0 >= 1.0, "{labels:?}");
        assert!(counted("http_request_duration_seconds_bucket").0 >= 1.0, "{labels:?}: no histogram");
        assert!(counted("http_request_duration_seconds_sum").0 > 0.0, "{labels:?}");
    }
    for query in ["accept", "top_up", "history", "account"] {
        assert!(after.sum("db_queries_total", &[("query", query), ("result", "ok")]) >= 1.0, "{query}");
        assert!(after.sum("db_query_duration_seconds_count", &[("query", query)]) >= 1.0, "{query}");
    }
    for sample in after.samples.iter().filter(|sample| sample.name == "http_requests_total") {
        let labels: Vec<_> = sample.labels.keys().map(String::as_str).collect();
        assert_eq!(labels, ["method", "path", "status"], "{sample:?}");
    }
}

/// A series that appears with its first event hides that event from rates.
pub(crate) async fn every_endpoints_series_exist_from_the_start(f: &Fixture) {
    let api = f.gateway(&[("RECEIPT_SECRETS", &format!("operatorA={RECEIPT_TOKEN}"))]).await;
    let from_the_start = api.metrics().await;
    for endpoint in endpoints() {
        let labels = BTreeMap::from(
            [("path", endpoint.path()), ("method", endpoint.method()), ("status", "200")]
                .map(|(label, value)| (label.to_owned(), value.to_owned())),
        );
        let is_there = |sample: &Sample| sample.name == "http_requests_total" && sample.labels == labels;
        assert!(from_the_start.samples.iter().any(is_there), "{labels:?}");
    }
    api.fund(1, 1_000).await;
    let mut known = Variables::with("receipt_token", RECEIPT_TOKEN);
    for collected in collected() {
        let answer = api.call(collected.request(&known)).await;
        collected.learn(&answer, &mut known);
    }
    assert_eq!(queries(&api.metrics().await), queries(&from_the_start), "routes.rs names the queries of an endpoint");
}

/// The names of the database queries that are counted.
fn queries(scrape: &Scrape) -> BTreeSet<&str> {
    let counts = scrape.samples.iter().filter(|sample| sample.name == "db_queries_total");
    counts.filter_map(|sample| sample.labels.get("query")).map(String::as_str).collect()
}

pub(crate) async fn refused_requests_are_counted_too(f: &Fixture) {
    let api = f.gateway(&[("GLOBAL_RATE_LIMIT_RPS", "1"), ("GLOBAL_RATE_LIMIT_BURST", "1")]).await;
    let limited = [("path", "/openapi.json"), ("method", "GET"), ("status", "429")];
    let before = api.metrics().await.sum("http_requests_total", &limited);
    let refused = async || (api.get("/openapi.json").await.status == 429).then_some(());
    test_support::wait_until(std::time::Duration::from_secs(20), "a refusal", refused).await;
    assert!(api.metrics().await.sum("http_requests_total", &limited) > before);
}

pub(crate) async fn clients_cannot_invent_labels(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let mut connection = Connection::open(api.address).await;
    for number in 0..50 {
        for target in [
            format!("/nowhere-{number}"),
            format!("/balance/{number}"),
            format!("/swagger/nothing-{number}"),
            format!("/messages/history?user_id={number}&secret=hush"),
            format!("/messages/send/{number}?x={number}"),
        ] {
            connection.exchange(&Request::get(target)).await;
        }
        connection.exchange(&Request::new(&format!("INVENTED{number}"), "/balance")).await;
        connection.exchange(&Request::new("PROPFIND", format!("/nowhere-{number}"))).await;
    }
    let text = api.get("/metrics").await.text().to_owned();
    for invented in ["nowhere", "INVENTED", "PROPFIND", "nothing-", "hush", "user_id", "/balance/1", "/send/1"] {
        assert!(!text.contains(invented), "{invented} is in the metrics");
    }
    let metrics = api.metrics().await;
    let methods: BTreeSet<_> = metrics.values_of("method").into_iter().collect();
    let known = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "other"];
    assert!(methods.iter().all(|method| known.contains(method)) && methods.contains("other"), "{methods:?}");
    let paths: BTreeSet<_> = metrics.values_of("path").into_iter().collect();
    assert!(paths.len() <= endpoints().len() + 6, "{paths:?}");
}

pub(crate) async fn the_format_is_prometheus_text(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let answer = api.get("/metrics").await;
    assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("text/plain; version=0.0.4")));
    api.call(Request::post("/metrics", &json!({}))).await.error(405, "method_not_allowed");
    let answer = api.get("/metrics").await;
    for (name, kind) in [
        ("http_requests_total", "counter"),
        ("http_request_duration_seconds", "histogram"),
        ("db_queries_total", "counter"),
        ("db_query_duration_seconds", "histogram"),
    ] {
        assert!(answer.text().contains(&format!("# TYPE {name} {kind}\n")), "{name}");
        assert!(answer.text().contains(&format!("# HELP {name} ")), "{name}");
    }
}

//! What Grafana and Prometheus are started with.

use std::path::Path;

use serde_json::Value;

use crate::{grafana::dashboards, repository};

fn yaml(path: &str) -> Value {
    repository::yaml(&repository::root().join(path))
}

#[test]
fn grafana_finds_the_data_source_that_dashboards_choose_by_default() {
    let source = &yaml("observability/grafana/provisioning/datasources/prometheus.yml")["datasources"][0];
    assert_eq!((&source["type"], &source["isDefault"]), (&"prometheus".into(), &true.into()));
    assert_eq!(source["url"], "http://prometheus:9090");
    for dashboard in dashboards() {
        assert_eq!(dashboard.templating.list[0].current.value, source["uid"], "{}", dashboard.title);
    }
    let interval = &yaml("observability/prometheus/prometheus.yml")["global"]["scrape_interval"];
    assert_eq!(&source["jsonData"]["timeInterval"], interval);
}

#[test]
fn grafana_finds_the_traces_where_compose_collects_them() {
    let source = &yaml("observability/grafana/provisioning/datasources/jaeger.yml")["datasources"][0];
    assert_eq!((&source["type"], &source["uid"]), (&"jaeger".into(), &"jaeger".into()));
    let (host, port) =
        source["url"].as_str().expect("a URL").trim_start_matches("http://").split_once(':').expect("a port");
    let compose = yaml("docker-compose.yml");
    let ports = compose["services"][host]["ports"].as_array().expect("a service that listens");
    assert!(ports.iter().any(|listed| listed.as_str().is_some_and(|listed| listed.ends_with(port))), "{ports:?}");
}

#[test]
fn grafana_finds_the_dashboards() {
    let provider = &yaml("observability/grafana/provisioning/dashboards/messaging-platform.yml")["providers"][0];
    assert_eq!(provider["folder"], "Distributed Messaging Platform");
    assert_eq!(provider["type"], "file");
    let folder = provider["options"]["path"].as_str().expect("a path");
    assert!(Path::new(folder).is_absolute(), "{folder}");
}

#[test]
fn prometheus_scrapes_every_service_by_its_promised_name() {
    let config = yaml("observability/prometheus/prometheus.yml");
    let jobs = config["scrape_configs"].as_array().expect("a list");
    let targets: Vec<(&str, String)> = jobs
        .iter()
        .map(|job| {
            let dns = &job["dns_sd_configs"][0];
            let target = match dns["names"][0].as_str() {
                Some(name) => {
                    assert_eq!(dns["type"], "A", "{job}");
                    format!("{name}:{}", dns["port"])
                }
                None => job["static_configs"][0]["targets"][0].as_str().expect("a target").to_owned(),
            };
            (job["job_name"].as_str().expect("a name"), target)
        })
        .collect();
    let expected = [
        ("messaging-platform-api", "api-gateway:8080"),
        ("messaging-platform-relay", "outbox-relay:8081"),
        ("messaging-platform-worker", "delivery-worker:8082"),
        ("rabbitmq", "rabbitmq:15692"),
        ("rabbitmq-queues", "rabbitmq:15692"),
        ("prometheus", "localhost:9090"),
    ];
    assert_eq!(targets, expected.map(|(job, target)| (job, target.to_owned())));
}

//! A Prometheus of our own with the repository's configuration, its targets replaced by those of the test.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{Process, free_address, provision, wait_until};

use super::{http, platform::Platform};
use crate::repository;

const PATIENCE: Duration = Duration::from_mins(1);

/// One series of an answer.
#[derive(Debug)]
pub(super) struct Series {
    labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Series {
    pub(super) fn has_label(&self, label: &str) -> bool {
        self.labels.contains_key(label)
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// A running server.
pub(super) struct Prometheus {
    address: String,
    client: reqwest::Client,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Returns when every target was scraped.
    pub(super) async fn start(platform: &Platform) -> Self {
        let folder = tempfile::tempdir().expect("a folder for its data");
        let address = free_address().to_string();
        let config = folder.path().join("prometheus.yml");
        // JSON is YAML too.
        std::fs::write(&config, configuration(platform, &address).to_string()).expect("a writable folder");
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ];
        let binary = provision::prometheus().expect("prometheus is there or can be installed").server;
        let process = Process::start(&binary, &arguments.each_ref().map(String::as_str), [("LC_ALL", "C.UTF-8")]);
        let prometheus = Self { address, client: http::client(), _process: process, _folder: folder };
        wait_until(PATIENCE, "an answer of every target", async || {
            let up = prometheus.query("up == 1").await.ok()?;
            (up.len() == 6).then_some(())
        })
        .await;
        prometheus
    }

    /// The value of a query now.
    pub(super) async fn query(&self, query: &str) -> Result<Vec<Series>, String> {
        let url = format!("http://{}/api/v1/query", self.address);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).expect("a valid URL");
        let answer = self.client.get(url).send().await.map_err(|error| error.to_string())?;
        let answer: Answer = answer.json().await.map_err(|error| error.to_string())?;
        let data = answer.data.ok_or_else(|| answer.error.unwrap_or_default())?;
        let series = data.result.into_iter().map(|Entry { metric, value: (_, value) }| Series {
            labels: metric,
            value: value.parse().expect("a number"),
        });
        Ok(series.collect())
    }

    /// Rules that could not be evaluated, or not yet.
    pub(super) async fn unhealthy_rules(&self) -> Vec<String> {
        let url = format!("http://{}/api/v1/rules", self.address);
        let answer = self.client.get(url).send().await.expect("an answer").json::<Value>().await.expect("JSON");
        let groups = answer["data"]["groups"].as_array().expect("groups").clone();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone());
        rules.filter(|rule| rule["health"] != "ok").map(|rule| rule.to_string()).collect()
    }
}

/// The repository's configuration, in a hurry, with other targets and nothing else changed.
fn configuration(platform: &Platform, own_address: &str) -> Value {
    let mut config: Value = repository::yaml(&repository::root().join("observability/prometheus/prometheus.yml"));
    config["global"] = json!({ "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" });
    config["rule_files"] = json!([rules().display().to_string()]);
    let metrics_of_rabbitmq = platform.rabbit.metrics_address().expect("it was started with metrics");
    for job in config["scrape_configs"].as_array_mut().expect("a list of jobs") {
        let target = match job["job_name"].as_str().expect("a name") {
            "messaging-platform-api" => platform.gateway.address().to_string(),
            "messaging-platform-relay" => platform.relay.address().to_string(),
            "messaging-platform-worker" => platform.worker.address().to_string(),
            "rabbitmq" | "rabbitmq-queues" => metrics_of_rabbitmq.clone(),
            "prometheus" => own_address.to_owned(),
            other => panic!("the test has no target for {other}"),
        };
        let job = job.as_object_mut().expect("an object");
        job.remove("dns_sd_configs");
        job.insert("static_configs".to_owned(), json!([{ "targets": [target] }]));
    }
    config
}

fn rules() -> PathBuf {
    repository::root().join("observability/prometheus/rules/*.yml")
}

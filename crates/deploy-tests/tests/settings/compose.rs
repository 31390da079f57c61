//! docker-compose.yml, which passes every setting on to the service that reads it.

use std::collections::BTreeSet;

use deploy_tests::{CLOSING_SECONDS, read, repository_root, yaml_documents};
use serde_json::Value;

use crate::asked;

/// The container's name says it, and the database is named by its parts.
const NOT_PASSED_ON: [&str; 2] = ["APP_NAME", "DATABASE_URL"];

/// The names in a mapping, with those of a mapping that it merges (`<<`).
fn names(mapping: &Value) -> BTreeSet<String> {
    let entries = mapping.as_object().expect("a mapping");
    let merged = entries.get("<<").map(names).unwrap_or_default();
    entries.keys().filter(|name| *name != "<<").cloned().chain(merged).collect()
}

/// What a mapping says, or one that it merges.
fn entry<'a>(mapping: &'a Value, name: &str) -> Option<&'a Value> {
    mapping.get(name).or_else(|| entry(mapping.get("<<")?, name))
}

fn compose() -> Value {
    let text = read(&repository_root().join("docker-compose.yml")).expect("it is there");
    let mut documents = yaml_documents(&text).expect("it is YAML");
    assert_eq!(documents.len(), 1, "it is one document");
    documents.remove(0)
}

#[test]
fn compose_gives_services_the_time_to_end_in_order() {
    let compose = compose();
    for service in asked().into_keys() {
        let described = &compose["services"][service];
        let given = entry(described, "stop_grace_period").and_then(Value::as_str);
        let given: i64 = given.and_then(|text| text.strip_suffix('s')?.parse().ok()).expect("a number of seconds");
        let drain = entry(&described["environment"], "SHUTDOWN_TIMEOUT_SECS").and_then(Value::as_i64);
        let needed = drain.expect("it is set") + CLOSING_SECONDS;
        assert!(given >= needed, "{service}: {given} s of the {needed} s needed");
    }
}

#[test]
fn compose_passes_every_setting_on() {
    let compose = compose();
    for (service, asked) in asked() {
        let passed_on = names(&compose["services"][service]["environment"]);
        let asked: BTreeSet<_> = asked.into_iter().map(|asked| asked.name).collect();
        let missing: Vec<_> =
            asked.difference(&passed_on).filter(|name| !NOT_PASSED_ON.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "docker-compose.yml passes {missing:?} not on to {service}");
    }
}

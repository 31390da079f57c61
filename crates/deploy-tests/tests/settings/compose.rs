//! docker-compose.yml, which passes every setting on to the service that reads it.

use std::collections::BTreeSet;

use deploy_tests::{read, repository_root, yaml_documents};
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

#[test]
fn compose_passes_every_setting_on() {
    let text = read(&repository_root().join("docker-compose.yml")).expect("it is there");
    let [compose] = &yaml_documents(&text).expect("it is YAML")[..] else { panic!("it is one document") };
    for (service, asked) in asked() {
        let passed_on = names(&compose["services"][service]["environment"]);
        let asked: BTreeSet<_> = asked.into_iter().map(|asked| asked.name).collect();
        let missing: Vec<_> =
            asked.difference(&passed_on).filter(|name| !NOT_PASSED_ON.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "docker-compose.yml passes {missing:?} not on to {service}");
    }
}

//! What the services are told, judged by the code that reads it.

use std::collections::{BTreeMap, BTreeSet};

use deploy_tests::service_variables;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret};
use settings::Source;

use super::{references::scaled_objects, smpp};
use crate::platform::{Platform, Pods, SECRET_TEMPLATE, name_of};

/// What a person must replace.
const PLACEHOLDER: &str = "CHANGE_ME";
/// A key of the form that `cargo xtask key` prints.
const SOME_KEY: &str = "mpa_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ16kT6G";
/// A token of the form that `cargo xtask key --receipt` prints.
const SOME_TOKEN: &str = "mpr_aEP9zIeRgg8RqLXOzajjlMHeEc7KSz3Y4DoYHu";
/// A text of the form that `openssl rand -hex 32` prints. The placeholder itself is refused, being too short.
const SOME_MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Not set here: it would override `DB_HOST` to `DB_PASSWORD`.
const NOT_DEPLOYED: [&str; 1] = ["DATABASE_URL"];

/// The environment of a pod's container, as Kubernetes puts it together.
pub(crate) fn of(platform: &Platform, pods: &Pods) -> BTreeMap<String, String> {
    let secrets = platform.all::<Secret>();
    let secret = |name: &str, key: &str| {
        let found = secrets.iter().find(|secret| name_of(*secret) == name);
        let written = found.and_then(|secret| secret.string_data.as_ref()?.get(key).cloned());
        // What a person puts there.
        written.map(|value| match key {
            "ADMIN_API_KEY" => value.replace(PLACEHOLDER, SOME_KEY),
            "RECEIPT_SECRETS" => value.replace(PLACEHOLDER, SOME_TOKEN),
            "CALLBACK_MASTER_KEY" => value.replace(PLACEHOLDER, SOME_MASTER_KEY),
            _ => value,
        })
    };
    let mut environment = BTreeMap::new();
    for container in pods.containers() {
        for source in container.env_from.into_iter().flatten().filter_map(|source| source.config_map_ref) {
            environment.extend(platform.config(&source.name));
        }
        for variable in container.env.unwrap_or_default() {
            let from = variable.value_from.and_then(|source| source.secret_key_ref);
            let value = variable.value.map(|value| expanded(value, &environment));
            let value = value.or_else(|| from.and_then(|entry| secret(&entry.name, &entry.key)));
            environment.insert(variable.name, value.unwrap_or_default());
        }
    }
    environment
}

/// Replaces `$(NAME)` by what was set before; unknown names stay as they are.
fn expanded(value: String, environment: &BTreeMap<String, String>) -> String {
    environment.iter().fold(value, |value, (name, replacement)| value.replace(&format!("$({name})"), replacement))
}

pub(super) fn accepted_by_their_services(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for pods in platform.pods().iter().filter(|pods| pods.service_port().is_some()) {
        let source = Source::from_pairs(of(platform, pods));
        let addresses = match pods.image() {
            "api-gateway" => api_gateway::Settings::load(&source).map(|settings| settings.listen),
            "outbox-relay" => outbox_relay::Settings::load(&source).map(|settings| settings.admin),
            _ => delivery_worker::Settings::load(&source).map(|settings| settings.admin),
        };
        if let Err(error) = service_kit::runtime_threads(&source) {
            problems.push(format!("{}: {error}", pods.id));
        }
        match addresses {
            Err(error) => problems.push(format!("{}: {error}", pods.id)),
            Ok(addresses) => {
                let serves = |port: &i32| addresses.iter().all(|address| i32::from(address.port()) == *port);
                if !pods.service_port().is_some_and(|port| serves(&port)) {
                    problems.push(format!("{} listens on {addresses:?}", pods.id));
                }
            }
        }
    }
    problems
}

/// What the `ConfigMap`s that are an environment set.
fn config_variables(platform: &Platform) -> BTreeSet<String> {
    let containers = platform.pods().into_iter().flat_map(|pods| pods.containers());
    let sources = containers.flat_map(|container| container.env_from.unwrap_or_default());
    let maps = sources.filter_map(|source| source.config_map_ref);
    maps.flat_map(|map| platform.config(&map.name)).map(|(name, _)| name).collect()
}

pub(super) fn variables_exist(platform: &Platform) -> Vec<String> {
    let known = service_variables().expect("the file is there");
    config_variables(platform).into_iter().filter(|name| !known.contains(name)).collect()
}

/// A new setting belongs into a `ConfigMap` too, or into a Secret.
pub(super) fn every_variable_is_deployed(platform: &Platform) -> Vec<String> {
    let secrets = platform.base::<Secret>().into_iter().flat_map(|object| object.string_data.unwrap_or_default());
    let mut deployed = config_variables(platform);
    deployed.extend(secrets.map(|(name, _)| name));
    // Also what a person may add to a Secret.
    deployed.extend(platform.pods().iter().flat_map(Pods::optional_variables));
    let is_missing = |name: &String| !deployed.contains(name) && !NOT_DEPLOYED.contains(&name.as_str());
    service_variables().expect("the file is there").into_iter().filter(is_missing).collect()
}

/// Those that stand in manifests and not in a Secret.
fn lists_of_operators(platform: &Platform) -> Vec<String> {
    let maps = platform.all::<ConfigMap>().into_iter().flat_map(|object| object.data.unwrap_or_default());
    let containers = platform.pods().into_iter().flat_map(|pods| pods.containers());
    let variables = containers.flat_map(|container| container.env.unwrap_or_default());
    let variables = variables.filter_map(|variable| Some((variable.name, variable.value?)));
    maps.chain(variables).filter(|(name, _)| name == "OPERATORS").map(|(_, list)| list).collect()
}

pub(super) fn no_secret_is_written_down(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for document in platform.documents.iter().filter(|document| document.kind() == "Secret") {
        if !document.file.ends_with(SECRET_TEMPLATE) || document.value.get("data").is_some() {
            problems.push(document.id());
        }
    }
    for (name, value) in platform.all::<Secret>().into_iter().flat_map(|object| object.string_data.unwrap_or_default())
    {
        if name != "RABBITMQ_DEFAULT_USER" && !value.contains(PLACEHOLDER) {
            problems.push(name);
        }
    }
    let sounds_secret =
        |name: &str| ["PASS", "SECRET", "TOKEN", "URI", "API_KEY"].iter().any(|part| name.contains(part));
    problems.extend(config_variables(platform).into_iter().filter(|name| sounds_secret(name)));
    problems.extend(
        lists_of_operators(platform)
            .into_iter()
            .filter(|list| smpp::names_credentials(list))
            .map(|_| "OPERATORS".to_owned()),
    );
    for pods in platform.pods() {
        let written = pods.containers().into_iter().flat_map(|container| container.env.unwrap_or_default());
        let written = written.filter(|variable| variable.value.is_some() && sounds_secret(&variable.name));
        problems.extend(written.map(|variable| format!("{}: {}", pods.id, variable.name)));
    }
    problems
}

/// The services leave the schema to the Job, which is given the same database.
pub(super) fn the_job_migrates(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for pods in platform.pods().iter().filter(|pods| pods.are_ours()) {
        let environment = of(platform, pods);
        let set = |name: &str| environment.get(name).cloned().unwrap_or_default();
        let is_right = if pods.name == "migrate" {
            // As for the services, in parts: a URL made here would have their reserved characters unencoded.
            let parts = ["DB_HOST", "DB_PORT", "DB_NAME", "DB_USER_NAME", "DB_PASSWORD"];
            let same = !environment.contains_key("DATABASE_URL") && parts.iter().all(|name| !set(name).is_empty());
            let spec = pods.spec();
            let up = spec.containers.iter().all(|container| container.args.as_deref() == Some(&["up".to_owned()]));
            // Without the wait its first tries fail while a new database starts.
            let first = spec.init_containers.unwrap_or_default();
            let knows_where = |container: &Container| container.env_from == spec.containers[0].env_from;
            up && same && first.len() == 1 && first.iter().all(knows_where)
        } else {
            set("AUTO_MIGRATE") == "false"
        };
        if !is_right {
            problems.push(pods.id.clone());
        }
    }
    problems
}

/// KEDA looks at metrics and queues that exist.
pub(super) fn keda_watches_what_there_is(platform: &Platform) -> Vec<String> {
    let config = platform.config("messaging-platform-config");
    let queues = ["EXPRESS_QUEUE", "NORMAL_QUEUE"].map(|name| config.get(name).cloned().unwrap_or_default());
    let mut problems = Vec::new();
    let mut watched = BTreeSet::new();
    for trigger in scaled_objects(platform).into_iter().flat_map(|object| object.spec.triggers) {
        let parameter = |name: &str| trigger.metadata.get(name).cloned().unwrap_or_default();
        if trigger.kind == "rabbitmq" {
            watched.insert(parameter("queueName"));
        } else if !telemetry::names::ALL.iter().any(|metric| parameter("query").contains(metric.name)) {
            problems.push(parameter("query"));
        }
    }
    if watched != BTreeSet::from(queues) {
        problems.push(format!("{watched:?}"));
    }
    problems
}

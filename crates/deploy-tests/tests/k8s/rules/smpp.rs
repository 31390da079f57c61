//! What operators over SMPP allow and need, against what the manifests make of it.

use std::{collections::BTreeMap, path::Path};

use k8s_openapi::api::apps::v1::Deployment;
use operators::{Binding, Endpoint, SmppConfig, Trust, parse_operators};

use super::{flows, pods, scaling, settings};
use crate::{
    kustomize::Kustomization,
    platform::{Platform, Pods, name_of},
};

/// Where a Deployment says how many binds each of its operators allows, as `name=binds,name=binds`. Nothing but these
/// rules reads it.
const LIMITS: &str = "messaging-platform/smpp-bind-limits";

/// The operators that these pods reach over SMPP. A list that is wrong breaks another rule: services accept their
/// settings.
pub(super) fn operators(platform: &Platform, pods: &Pods) -> Vec<(String, SmppConfig)> {
    let list = settings::of(platform, pods).remove("OPERATORS").unwrap_or_default();
    let specs = parse_operators(&list).unwrap_or_default().into_iter();
    let over_smpp = specs.filter_map(|spec| match spec.endpoint {
        Endpoint::Smpp(config) => Some((spec.name.to_string(), *config)),
        Endpoint::Simulated | Endpoint::Http(_) => None,
    });
    over_smpp.collect()
}

/// Whether any pods reach operators over SMPP.
pub(super) fn is_used(platform: &Platform) -> bool {
    platform.pods().iter().any(|pods| !operators(platform, pods).is_empty())
}

/// Whether a list of operators belongs into a Secret: it names a password, or an account that has one.
pub(super) fn names_credentials(list: &str) -> bool {
    parse_operators(list).unwrap_or_default().iter().any(|spec| match &spec.endpoint {
        Endpoint::Simulated => false,
        Endpoint::Http(url) => !url.username().is_empty() || url.password().is_some(),
        Endpoint::Smpp(_) => true,
    })
}

/// What is wrong with each operator over SMPP, by its pods.
fn problems(platform: &Platform, problem: impl Fn(&Pods, &str, &SmppConfig) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for pods in platform.pods() {
        let operators = operators(platform, &pods);
        problems.extend(operators.iter().filter_map(|(name, config)| problem(&pods, name, config)));
    }
    problems
}

/// Every replica makes its own sessions, and knows nothing of those of the others.
pub(crate) fn binds(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for pods in platform.pods() {
        let Some(mut limits) = limits(platform, &pods.name) else {
            problems.push(format!("{}: {LIMITS} is no list of name=binds", pods.id));
            continue;
        };
        let most = scaling::most_pods(platform, &pods.name);
        for (name, config) in operators(platform, &pods) {
            let needed = most * of_each_process(&config);
            match limits.remove(&name) {
                Some(limit) if needed <= limit => {}
                Some(limit) => problems.push(format!("{}: {name} allows {limit} of {needed} binds", pods.id)),
                None => problems.push(format!("{}: {LIMITS} does not say how many binds {name} allows", pods.id)),
            }
        }
        problems.extend(limits.into_keys().map(|name| format!("{}: no operator over SMPP is called {name}", pods.id)));
    }
    problems
}

fn of_each_process(config: &SmppConfig) -> i32 {
    let sessions = match config.bind {
        Binding::Transceiver | Binding::Transmitter => 1,
        Binding::Pair => 2,
    };
    i32::from(config.binds) * sessions
}

/// What the annotation of a Deployment says; `None` where that is not what it should be, or says something twice.
fn limits(platform: &Platform, deployment: &str) -> Option<BTreeMap<String, i32>> {
    let found = platform.all::<Deployment>().into_iter().find(|object| name_of(object) == deployment);
    let text = found.and_then(|object| object.metadata.annotations?.remove(LIMITS)).unwrap_or_default();
    let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    let pairs = entries.iter().map(|entry| {
        let (name, limit) = entry.split_once('=')?;
        Some((name.to_owned(), limit.parse().ok()?))
    });
    let limits = pairs.collect::<Option<BTreeMap<_, _>>>()?;
    (limits.len() == entries.len()).then_some(limits)
}

pub(super) fn ports(platform: &Platform) -> Vec<String> {
    problems(platform, |pods, name, config| {
        let is_open = flows::reaches_internet(platform, pods, config.port);
        (!is_open).then(|| format!("{} may not connect to port {} of {name}", pods.id, config.port))
    })
}

/// A file that is not there stops the worker at its start.
pub(super) fn authorities(platform: &Platform) -> Vec<String> {
    problems(platform, |pods, name, config| {
        let Some(Trust::File(file)) = &config.tls else { return None };
        (!is_mounted(platform, pods, file)).then(|| format!("{}: nothing is at {} of {name}", pods.id, file.display()))
    })
}

/// Whether a file is an entry of a `ConfigMap` that every container of these pods mounts.
fn is_mounted(platform: &Platform, pods: &Pods, file: &Path) -> bool {
    let volumes = pods.spec().volumes.unwrap_or_default();
    let holds = |volume: &str, key: &str| {
        let mut maps =
            volumes.iter().filter(|known| known.name == volume).filter_map(|known| known.config_map.as_ref());
        maps.any(|map| platform.config(&map.name).contains_key(key))
    };
    pods.containers().iter().all(|container| {
        container.volume_mounts.iter().flatten().any(|mount| {
            let key = file.strip_prefix(&mount.mount_path).ok().and_then(Path::to_str);
            key.is_some_and(|key| holds(&mount.name, key))
        })
    })
}

/// What is in hand when a worker begins to end may wait for room, for half of the time that an answer may take, and
/// then for its answer. Where the worker is gone before, nobody knows of the message, and it may be sent twice.
pub(super) fn answers_before_the_end(platform: &Platform) -> Vec<String> {
    problems(platform, |pods, name, config| {
        let drain = settings::of(platform, pods).get("SHUTDOWN_TIMEOUT_SECS").and_then(|value| value.parse().ok());
        let needed = (config.timeout + config.timeout / 2).as_secs_f64();
        let given: f64 = drain.unwrap_or(20.0);
        (given < needed).then(|| format!("{}: {given} s of the {needed} s that {name} may take", pods.id))
    })
}

/// A folder beside `deploy/k8s` that lists these, with the Secrets that a person applies before.
fn rendered(resource: &str, components: &[&str]) -> Platform {
    let components: Vec<_> = components.iter().map(|name| format!("../k8s/components/{name}")).collect();
    let text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [{resource}]\ncomponents: [{}]\n",
        components.join(", ")
    );
    with_secrets(Kustomization::parse(&text, "a folder with operators over SMPP").rendered("deploy/production"))
}

/// No kustomization lists them.
pub(crate) fn with_secrets(mut platform: Platform) -> Platform {
    let all = Platform::with_smpp().documents.into_iter();
    platform.documents.extend(all.filter(|document| document.kind() == "Secret"));
    platform
}

#[test]
fn the_component_goes_with_every_other_choice() {
    for (resource, components, most) in [
        ("../k8s", &["smpp"][..], 10),
        ("../k8s", &["keda", "smpp"], 10),
        ("../k8s", &["managed-servers", "smpp", "keda"], 10),
        ("../small", &["smpp"], 1),
    ] {
        let platform = rendered(resource, components);
        assert!(is_used(&platform), "{resource} {components:?}");
        assert_eq!(scaling::most_pods(&platform, "delivery-worker"), most, "{resource} {components:?}");
        for check in [binds, ports, authorities, answers_before_the_end, pods::rolling_update] {
            assert_eq!(check(&platform), Vec::<String>::new(), "{resource} {components:?}");
        }
    }
}

#[test]
fn without_an_autoscaler_the_replicas_of_the_deployment_count() {
    let mut platform = rendered("../small", &["smpp"]);
    let mut documents = platform.documents.iter_mut();
    let worker = documents.find(|document| document.id() == "Deployment/delivery-worker").expect("it is there");
    worker.value["spec"]["replicas"] = 13.into();
    assert_eq!(binds(&platform), ["Deployment/delivery-worker: operatorA allows 12 of 13 binds"]);
}

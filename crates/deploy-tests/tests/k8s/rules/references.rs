//! What names something else names something that exists.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Secret, Service},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde_json::Value;

use crate::{
    platform::{Platform, Pods, name_of, selects},
    schema::{ScaledObject, TriggerAuthentication},
};

pub(super) fn selectors(platform: &Platform) -> Vec<String> {
    let all = platform.pods();
    let chosen = |pods: &Pods| pods.selector.iter().all(|selector| selects_only(selector, pods, &all));
    all.iter().filter(|pods| !chosen(pods)).map(|pods| pods.id.clone()).collect()
}

/// A selector that also chose the pods of others would take them over.
fn selects_only(selector: &LabelSelector, pods: &Pods, all: &[Pods]) -> bool {
    all.iter().all(|other| selects(selector, &other.labels()) == (other.id == pods.id))
}

pub(super) fn services(platform: &Platform) -> Vec<String> {
    let all = platform.pods();
    let mut problems = Vec::new();
    for service in platform.all::<Service>() {
        let (name, spec) = (name_of(&service), service.spec.unwrap_or_default());
        let selector = LabelSelector { match_labels: spec.selector, ..Default::default() };
        let chosen: Vec<_> = all.iter().filter(|pods| selects(&selector, &pods.labels())).collect();
        let [pods] = chosen.as_slice() else {
            problems.push(format!("Service/{name} chooses {} kinds of pods", chosen.len()));
            continue;
        };
        for port in spec.ports.unwrap_or_default() {
            let found = match &port.target_port {
                Some(IntOrString::String(target)) => pods.port(target),
                _ => None,
            };
            // The same number inside and outside: what the description calls mysql:3306 is that, whoever asks.
            if found != Some(port.port) {
                problems.push(format!("Service/{name}: port {}", port.port));
            }
        }
    }
    problems
}

pub(super) fn scale_targets(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for scaler in platform.all::<HorizontalPodAutoscaler>() {
        let target = scaler.spec.clone().unwrap_or_default().scale_target_ref;
        let is_deployment = target.api_version.as_deref() == Some("apps/v1") && target.kind == "Deployment";
        if !(is_deployment && platform.has("Deployment", &target.name)) {
            problems.push(format!("HorizontalPodAutoscaler/{}", name_of(&scaler)));
        }
    }
    for object in scaled_objects(platform) {
        if !platform.has("Deployment", &object.spec.scale_target_ref.name) {
            problems.push(format!("ScaledObject/{}", object.metadata.name));
        }
        for trigger in &object.spec.triggers {
            let authentication = trigger.authentication_ref.as_ref().map(|reference| reference.name.as_str());
            let is_known = authentication.is_none_or(|name| gives_a_host(platform, name));
            // The queues are found through a secret, Prometheus is not.
            if !is_known || (trigger.kind == "rabbitmq") != authentication.is_some() {
                problems.push(format!("ScaledObject/{}: {authentication:?}", object.metadata.name));
            }
        }
    }
    problems
}

/// A trigger without a host does not know where the queues are.
fn gives_a_host(platform: &Platform, authentication: &str) -> bool {
    let mut objects = authentications(platform).into_iter();
    objects.any(|(id, object)| {
        let mut targets = object.spec.secret_target_ref.iter();
        id == format!("TriggerAuthentication/{authentication}") && targets.any(|target| target.parameter == "host")
    })
}

fn authentications(platform: &Platform) -> Vec<(String, TriggerAuthentication)> {
    let documents = platform.documents.iter().filter(|document| document.kind() == "TriggerAuthentication");
    let parse = |value: &Value| serde_json::from_value(value.clone()).expect("schema.rs reads it");
    documents.map(|document| (document.id(), parse(&document.value))).collect()
}

pub(crate) fn scaled_objects(platform: &Platform) -> Vec<ScaledObject> {
    let objects = platform.documents.iter().filter(|document| document.kind() == "ScaledObject");
    objects.map(|document| serde_json::from_value(document.value.clone()).expect("schema.rs reads it")).collect()
}

/// Entries of `ConfigMap`s and Secrets that are asked for, as `ConfigMap/name/key`; an empty key asks for the whole.
fn entries_asked_for(platform: &Platform) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for pods in platform.pods() {
        let maps = pods.spec().volumes.into_iter().flatten().filter_map(|volume| volume.config_map);
        asked.extend(maps.map(|map| (pods.id.clone(), format!("ConfigMap/{}/", map.name))));
        for container in pods.containers() {
            for source in container.env_from.unwrap_or_default() {
                let config = source.config_map_ref.map(|config| format!("ConfigMap/{}/", config.name));
                let secret = source.secret_ref.map(|secret| format!("Secret/{}/", secret.name));
                asked.extend(config.into_iter().chain(secret).map(|entry| (pods.id.clone(), entry)));
            }
            for source in container.env.into_iter().flatten().filter_map(|variable| variable.value_from) {
                let config = source.config_map_key_ref.map(|entry| format!("ConfigMap/{}/{}", entry.name, entry.key));
                let secret = source.secret_key_ref.map(|entry| format!("Secret/{}/{}", entry.name, entry.key));
                asked.extend(config.into_iter().chain(secret).map(|entry| (pods.id.clone(), entry)));
            }
        }
    }
    for (id, object) in authentications(platform) {
        let targets = object.spec.secret_target_ref.into_iter();
        asked.extend(targets.map(|target| (id.clone(), format!("Secret/{}/{}", target.name, target.key))));
    }
    asked
}

fn entries_there_are(platform: &Platform) -> BTreeSet<String> {
    let configs = platform.all::<ConfigMap>().into_iter();
    let configs = configs.map(|object| (format!("ConfigMap/{}", name_of(&object)), object.data.unwrap_or_default()));
    let secrets = platform.all::<Secret>().into_iter();
    let secrets =
        secrets.map(|object| (format!("Secret/{}", name_of(&object)), object.string_data.unwrap_or_default()));
    let entries = |(owner, data): (String, BTreeMap<String, String>)| -> Vec<_> {
        data.into_keys().chain([String::new()]).map(|key| format!("{owner}/{key}")).collect()
    };
    configs.chain(secrets).flat_map(entries).collect()
}

/// Entries of Secrets that pods start without.
fn optional_entries(platform: &Platform) -> BTreeSet<String> {
    let containers = platform.pods().into_iter().flat_map(|pods| pods.containers());
    let sources = containers.flat_map(|container| container.env.unwrap_or_default());
    let sources = sources.filter_map(|variable| variable.value_from?.secret_key_ref);
    let optional = sources.filter(|entry| entry.optional == Some(true));
    optional.map(|entry| format!("Secret/{}/{}", entry.name, entry.key)).collect()
}

pub(super) fn entries(platform: &Platform) -> Vec<String> {
    let (asked, there) = (entries_asked_for(platform), entries_there_are(platform));
    let optional = optional_entries(platform);
    let missing = asked.into_iter().filter(|(_, entry)| !there.contains(entry) && !optional.contains(entry));
    missing.map(|(who, entry)| format!("{who} asks for {entry}")).collect()
}

pub(super) fn every_secret_is_used(platform: &Platform) -> Vec<String> {
    let asked: BTreeSet<_> = entries_asked_for(platform).into_iter().map(|(_, entry)| entry).collect();
    let is_idle = |entry: &String| entry.starts_with("Secret/") && !entry.ends_with('/') && !asked.contains(entry);
    entries_there_are(platform).into_iter().filter(is_idle).collect()
}

pub(super) fn volumes(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for set in platform.all::<StatefulSet>() {
        let (name, spec) = (name_of(&set), set.spec.unwrap_or_default());
        if !spec.service_name.is_some_and(|service| platform.has("Service", &service)) {
            problems.push(format!("StatefulSet/{name}: serviceName"));
        }
        let claims: BTreeSet<_> = spec.volume_claim_templates.iter().flatten().map(name_of).collect();
        let containers = spec.template.spec.unwrap_or_default().containers;
        let mounted: BTreeSet<_> = containers
            .into_iter()
            .flat_map(|container| container.volume_mounts.unwrap_or_default())
            .map(|mount| mount.name)
            .collect();
        if claims != mounted || claims.is_empty() {
            problems.push(format!("StatefulSet/{name}: {claims:?} are claimed, {mounted:?} mounted"));
        }
    }
    problems
}

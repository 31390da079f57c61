//! How pods run, are watched, replaced and found.

use deploy_tests::CLOSING_SECONDS;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Container, Probe},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{settings, smpp};
use crate::{
    kustomization,
    platform::{Platform, Pods, name_of, selects},
};

pub(super) fn labels(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for document in &platform.documents {
        if document.text("/metadata/labels/app.kubernetes.io~1part-of") != "messaging-platform" {
            problems.push(format!("{} in {} is part of nothing", document.id(), document.file));
        }
    }
    for pods in platform.pods() {
        let labels = pods.labels();
        let is_set = |key: &str| labels.contains_key(&format!("app.kubernetes.io/{key}"));
        let is_named = labels.get("app.kubernetes.io/name") == Some(&pods.name);
        if !is_named || !is_set("component") || !is_set("part-of") {
            problems.push(pods.id);
        }
    }
    problems
}

pub(super) fn resources(platform: &Platform) -> Vec<String> {
    let is_bounded = |container: &Container| {
        let resources = container.resources.clone().unwrap_or_default();
        let (requests, limits) = (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default());
        ["cpu", "memory"].iter().all(|name| requests.contains_key(*name) && limits.contains_key(*name))
    };
    let unbounded = |pods: &Pods| !pods.containers().iter().all(is_bounded);
    platform.pods().into_iter().filter(unbounded).map(|pods| pods.id).collect()
}

/// Our services are asked over HTTP at the port they serve on; the servers beside them have some probe of each kind.
pub(super) fn probes(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for pods in platform.pods().iter().filter(|pods| pods.selector.is_some()) {
        for container in pods.containers() {
            for (probe, what, path) in [
                (&container.startup_probe, "startup", "/healthz"),
                (&container.liveness_probe, "liveness", "/healthz"),
                (&container.readiness_probe, "readiness", "/readyz"),
            ] {
                let is_right = match (probe, pods.service_port()) {
                    (Some(probe), Some(port)) => asks(pods, probe, path, port),
                    (probe, None) => probe.is_some(),
                    (None, Some(_)) => false,
                };
                if !is_right {
                    problems.push(format!("{}: {what}", pods.id));
                }
            }
        }
    }
    problems
}

fn asks(pods: &Pods, probe: &Probe, path: &str, port: i32) -> bool {
    probe.http_get.as_ref().is_some_and(|get| match &get.port {
        IntOrString::String(name) => pods.port(name) == Some(port) && get.path.as_deref() == Some(path),
        IntOrString::Int(_) => false,
    })
}

pub(super) fn grace_period(platform: &Platform) -> Vec<String> {
    let mut problems = Vec::new();
    for pods in platform.pods().iter().filter(|pods| pods.service_port().is_some()) {
        let settings = settings::of(platform, pods);
        let drain: i64 = settings.get("SHUTDOWN_TIMEOUT_SECS").and_then(|value| value.parse().ok()).unwrap_or(20);
        let needed = sleep_before_stop(pods) + drain + CLOSING_SECONDS;
        let given = pods.spec().termination_grace_period_seconds.unwrap_or(30);
        if given < needed {
            problems.push(format!("{}: {given} s of the {needed} s needed", pods.id));
        }
    }
    problems
}

/// Only the gateway is called through a Service, which takes a moment to learn that a pod is about to go.
pub(super) fn sleep_before_listener_closes(platform: &Platform) -> Vec<String> {
    let gateway = platform.pods().into_iter().filter(|pods| pods.name == "api-gateway");
    gateway.filter(|pods| sleep_before_stop(pods) == 0).map(|pods| pods.id).collect()
}

pub(crate) fn sleep_before_stop(pods: &Pods) -> i64 {
    let sleep = |container: Container| container.lifecycle?.pre_stop?.sleep.map(|sleep| sleep.seconds);
    pods.containers().into_iter().filter_map(sleep).max().unwrap_or(0)
}

pub(super) fn rolling_update(platform: &Platform) -> Vec<String> {
    let with_binds = platform.pods().into_iter().filter(|pods| !smpp::operators(platform, pods).is_empty());
    let counted: Vec<_> = with_binds.map(|pods| pods.name).collect();
    let deployments = platform.all::<Deployment>().into_iter();
    let wrong = deployments.filter(|deployment| {
        let spec = deployment.spec.clone().unwrap_or_default();
        let strategy = spec.strategy.unwrap_or_default();
        let update = strategy.rolling_update.unwrap_or_default();
        let is_rolling = strategy.type_.as_deref() == Some("RollingUpdate");
        // More than one at a time would need more processors and connections than are counted for; one more would need
        // binds, where operators count them.
        let (more, less) = if counted.contains(&name_of(deployment)) { (0, 1) } else { (1, 0) };
        let is_right = |given: &Option<IntOrString>, number| *given == Some(IntOrString::Int(number));
        !(is_rolling && is_right(&update.max_surge, more) && is_right(&update.max_unavailable, less))
    });
    wrong.map(|deployment| name_of(&deployment)).collect()
}

pub(super) fn spread(platform: &Platform) -> Vec<String> {
    let is_spread = |pods: &Pods, key: &str| {
        let constraints = pods.spec().topology_spread_constraints.unwrap_or_default();
        constraints.iter().any(|constraint| {
            let chooses = constraint.label_selector.as_ref().is_some_and(|selector| selects(selector, &pods.labels()));
            constraint.topology_key == key && chooses
        })
    };
    let keys = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];
    let services = platform.pods().into_iter().filter(|pods| pods.service_port().is_some());
    services.filter(|pods| !keys.iter().all(|key| is_spread(pods, key))).map(|pods| pods.id).collect()
}

pub(super) fn scraping(platform: &Platform) -> Vec<String> {
    let scraped = platform.pods().into_iter().filter(|pods| pods.service_port().is_some() || pods.name == "rabbitmq");
    let wrong = scraped.filter(|pods| {
        let annotations = pods.annotations();
        let annotation = |name: &str| annotations.get(&format!("prometheus.io/{name}")).cloned().unwrap_or_default();
        let port = pods.service_port().or_else(|| pods.port("metrics")).map(|port| port.to_string());
        !(annotation("scrape") == "true" && Some(annotation("port")) == port && annotation("path") == "/metrics")
    });
    wrong.map(|pods| pods.id).collect()
}

/// Ours are named in the kustomization, which says which version of them; others have a version, never `latest`.
pub(super) fn images(platform: &Platform) -> Vec<String> {
    let chosen = kustomization::image_names();
    let mut problems = Vec::new();
    for pods in platform.pods() {
        for container in pods.containers() {
            let image = container.image.unwrap_or_default();
            let (name, tag) = image.split_once(':').unwrap_or((&image, ""));
            let is_right = if pods.are_ours() {
                chosen.iter().any(|chosen| chosen == name) && name == format!("messaging-platform/{}", pods.image())
            } else {
                !["", "latest"].contains(&tag)
            };
            // With `latest` the default is to pull always, which fails for an image that was loaded into the node.
            if !is_right || container.image_pull_policy.as_deref() != Some("IfNotPresent") {
                problems.push(format!("{}: {image}", pods.id));
            }
        }
    }
    problems
}

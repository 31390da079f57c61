//! Connections that must be allowed, and some that must not.

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::smpp;
use crate::{
    network::{End, allows, namespace},
    platform::{Platform, Pods},
};

/// From, to, protocol, port.
type Flow = (&'static str, &'static str, &'static str, i32);

const NEEDED: &[Flow] = &[
    ("ingress", "api-gateway", "TCP", 8080),
    ("prometheus", "api-gateway", "TCP", 8080),
    ("prometheus", "outbox-relay", "TCP", 8081),
    ("prometheus", "delivery-worker", "TCP", 8082),
    ("prometheus", "rabbitmq", "TCP", 15692),
    ("api-gateway", "mysql", "TCP", 3306),
    ("api-gateway", "rabbitmq", "TCP", 5672),
    ("outbox-relay", "mysql", "TCP", 3306),
    ("outbox-relay", "rabbitmq", "TCP", 5672),
    ("prometheus", "relay-callbacks", "TCP", 8081),
    ("relay-callbacks", "mysql", "TCP", 3306),
    ("relay-callbacks", "internet", "TCP", 443),
    ("relay-callbacks", "internet6", "TCP", 443),
    ("relay-callbacks", "collector", "TCP", 4317),
    ("relay-callbacks", "dns", "UDP", 53),
    ("delivery-worker", "mysql", "TCP", 3306),
    ("delivery-worker", "rabbitmq", "TCP", 5672),
    ("delivery-worker", "internet", "TCP", 443),
    ("delivery-worker", "internet6", "TCP", 443),
    ("migrate", "mysql", "TCP", 3306),
    ("api-gateway", "collector", "TCP", 4317),
    ("outbox-relay", "collector", "TCP", 4317),
    ("delivery-worker", "collector", "TCP", 4317),
    ("api-gateway", "dns", "UDP", 53),
    ("outbox-relay", "dns", "UDP", 53),
    ("delivery-worker", "dns", "TCP", 53),
    ("migrate", "dns", "UDP", 53),
];

const NEEDED_WITH_KEDA: &[Flow] = &[("keda", "rabbitmq", "TCP", 5672)];

const NEEDED_WITH_MANAGED_SERVERS: &[Flow] = &[
    ("api-gateway", "managed server", "TCP", 3306),
    ("outbox-relay", "managed server", "TCP", 5671),
    ("relay-callbacks", "managed server", "TCP", 3306),
    ("delivery-worker", "managed server", "TCP", 5672),
    ("migrate", "managed server", "TCP", 3306),
];

const NEEDED_WITH_SMPP: &[Flow] = &[
    ("delivery-worker", "internet", "TCP", 2775),
    ("delivery-worker", "internet", "TCP", 3550),
    ("delivery-worker", "internet6", "TCP", 2775),
    ("delivery-worker", "internet6", "TCP", 3550),
];

const FORBIDDEN_IN_BASE: &[Flow] =
    &[("delivery-worker", "internet", "TCP", 2775), ("delivery-worker", "internet", "TCP", 3550)];

/// With the components too.
const FORBIDDEN: &[Flow] = &[
    ("stranger", "api-gateway", "TCP", 8080),
    ("stranger", "mysql", "TCP", 3306),
    ("stranger", "rabbitmq", "TCP", 5672),
    ("ingress", "outbox-relay", "TCP", 8081),
    ("ingress", "rabbitmq", "TCP", 15672),
    ("prometheus", "mysql", "TCP", 3306),
    ("prometheus", "rabbitmq", "TCP", 5672),
    ("keda", "mysql", "TCP", 3306),
    ("keda's metrics", "rabbitmq", "TCP", 5672),
    ("api-gateway", "outbox-relay", "TCP", 8081),
    ("api-gateway", "rabbitmq", "TCP", 15672),
    ("api-gateway", "internet", "TCP", 443),
    ("outbox-relay", "internet", "TCP", 443),
    ("ingress", "relay-callbacks", "TCP", 8081),
    ("relay-callbacks", "rabbitmq", "TCP", 5672),
    ("relay-callbacks", "internet", "TCP", 80),
    ("relay-callbacks", "node metadata", "TCP", 443),
    ("relay-callbacks", "private network", "TCP", 443),
    ("relay-callbacks", "private network6", "TCP", 443),
    ("delivery-worker", "internet", "TCP", 80),
    ("delivery-worker", "node metadata", "TCP", 443),
    ("delivery-worker", "private network", "TCP", 443),
    ("delivery-worker", "private network6", "TCP", 443),
    ("delivery-worker", "node metadata", "TCP", 2775),
    ("delivery-worker", "private network", "TCP", 2775),
    ("delivery-worker", "private network6", "TCP", 3550),
    ("api-gateway", "internet", "TCP", 2775),
    ("relay-callbacks", "internet", "TCP", 3550),
    ("migrate", "rabbitmq", "TCP", 5672),
    ("migrate", "internet", "TCP", 443),
    ("mysql", "internet", "TCP", 443),
    ("mysql", "rabbitmq", "TCP", 5672),
    ("rabbitmq", "mysql", "TCP", 3306),
    ("rabbitmq", "internet", "TCP", 443),
];

fn end(platform: &Platform, name: &str) -> End {
    let address = |text: &str| End::Address(text.parse().expect("an address"));
    match name {
        "internet" => address("203.0.113.10"),
        "internet6" => address("2001:db8::10"),
        "node metadata" => address("169.254.169.254"),
        "private network" => address("10.96.0.1"),
        "private network6" => address("fd00::1"),
        "managed server" => address("192.0.2.20"),
        "ingress" => End::elsewhere(namespace("ingress", &[("messaging-platform/api-client", "true")]), &[]),
        "prometheus" => End::elsewhere(namespace("monitoring", &[]), &[("app.kubernetes.io/name", "prometheus")]),
        "collector" => End::elsewhere(namespace("monitoring", &[]), &[("app.kubernetes.io/name", "collector")]),
        // As its own manifests label the pods, which differ from each other and from version to version in the rest.
        "keda" => End::elsewhere(namespace("keda", &[]), &[("app", "keda-operator")]),
        "keda's metrics" => End::elsewhere(namespace("keda", &[]), &[("app", "keda-operator-metrics-apiserver")]),
        "dns" => End::elsewhere(namespace("kube-system", &[]), &[("k8s-app", "kube-dns")]),
        "stranger" => End::elsewhere(namespace("default", &[]), &[("app.kubernetes.io/name", "api-gateway")]),
        ours => {
            let pods = platform.pods().into_iter().find(|pods| pods.name == ours);
            End::ours(&pods.unwrap_or_else(|| panic!("no pods are called {ours}")))
        }
    }
}

fn differing(platform: &Platform, policies: &[NetworkPolicy], flows: &[Flow], allowed: bool) -> Vec<String> {
    let differs = |(from, to, protocol, port): &&Flow| {
        allows(policies, &end(platform, from), &end(platform, to), protocol, *port) != allowed
    };
    flows.iter().filter(differs).map(|(from, to, protocol, port)| format!("{from} -> {to} {protocol} {port}")).collect()
}

/// Without it, pods that no other policy speaks of could talk to anything.
pub(super) fn default_deny(platform: &Platform) -> Vec<String> {
    let denies = platform.base::<NetworkPolicy>().into_iter().filter_map(|policy| policy.spec).any(|spec| {
        let selector = spec.pod_selector.unwrap_or_default();
        let chooses_all = selector.match_labels.is_none() && selector.match_expressions.is_none();
        let both =
            ["Egress", "Ingress"].iter().all(|kind| spec.policy_types.iter().flatten().any(|given| given == kind));
        chooses_all && both && spec.ingress.is_none() && spec.egress.is_none()
    });
    if denies { Vec::new() } else { vec!["no policy denies everything".to_owned()] }
}

pub(super) fn needed(platform: &Platform) -> Vec<String> {
    let all = platform.all::<NetworkPolicy>();
    let mut problems = differing(platform, &platform.base::<NetworkPolicy>(), NEEDED, true);
    problems.extend(differing(platform, &all, NEEDED_WITH_KEDA, true));
    problems.extend(differing(platform, &all, NEEDED_WITH_MANAGED_SERVERS, true));
    if smpp::is_used(platform) {
        problems.extend(differing(platform, &all, NEEDED_WITH_SMPP, true));
    }
    problems
}

pub(super) fn forbidden(platform: &Platform) -> Vec<String> {
    let mut problems = differing(platform, &platform.all::<NetworkPolicy>(), FORBIDDEN, false);
    problems.extend(differing(platform, &platform.base::<NetworkPolicy>(), FORBIDDEN_IN_BASE, false));
    problems
}

/// Whether pods may connect to an address on the internet at this port.
pub(super) fn reaches_internet(platform: &Platform, pods: &Pods, port: u16) -> bool {
    let (policies, internet) = (platform.all::<NetworkPolicy>(), end(platform, "internet"));
    allows(&policies, &End::ours(pods), &internet, "TCP", port.into())
}

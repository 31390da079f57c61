//! How many pods there are, and what that asks of the database.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, policy::v1::PodDisruptionBudget},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{references::scaled_objects, settings};
use crate::{
    kustomization,
    platform::{Platform, Pods, SERVICES, name_of, selects},
};

/// Connections that are not the pools': the migration's, MySQL's own, a person's.
const OTHER_CONNECTIONS: i64 = 10;
/// How far KEDA scales where nothing is said.
const KEDA_MOST_PODS: i32 = 100;

/// Smallest and largest number of pods of each deployment.
pub(crate) fn bounds(platform: &Platform) -> BTreeMap<String, (i32, i32)> {
    let scalers = platform.all::<HorizontalPodAutoscaler>().into_iter();
    let specs = scalers.map(|scaler| scaler.spec.unwrap_or_default());
    specs.map(|spec| (spec.scale_target_ref.name, (spec.min_replicas.unwrap_or(1), spec.max_replicas))).collect()
}

/// The most pods of a deployment that there can be, whatever scales it: without an autoscaler those that it names.
pub(super) fn most_pods(platform: &Platform, name: &str) -> i32 {
    let scaled = scaled_objects(platform).into_iter().filter(|object| object.spec.scale_target_ref.name == name);
    let by_keda = scaled.map(|object| object.spec.max_replica_count.unwrap_or(KEDA_MOST_PODS));
    let by_autoscaler = bounds(platform).get(name).map(|(_, most)| *most);
    by_keda.chain(by_autoscaler).max().unwrap_or_else(|| {
        let mut deployments = platform.all::<Deployment>().into_iter();
        deployments.find(|deployment| name_of(deployment) == name).and_then(|found| found.spec?.replicas).unwrap_or(1)
    })
}

pub(super) fn autoscalers(platform: &Platform) -> Vec<String> {
    let bounds = bounds(platform);
    let scales = |name: &str| bounds.get(name).is_some_and(|(least, most)| *least >= 2 && most > least);
    SERVICES.iter().map(|(name, _)| *name).filter(|name| !scales(name)).map(str::to_owned).collect()
}

/// A number in the manifest would undo what the autoscaler decided, at each apply.
pub(super) fn replicas_are_the_autoscalers(platform: &Platform) -> Vec<String> {
    let deployments = platform.all::<Deployment>().into_iter();
    let fixed = deployments.filter(|deployment| deployment.spec.as_ref().is_some_and(|spec| spec.replicas.is_some()));
    fixed.map(|deployment| name_of(&deployment)).collect()
}

/// One budget for each service, which leaves a pod running and lets one go at the smallest number of pods.
pub(super) fn disruption_budgets(platform: &Platform) -> Vec<String> {
    let (budgets, bounds) = (platform.all::<PodDisruptionBudget>(), bounds(platform));
    let chosen_by = |budget: &PodDisruptionBudget, pods: &Pods| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| selects(selector, &pods.labels()))
    };
    let mut problems = Vec::new();
    for pods in platform.pods().iter().filter(|pods| pods.selector.is_some()) {
        let mine: Vec<_> = budgets.iter().filter(|budget| chosen_by(budget, pods)).collect();
        let least = bounds.get(&pods.name).map_or(1, |(least, _)| *least);
        let is_right = match (mine.as_slice(), pods.service_port()) {
            ([budget], Some(_)) => {
                let spec = budget.spec.clone().unwrap_or_default();
                let lets_one_go =
                    matches!(spec.max_unavailable, Some(IntOrString::Int(pods)) if (1..least).contains(&pods));
                lets_one_go && spec.min_available.is_none()
            }
            // A server with one pod: a budget would only keep its node from being drained.
            ([], None) => true,
            _ => false,
        };
        if !is_right {
            problems.push(pods.id.clone());
        }
    }
    problems
}

/// KEDA has the bounds of the autoscaler it takes the place of, and that one is taken away.
pub(super) fn keda_replaces_autoscalers(platform: &Platform) -> Vec<String> {
    let (bounds, deleted) = (bounds(platform), kustomization::deleted_by("components/keda"));
    let wrong = scaled_objects(platform).into_iter().filter(|object| {
        let (spec, name) = (&object.spec, &object.spec.scale_target_ref.name);
        let same = spec.min_replica_count.zip(spec.max_replica_count) == bounds.get(name).copied();
        let fallback = spec.fallback.as_ref().is_some_and(|fallback| {
            (spec.min_replica_count.unwrap_or(0)..=spec.max_replica_count.unwrap_or(0)).contains(&fallback.replicas)
        });
        !(same && fallback && deleted.contains(&format!("HorizontalPodAutoscaler/{name}")))
    });
    wrong.map(|object| object.metadata.name).collect()
}

/// Connections of all pools at their largest, with one pod more of each during an update.
pub(crate) fn connections_needed(platform: &Platform) -> i64 {
    let bounds = bounds(platform);
    let all = platform.pods();
    let services = all.iter().filter(|pods| pods.service_port().is_some());
    let pools = services.map(|pods| {
        let pool = settings::of(platform, pods).get("DB_MAX_OPEN_CONNS").and_then(|value| value.parse().ok());
        let most = bounds.get(&pods.name).map_or(0, |(_, most)| *most);
        i64::from(most + 1) * pool.unwrap_or(50_i64)
    });
    pools.sum()
}

/// All pools fit into the server's connections.
pub(super) fn connections(platform: &Platform) -> Vec<String> {
    let needed = connections_needed(platform) + OTHER_CONNECTIONS;
    let all = platform.pods();
    let containers = all.iter().filter(|pods| pods.name == "mysql").flat_map(Pods::containers);
    let mut arguments = containers.flat_map(|container| container.args.unwrap_or_default());
    let given = arguments.find_map(|argument| argument.strip_prefix("--max-connections=")?.parse().ok());
    match given {
        Some(given) if needed <= given => Vec::new(),
        given => vec![format!("{given:?} of the {needed} connections needed")],
    }
}

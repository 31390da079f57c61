//! Pod Security's profile `restricted`, and what we ask of pods beyond it.

use k8s_openapi::api::core::v1::{Container, Namespace, PodSecurityContext, SecurityContext};

use crate::platform::{NAMESPACE, Platform, Pods};

/// Pods that do not fulfil something.
fn pods(platform: &Platform, fulfil: impl Fn(&Pods) -> bool) -> Vec<String> {
    platform.pods().iter().filter(|pods| !fulfil(pods)).map(|pods| pods.id.clone()).collect()
}

/// Pods with a container that does not fulfil something.
fn containers(platform: &Platform, fulfil: impl Fn(&Container, &SecurityContext) -> bool) -> Vec<String> {
    pods(platform, |pods| {
        pods.containers()
            .iter()
            .all(|container| fulfil(container, &container.security_context.clone().unwrap_or_default()))
    })
}

fn context(pods: &Pods) -> PodSecurityContext {
    pods.spec().security_context.unwrap_or_default()
}

pub(super) fn namespace_enforces_restricted(platform: &Platform) -> Vec<String> {
    let namespaces = platform.all::<Namespace>();
    let labels = namespaces.first().and_then(|namespace| namespace.metadata.labels.clone()).unwrap_or_default();
    let modes = ["enforce", "audit", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}"));
    modes.into_iter().filter(|label| labels.get(label).map(String::as_str) != Some("restricted")).collect()
}

pub(super) fn everything_is_in_the_namespace(platform: &Platform) -> Vec<String> {
    let elsewhere = platform.documents.iter().filter(|document| match document.kind() {
        "Namespace" => document.name() != NAMESPACE,
        _ => document.text("/metadata/namespace") != NAMESPACE,
    });
    elsewhere.map(|document| format!("{} in {}", document.id(), document.file)).collect()
}

pub(super) fn not_root(platform: &Platform) -> Vec<String> {
    let mut problems = pods(platform, |pods| {
        let context = context(pods);
        context.run_as_non_root == Some(true) && context.run_as_user.is_some_and(|user| user > 0)
    });
    problems.extend(containers(platform, |_, context| {
        context.run_as_non_root != Some(false) && context.run_as_user.is_none_or(|user| user > 0)
    }));
    problems
}

pub(super) fn seccomp(platform: &Platform) -> Vec<String> {
    let mut problems =
        pods(platform, |pods| context(pods).seccomp_profile.is_some_and(|profile| profile.type_ == "RuntimeDefault"));
    problems.extend(containers(platform, |_, context| context.seccomp_profile.is_none()));
    problems
}

pub(super) fn no_escalation(platform: &Platform) -> Vec<String> {
    containers(platform, |_, context| {
        context.allow_privilege_escalation == Some(false) && context.privileged != Some(true)
    })
}

pub(super) fn no_capabilities(platform: &Platform) -> Vec<String> {
    containers(platform, |_, context| {
        let capabilities = context.capabilities.clone().unwrap_or_default();
        capabilities.drop.is_some_and(|drop| drop == ["ALL"]) && capabilities.add.is_none()
    })
}

pub(super) fn nothing_of_the_node(platform: &Platform) -> Vec<String> {
    let mut problems = pods(platform, |pods| {
        let spec = pods.spec();
        let host = [spec.host_network, spec.host_pid, spec.host_ipc, spec.host_users];
        // Of all kinds of volumes these two are used; others that `restricted` allows can be added.
        let is_harmless =
            |volume: &k8s_openapi::api::core::v1::Volume| volume.empty_dir.is_some() || volume.config_map.is_some();
        host.iter().all(Option::is_none) && spec.volumes.iter().flatten().all(is_harmless)
    });
    problems.extend(containers(platform, |container, _| {
        container.ports.iter().flatten().all(|port| port.host_port.is_none() && port.host_ip.is_none())
    }));
    problems
}

pub(super) fn no_special_requests(platform: &Platform) -> Vec<String> {
    let mut problems = pods(platform, |pods| {
        let context = context(pods);
        context.sysctls.is_none()
            && context.se_linux_options.is_none()
            && context.app_armor_profile.is_none()
            && context.windows_options.is_none()
    });
    problems.extend(containers(platform, |_, context| {
        context.proc_mount.is_none()
            && context.se_linux_options.is_none()
            && context.app_armor_profile.is_none()
            && context.windows_options.is_none()
    }));
    problems
}

pub(super) fn read_only_root(platform: &Platform) -> Vec<String> {
    pods(platform, |pods| {
        let is_read_only = |container: &Container| {
            container.security_context.as_ref().and_then(|context| context.read_only_root_filesystem) == Some(true)
        };
        !pods.are_ours() || pods.containers().iter().all(is_read_only)
    })
}

pub(super) fn no_token_or_links(platform: &Platform) -> Vec<String> {
    pods(platform, |pods| {
        let spec = pods.spec();
        spec.automount_service_account_token == Some(false) && spec.enable_service_links == Some(false)
    })
}

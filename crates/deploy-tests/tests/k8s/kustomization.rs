//! The kustomizations: what they list, take away and choose.

use std::collections::{BTreeMap, BTreeSet};

use deploy_tests::{files_below, read, repository_root};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::Value;

use crate::{
    kustomize::Kustomization,
    platform::{Document, Platform, SECRET_TEMPLATE},
};

const COMPONENTS: [&str; 3] = ["components/keda", "components/managed-servers", "components/smpp"];

/// The kustomization in a folder below `deploy/k8s`; an empty name is the base.
fn load(folder: &str) -> Kustomization {
    Kustomization::of(&format!("deploy/k8s/{folder}"))
}

/// Images whose version the base chooses.
pub(crate) fn image_names() -> Vec<String> {
    load("").images.into_iter().filter(|image| !image.new_tag.is_empty()).map(|image| image.name).collect()
}

/// Objects that a component takes away, as `Kind/name`.
pub(crate) fn deleted_by(component: &str) -> Vec<String> {
    let patches = load(component).patches().into_iter();
    patches.filter(|patch| patch.get("$patch") == Some(&"delete".into())).map(|patch| id(&patch)).collect()
}

fn id(patch: &Value) -> String {
    let text = |pointer: &str| patch.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/kind"), text("/metadata/name"))
}

fn manifests_below(folder: &str) -> BTreeSet<String> {
    let folder = repository_root().join("deploy/k8s").join(folder);
    let files = files_below(&folder).expect("the folder is there").into_iter();
    files.map(|path| path.strip_prefix(&folder).expect("it is below").display().to_string()).collect()
}

#[test]
fn every_manifest_is_listed_once_where_it_belongs() {
    for folder in [""].iter().chain(&COMPONENTS) {
        let listed = load(folder).resources;
        let unique: BTreeSet<_> = listed.iter().cloned().collect();
        assert_eq!(unique.len(), listed.len(), "{folder}: {listed:?}");
        let is_listed = |file: &String| {
            let is_of_another = folder.is_empty() && file.starts_with("components/");
            !file.ends_with("kustomization.yaml") && file != SECRET_TEMPLATE && !is_of_another
        };
        let expected: BTreeSet<_> = manifests_below(folder).into_iter().filter(is_listed).collect();
        assert_eq!(unique, expected, "{folder}");
    }
}

#[test]
fn components_are_named_in_the_base_and_change_what_it_has() {
    let folders: BTreeSet<_> = manifests_below("components").into_iter().collect();
    let folders: BTreeSet<_> = folders.iter().filter_map(|file| file.split('/').next()).collect();
    assert_eq!(folders, COMPONENTS.iter().map(|folder| folder.trim_start_matches("components/")).collect());
    let base = read(&repository_root().join("deploy/k8s/kustomization.yaml")).expect("it is there");
    let platform = Platform::load();
    assert_eq!(
        (load("").api_version.as_str(), load("").kind.as_str()),
        ("kustomize.config.k8s.io/v1beta1", "Kustomization")
    );
    for component in COMPONENTS {
        assert!(base.contains(&format!("#   - {component}\n")), "{component} is not offered");
        let loaded = load(component);
        assert_eq!(
            (loaded.api_version.as_str(), loaded.kind.as_str()),
            ("kustomize.config.k8s.io/v1alpha1", "Component"),
            "{component}"
        );
        for patch in loaded.patches() {
            let target = platform.documents.iter().find(|document| document.is_base() && document.id() == id(&patch));
            let target = target.unwrap_or_else(|| panic!("{component} changes {}, which is not there", id(&patch)));
            for pointer in ["/apiVersion", "/metadata/namespace"] {
                assert_eq!(patch.pointer(pointer), target.value.pointer(pointer), "{component}: {}", id(&patch));
            }
        }
    }
}

#[test]
fn managed_servers_leave_nothing_of_those_to_try() {
    let deleted: BTreeSet<_> = deleted_by("components/managed-servers").into_iter().collect();
    let of_servers = |name: &str| ["mysql", "rabbitmq"].contains(&name);
    let documents = Platform::load().documents;
    let expected = documents.iter().filter(|document| document.is_base() && of_servers(document.name()));
    assert_eq!(deleted, expected.map(Document::id).collect());
}

/// The commands of the guide: each file they name is there, and applied one by one they apply the whole base.
#[test]
fn the_guide_applies_every_manifest() {
    let guide = read(&repository_root().join("docs/kubernetes.md")).expect("it is there");
    let words: Vec<_> = guide.split_whitespace().map(|word| word.trim_matches(['`', ',', ';', ')', '('])).collect();
    let named = words.windows(2).filter(|pair| pair[0] == "-f").filter_map(|pair| pair[1].strip_prefix("deploy/k8s/"));
    let mut applied = BTreeSet::new();
    for path in named {
        assert!(repository_root().join("deploy/k8s").join(path).exists(), "{path}");
        let is_in = |file: &String| file == path || file.starts_with(&format!("{path}/"));
        applied.extend(manifests_below("").into_iter().filter(is_in));
    }
    for file in load("").resources {
        assert!(applied.contains(&file), "{file} is applied by no command of docs/kubernetes.md");
    }
}

#[test]
fn the_small_overlay_is_the_base_with_one_pod_of_each_and_smaller_requests() {
    let small = Kustomization::of("deploy/small").rendered("deploy/small");
    assert_eq!(small.all::<HorizontalPodAutoscaler>().len(), 0);
    let without_requests = |platform: Platform| {
        let mut documents = platform.documents;
        documents.retain(|document| document.kind() != "HorizontalPodAutoscaler");
        for document in &mut documents {
            let containers = document.value.pointer_mut("/spec/template/spec/containers");
            for container in containers.and_then(|containers| containers.as_array_mut()).into_iter().flatten() {
                container["resources"]["requests"] = "some".into();
            }
        }
        documents.into_iter().map(|document| (document.id(), document.value)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(without_requests(small), without_requests(Kustomization::of("deploy/k8s").rendered("deploy/k8s")));
}

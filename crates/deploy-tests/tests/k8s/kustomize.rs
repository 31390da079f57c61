//! What kustomize makes of a kustomization, as far as the ones here go: resources, components, patches that are merged,
//! and images.

use std::path::{Path, PathBuf};

use deploy_tests::{read, repository_root, yaml_documents};
use serde::Deserialize;
use serde_json::Value;

use crate::platform::{Document, Platform};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Kustomization {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) resources: Vec<String>,
    #[serde(default)]
    pub(crate) components: Vec<String>,
    #[serde(default)]
    patches: Vec<Patch>,
    #[serde(default)]
    pub(crate) images: Vec<Image>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    patch: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) new_name: Option<String>,
    pub(crate) new_tag: String,
}

impl Kustomization {
    /// The one in a folder below the root of the repository, such as `deploy/k8s`.
    pub(crate) fn of(folder: &str) -> Self {
        Self::in_folder(&repository_root().join(folder))
    }

    fn in_folder(folder: &Path) -> Self {
        let path = folder.join("kustomization.yaml");
        Self::parse(&read(&path).expect("it is there"), &path.display().to_string())
    }

    pub(crate) fn parse(text: &str, name: &str) -> Self {
        let mut documents = yaml_documents(text).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(documents.len(), 1, "{name}");
        serde_json::from_value(documents.remove(0)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The patches, as far as they are merged into something.
    pub(crate) fn patches(&self) -> Vec<Value> {
        let parse = |patch: &Patch| yaml_documents(&patch.patch).expect("a patch is YAML");
        self.patches.iter().flat_map(parse).collect()
    }

    /// The objects that `kubectl apply -k` would apply, if this were in `folder` (below the root of the repository).
    pub(crate) fn rendered(&self, folder: &str) -> Platform {
        let mut documents = Vec::new();
        self.apply(&repository_root().join(folder), &mut documents);
        Platform { documents }
    }

    /// Applies the patches alone.
    pub(crate) fn patch(&self, documents: &mut Vec<Document>) {
        for patch in self.patches() {
            apply_patch(documents, &patch);
        }
    }

    fn apply(&self, folder: &Path, documents: &mut Vec<Document>) {
        for resource in &self.resources {
            let path = below(folder, resource);
            if path.is_dir() {
                Self::in_folder(&path).apply(&path, documents);
            } else {
                documents.extend(objects(&path));
            }
        }
        for component in &self.components {
            let path = below(folder, component);
            Self::in_folder(&path).apply(&path, documents);
        }
        self.patch(documents);
        for document in documents {
            rename_images(&mut document.value, &self.images);
        }
    }
}

/// Without asking the file system: the folder of an example need not be there.
fn below(folder: &Path, relative: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for part in relative.split('/') {
        match part {
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path
}

fn objects(path: &Path) -> Vec<Document> {
    let file = path.display().to_string();
    let parsed = yaml_documents(&read(path).expect("a resource is there"));
    let parsed = parsed.unwrap_or_else(|error| panic!("{file}: {error:#}"));
    parsed.into_iter().map(|value| Document { file: file.clone(), value }).collect()
}

fn apply_patch(documents: &mut Vec<Document>, patch: &Value) {
    let identity = |value: &Value| {
        ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"].map(|pointer| value.pointer(pointer).cloned())
    };
    let place = documents.iter().position(|document| identity(&document.value) == identity(patch));
    let place = place.unwrap_or_else(|| panic!("a patch changes {:?}, which is not there", identity(patch)));
    if patch.get("$patch") == Some(&"delete".into()) {
        documents.remove(place);
    } else {
        merge(&mut documents[place].value, patch);
    }
}

/// Maps are merged, and so are lists whose items have names (containers); anything else is replaced.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                match target.get_mut(key) {
                    Some(old) => merge(old, value),
                    None => drop(target.insert(key.clone(), value.clone())),
                }
            }
        }
        (Value::Array(target), Value::Array(patch)) if patch.iter().all(|item| item.get("name").is_some()) => {
            for item in patch {
                match target.iter_mut().find(|old| old.get("name") == item.get("name")) {
                    Some(old) => merge(old, item),
                    None => target.push(item.clone()),
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn rename_images(object: &mut Value, images: &[Image]) {
    let Some(pod) = object.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut) else { return };
    for containers in ["initContainers", "containers"] {
        for container in pod.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            let old = container.get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = old.rsplit_once(':').map_or(old.as_str(), |(name, _)| name);
            if let Some(image) = images.iter().find(|image| image.name == name) {
                let new_name = image.new_name.as_deref().unwrap_or(name);
                container["image"] = format!("{new_name}:{}", image.new_tag).into();
            }
        }
    }
}

#[test]
fn patches_are_merged_by_name_and_images_renamed() {
    let mut container = serde_json::json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "image": "one:latest", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
        {"name": "b", "image": "two:1", "args": ["x", "y"]},
    ]}}}});
    let patch = serde_json::json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "resources": {"requests": {"cpu": "2"}}},
        {"name": "b", "args": ["z"]},
    ]}}}});
    merge(&mut container, &patch);
    let image = Image { name: "one".to_owned(), new_name: Some("host:5000/one".to_owned()), new_tag: "2".to_owned() };
    rename_images(&mut container, &[image]);
    assert_eq!(
        container.pointer("/spec/template/spec/containers"),
        Some(&serde_json::json!([
            {"name": "a", "image": "host:5000/one:2", "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}},
            {"name": "b", "image": "two:1", "args": ["z"]},
        ]))
    );
}

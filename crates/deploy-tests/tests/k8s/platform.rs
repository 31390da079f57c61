//! The manifests, parsed.

use std::collections::BTreeMap;

use deploy_tests::{files_below, read, repository_root, yaml_documents};
use k8s_openapi::{
    Metadata,
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{ConfigMap, Container, EnvVar, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kustomize::Kustomization;

pub(crate) const NAMESPACE: &str = "distributed-messaging-platform";
/// Our services with the port they serve on; one image may run as two of them.
pub(crate) const SERVICES: [(&str, i32); 4] =
    [("api-gateway", 8080), ("outbox-relay", 8081), ("relay-callbacks", 8081), ("delivery-worker", 8082)];
/// Read by people only: no kustomization lists one.
pub(crate) const SECRET_TEMPLATE: &str = "secret.template.yaml";
/// The component that changes how workers run.
const SMPP: &str = "components/smpp";

/// One object of a manifest.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Below `deploy/k8s`, unless it was rendered.
    pub(crate) file: String,
    pub(crate) value: Value,
}

impl Document {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Such as `Deployment/api-gateway`.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// Part of what `kubectl apply -k deploy/k8s` applies, rather than of a component.
    pub(crate) fn is_base(&self) -> bool {
        !self.file.starts_with("components/")
    }
}

/// Manifests, without the kustomizations.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    pub(crate) documents: Vec<Document>,
}

/// Whatever makes pods.
#[derive(Debug)]
pub(crate) struct Pods {
    /// Such as `Deployment/api-gateway`.
    pub(crate) id: String,
    pub(crate) name: String,
    /// Jobs have none.
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) template: PodTemplateSpec,
}

impl Pods {
    fn new(id: &str, metadata: ObjectMeta, selector: Option<LabelSelector>, template: PodTemplateSpec) -> Self {
        let name = metadata.name.unwrap_or_default();
        Self { id: format!("{id}/{name}"), name, selector, template }
    }

    /// The service's port, where these are pods of one of our services.
    pub(crate) fn service_port(&self) -> Option<i32> {
        SERVICES.iter().find(|(name, _)| *name == self.name).map(|(_, port)| *port)
    }

    /// The image of ours that they run.
    pub(crate) fn image(&self) -> &str {
        if self.name == "relay-callbacks" { "outbox-relay" } else { &self.name }
    }

    /// Whether our code runs in them.
    pub(crate) fn are_ours(&self) -> bool {
        self.service_port().is_some() || self.name == "migrate"
    }

    pub(crate) fn spec(&self) -> PodSpec {
        self.template.spec.clone().unwrap_or_default()
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.template.metadata.clone().and_then(|metadata| metadata.labels).unwrap_or_default()
    }

    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        self.template.metadata.clone().and_then(|metadata| metadata.annotations).unwrap_or_default()
    }

    /// With the init containers.
    pub(crate) fn containers(&self) -> Vec<Container> {
        let spec = self.spec();
        spec.init_containers.into_iter().flatten().chain(spec.containers).collect()
    }

    /// Variables that a person may give by adding to a Secret.
    pub(crate) fn optional_variables(&self) -> Vec<String> {
        let variables = self.containers().into_iter().flat_map(|container| container.env.unwrap_or_default());
        let is_optional = |variable: &EnvVar| {
            let source = variable.value_from.as_ref().and_then(|source| source.secret_key_ref.as_ref());
            source.is_some_and(|entry| entry.optional == Some(true))
        };
        variables.filter(is_optional).map(|variable| variable.name).collect()
    }

    /// Number of the port with this name.
    pub(crate) fn port(&self, name: &str) -> Option<i32> {
        let mut ports = self.containers().into_iter().flat_map(|container| container.ports.unwrap_or_default());
        ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
    }
}

impl Platform {
    /// The manifests, but for those of operators over SMPP.
    pub(crate) fn load() -> Self {
        let mut platform = Self::of_all_files();
        platform.documents.retain(|document| !document.file.starts_with(SMPP));
        platform
    }

    /// All manifests, with what operators over SMPP change in them.
    pub(crate) fn with_smpp() -> Self {
        let mut platform = Self::of_all_files();
        Kustomization::of(&format!("deploy/k8s/{SMPP}")).patch(&mut platform.documents);
        platform
    }

    fn of_all_files() -> Self {
        let folder = repository_root().join("deploy/k8s");
        let mut documents = Vec::new();
        for path in files_below(&folder).expect("the manifests are there") {
            let file = path.strip_prefix(&folder).expect("it is below").to_str().expect("UTF-8").to_owned();
            if file.ends_with("kustomization.yaml") {
                continue;
            }
            let text = read(&path).expect("it is text");
            let parsed = yaml_documents(&text).unwrap_or_else(|error| panic!("{file}: {error:#}"));
            documents.extend(parsed.into_iter().map(|value| Document { file: file.clone(), value }));
        }
        Self { documents }
    }

    /// All objects of a kind.
    pub(crate) fn all<K: k8s_openapi::Resource + DeserializeOwned>(&self) -> Vec<K> {
        self.select(|_| true)
    }

    /// Those of a kind that belong to the base.
    pub(crate) fn base<K: k8s_openapi::Resource + DeserializeOwned>(&self) -> Vec<K> {
        self.select(Document::is_base)
    }

    fn select<K: k8s_openapi::Resource + DeserializeOwned>(&self, chosen: fn(&Document) -> bool) -> Vec<K> {
        let is_kind =
            |document: &&Document| document.text("/apiVersion") == K::API_VERSION && document.kind() == K::KIND;
        let parse = |document: &Document| {
            serde_json::from_value(document.value.clone()).unwrap_or_else(|error| panic!("{}: {error}", document.id()))
        };
        self.documents.iter().filter(is_kind).filter(|document| chosen(document)).map(parse).collect()
    }

    /// Everything that makes pods.
    pub(crate) fn pods(&self) -> Vec<Pods> {
        let deployments = self.all::<Deployment>().into_iter().map(|object| {
            let spec = object.spec.unwrap_or_default();
            Pods::new("Deployment", object.metadata, Some(spec.selector), spec.template)
        });
        let stateful_sets = self.all::<StatefulSet>().into_iter().map(|object| {
            let spec = object.spec.unwrap_or_default();
            Pods::new("StatefulSet", object.metadata, Some(spec.selector), spec.template)
        });
        let jobs = self
            .all::<Job>()
            .into_iter()
            .map(|object| Pods::new("Job", object.metadata, None, object.spec.unwrap_or_default().template));
        deployments.chain(stateful_sets).chain(jobs).collect()
    }

    /// The entries of the `ConfigMap` with this name; none when there is no such one.
    pub(crate) fn config(&self, name: &str) -> BTreeMap<String, String> {
        let found = self.all::<ConfigMap>().into_iter().find(|object| name_of(object) == name);
        found.and_then(|object| object.data).unwrap_or_default()
    }

    pub(crate) fn has(&self, kind: &str, name: &str) -> bool {
        self.documents.iter().any(|document| document.kind() == kind && document.name() == name)
    }
}

pub(crate) fn name_of(object: &impl Metadata<Ty = ObjectMeta>) -> String {
    object.metadata().name.clone().unwrap_or_default()
}

/// Whether a selector chooses something with these labels.
pub(crate) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    let fits = |key: &str, operator: &str, values: &[String]| match operator {
        "In" => labels.get(key).is_some_and(|value| values.contains(value)),
        "NotIn" => labels.get(key).is_none_or(|value| !values.contains(value)),
        "Exists" => labels.contains_key(key),
        "DoesNotExist" => !labels.contains_key(key),
        other => panic!("{other} is not an operator of label selectors"),
    };
    selector.match_labels.iter().flatten().all(equal)
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|term| fits(&term.key, &term.operator, term.values.as_deref().unwrap_or_default()))
}

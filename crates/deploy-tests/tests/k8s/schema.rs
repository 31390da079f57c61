//! Every field of every manifest, against the types of the API.
//!
//! The types ignore fields they do not know and fill in required ones that are missing. So a manifest is read and
//! written again: what got lost was unknown, and what came in addition is required.

use deploy_tests::yaml_documents;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::platform::Platform;

mod keda;

pub(crate) use keda::{ScaledObject, TriggerAuthentication};

/// What is wrong with one object; empty when nothing is.
fn problems(object: &Value) -> Vec<String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "Namespace") => strict::<Namespace>(object),
        ("v1", "ConfigMap") => strict::<ConfigMap>(object),
        ("v1", "Secret") => strict::<Secret>(object),
        ("v1", "Service") => strict::<Service>(object),
        ("apps/v1", "Deployment") => strict::<Deployment>(object),
        ("apps/v1", "StatefulSet") => strict::<StatefulSet>(object),
        ("batch/v1", "Job") => strict::<Job>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => strict::<HorizontalPodAutoscaler>(object),
        ("policy/v1", "PodDisruptionBudget") => strict::<PodDisruptionBudget>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => strict::<NetworkPolicy>(object),
        ("keda.sh/v1alpha1", "ScaledObject") => keda::problems::<ScaledObject>(object),
        ("keda.sh/v1alpha1", "TriggerAuthentication") => keda::problems::<TriggerAuthentication>(object),
        (version, kind) => vec![format!("no type is known for {version} {kind}: name it in schema.rs")],
    }
}

fn strict<K: DeserializeOwned + Serialize>(object: &Value) -> Vec<String> {
    let understood: K = match serde_json::from_value(object.clone()) {
        Ok(understood) => understood,
        Err(error) => return vec![format!("wrong type: {error}")],
    };
    let understood = serde_json::to_value(understood).expect("the API's types are JSON");
    let mut problems = Vec::new();
    compare("", object, &understood, &mut problems);
    problems
}

fn compare(path: &str, given: &Value, understood: &Value, problems: &mut Vec<String>) {
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => {
            for (key, value) in given {
                match understood.get(key) {
                    Some(other) => compare(&format!("{path}.{key}"), value, other, problems),
                    None => problems.push(format!("unknown field {path}.{key}")),
                }
            }
            let missing = understood.keys().filter(|key| !given.contains_key(*key));
            problems.extend(missing.map(|key| format!("missing field {path}.{key}")));
        }
        (Value::Array(given), Value::Array(understood)) if given.len() == understood.len() => {
            for (index, (value, other)) in given.iter().zip(understood).enumerate() {
                compare(&format!("{path}[{index}]"), value, other, problems);
            }
        }
        (given, understood) if given != understood => {
            problems.push(format!("{path} is {given}, which is read as {understood}"));
        }
        _ => {}
    }
}

#[test]
fn every_manifest_is_what_kubernetes_and_keda_take() {
    for document in [Platform::load(), Platform::with_smpp()].into_iter().flat_map(|platform| platform.documents) {
        assert_eq!(problems(&document.value), Vec::<String>::new(), "{}: {}", document.file, document.id());
    }
}

#[test]
fn mistakes_are_found() {
    let service = |spec: &str| format!("{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {spec}}}");
    let scaled = |spec: &str| {
        format!("{{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {{name: a}}, spec: {spec}}}")
    };
    for (manifest, expected) in [
        (service("{ports: [{port: 80}]}"), None),
        (service("{portz: []}"), Some("unknown field .spec.portz")),
        (service("{ports: [{port: 80, tagetPort: http}]}"), Some("unknown field .spec.ports[0].tagetPort")),
        (service("{ports: [{port: '80'}]}"), Some("wrong type: invalid type: string \"80\"")),
        (service("{clusterIP: 5}"), Some("wrong type: invalid type: integer `5`")),
        (service("{ports: [{name: http}]}"), Some("missing field .spec.ports[0].port")),
        ("{apiVersion: v1, kind: Service, spec: {}}".to_owned(), Some("missing field .metadata")),
        ("{apiVersion: apps/v1beta1, kind: Deployment}".to_owned(), Some("no type is known for apps/v1beta1")),
        (
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: []}}}}"
                .to_owned(),
            Some("missing field .spec.selector"),
        ),
        (scaled("{scaleTargetRef: {name: a}, triggers: []}"), None),
        (scaled("{scaleTargetRef: {name: a}, triggers: [], minReplicas: 1}"), Some("unknown field `minReplicas`")),
        (scaled("{scaleTargetRef: {name: a}}"), Some("missing field `triggers`")),
        (scaled("{scaleTargetRef: {name: a}, triggers: [], minReplicaCount: '1'}"), Some("invalid type: string \"1\"")),
        (
            scaled("{scaleTargetRef: {name: a}, triggers: [{type: rabbitmq, metadata: {queue: a}}]}"),
            Some("the trigger rabbitmq has no parameter queue"),
        ),
        (
            scaled("{scaleTargetRef: {name: a}, triggers: [{type: prometheus, metadata: {query: a, threshold: '1'}}]}"),
            Some("the trigger prometheus needs serverAddress"),
        ),
    ] {
        let object = yaml_documents(&manifest).expect("it is YAML").remove(0);
        let found = problems(&object);
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{manifest}"),
            Some(expected) => assert!(found.iter().any(|found| found.starts_with(expected)), "{manifest}: {found:?}"),
        }
    }
}

//! KEDA's objects as far as the manifests use them, from its documentation of version 2.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// `keda.sh/v1alpha1` `ScaledObject`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ScaledObject {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: ScaledObjectSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(rename = "namespace")]
    _namespace: Option<String>,
    #[serde(default, rename = "labels")]
    _labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ScaledObjectSpec {
    pub(crate) scale_target_ref: Target,
    #[serde(rename = "pollingInterval")]
    _polling_interval: Option<u32>,
    pub(crate) min_replica_count: Option<i32>,
    pub(crate) max_replica_count: Option<i32>,
    pub(crate) fallback: Option<Fallback>,
    pub(crate) triggers: Vec<Trigger>,
}

/// A `Deployment`, as no other kind is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Fallback {
    #[serde(rename = "failureThreshold")]
    _failure_threshold: u32,
    pub(crate) replicas: i32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Trigger {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(rename = "name")]
    _name: Option<String>,
    /// All values are strings.
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) authentication_ref: Option<AuthenticationRef>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthenticationRef {
    pub(crate) name: String,
}

/// `keda.sh/v1alpha1` `TriggerAuthentication`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriggerAuthentication {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata")]
    _metadata: Metadata,
    pub(crate) spec: TriggerAuthenticationSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TriggerAuthenticationSpec {
    pub(crate) secret_target_ref: Vec<SecretTarget>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretTarget {
    /// Parameter of the trigger that the secret's entry becomes.
    pub(crate) parameter: String,
    pub(crate) name: String,
    pub(crate) key: String,
}

/// Parameters of a trigger: those it needs, and those it also takes.
const PARAMETERS: [(&str, &[&str], &[&str]); 2] = [
    ("prometheus", &["serverAddress", "query", "threshold"], &["activationThreshold", "ignoreNullValues", "timeout"]),
    ("rabbitmq", &["queueName", "mode", "value"], &["protocol", "activationValue", "vhostName", "host", "timeout"]),
];

/// What is wrong with one of KEDA's objects.
pub(super) fn problems<K: DeserializeOwned>(object: &Value) -> Vec<String> {
    if let Err(error) = serde_json::from_value::<K>(object.clone()) {
        return vec![error.to_string()];
    }
    let triggers = object.pointer("/spec/triggers").cloned().unwrap_or(Value::Array(Vec::new()));
    let triggers: Vec<Trigger> = serde_json::from_value(triggers).expect("they were read before");
    triggers.iter().flat_map(trigger_problems).collect()
}

fn trigger_problems(trigger: &Trigger) -> Vec<String> {
    let Some((kind, needed, taken)) = PARAMETERS.iter().find(|(kind, ..)| *kind == trigger.kind) else {
        return vec![format!("no parameters are known for the trigger {}", trigger.kind)];
    };
    let given = |name: &&&str| trigger.metadata.contains_key(**name);
    let missing = needed.iter().filter(|name| !given(name));
    let missing = missing.map(|name| format!("the trigger {kind} needs {name}"));
    let is_known = |name: &str| needed.iter().chain(*taken).any(|known| *known == name);
    let unknown = trigger.metadata.keys().filter(|name| !is_known(name));
    missing.chain(unknown.map(|name| format!("the trigger {kind} has no parameter {name}"))).collect()
}

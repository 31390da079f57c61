//! The rules of this project for its manifests: one table, and for each rule changes that must break it.

use serde_json::Value;

use crate::platform::Platform;

mod flows;
mod pods;
mod references;
mod scaling;
mod security;
mod settings;
mod smpp;

pub(crate) use pods::sleep_before_stop;
pub(crate) use references::scaled_objects;
pub(crate) use scaling::{bounds, connections_needed};
pub(crate) use settings::of as settings_of;
pub(crate) use smpp::{binds, with_secrets};

struct Rule {
    name: &'static str,
    /// What breaks the rule; empty when nothing does.
    check: fn(&Platform) -> Vec<String>,
    /// Each of these changes alone must break it.
    broken_by: &'static [Change],
}

/// Object, place in it, and what is put there instead (JSON); `REMOVE` takes it away.
type Change = (&'static str, &'static str, &'static str);

const REMOVE: &str = "";

macro_rules! pod {
    ($rest:literal) => {
        concat!("/spec/template/spec", $rest)
    };
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { name: "the namespace enforces, audits and warns of the restricted profile", check: security::namespace_enforces_restricted, broken_by: &[
        ("Namespace/distributed-messaging-platform", "/metadata/labels/pod-security.kubernetes.io~1enforce", r#""baseline""#),
        ("Namespace/distributed-messaging-platform", "/metadata/labels/pod-security.kubernetes.io~1warn", REMOVE),
    ] },
    Rule { name: "everything is in the namespace", check: security::everything_is_in_the_namespace, broken_by: &[
        ("Service/mysql", "/metadata/namespace", r#""default""#),
        ("ScaledObject/outbox-relay", "/metadata/namespace", REMOVE),
    ] },
    Rule { name: "pods run as a numbered user that is not root", check: security::not_root, broken_by: &[
        ("Deployment/api-gateway", pod!("/securityContext/runAsNonRoot"), "false"),
        ("Job/migrate", pod!("/securityContext/runAsUser"), REMOVE),
        ("StatefulSet/mysql", pod!("/containers/0/securityContext/runAsUser"), "0"),
    ] },
    Rule { name: "pods have the seccomp profile of the runtime", check: security::seccomp, broken_by: &[
        ("StatefulSet/rabbitmq", pod!("/securityContext/seccompProfile"), REMOVE),
        ("Deployment/delivery-worker", pod!("/securityContext/seccompProfile/type"), r#""Unconfined""#),
    ] },
    Rule { name: "containers cannot gain privileges", check: security::no_escalation, broken_by: &[
        ("Deployment/outbox-relay", pod!("/containers/0/securityContext/allowPrivilegeEscalation"), REMOVE),
        ("StatefulSet/mysql", pod!("/containers/0/securityContext/privileged"), "true"),
        ("Deployment/api-gateway", pod!("/initContainers"), r#"[{"name": "first"}]"#),
    ] },
    Rule { name: "containers have no capabilities", check: security::no_capabilities, broken_by: &[
        ("Deployment/api-gateway", pod!("/containers/0/securityContext/capabilities/drop"), r#"["NET_RAW"]"#),
        ("Job/migrate", pod!("/containers/0/securityContext/capabilities/add"), r#"["NET_BIND_SERVICE"]"#),
    ] },
    Rule { name: "pods share nothing with their node", check: security::nothing_of_the_node, broken_by: &[
        ("Deployment/api-gateway", pod!("/hostNetwork"), "true"),
        ("Deployment/api-gateway", pod!("/containers/0/ports/0/hostPort"), "8080"),
        ("StatefulSet/mysql", pod!("/volumes"), r#"[{"name": "node", "hostPath": {"path": "/"}}]"#),
    ] },
    Rule { name: "pods ask for nothing else that restricted refuses", check: security::no_special_requests, broken_by: &[
        ("StatefulSet/mysql", pod!("/securityContext/sysctls"), r#"[{"name": "a", "value": "1"}]"#),
        ("StatefulSet/mysql", pod!("/containers/0/securityContext/procMount"), r#""Unmasked""#),
    ] },
    Rule { name: "our file systems are read-only", check: security::read_only_root, broken_by: &[
        ("Job/migrate", pod!("/containers/0/securityContext/readOnlyRootFilesystem"), "false"),
    ] },
    Rule { name: "pods have no token of the API and no variables of its services", check: security::no_token_or_links, broken_by: &[
        ("StatefulSet/rabbitmq", pod!("/automountServiceAccountToken"), REMOVE),
        ("StatefulSet/rabbitmq", pod!("/enableServiceLinks"), "true"),
    ] },
    Rule { name: "everything has the usual labels", check: pods::labels, broken_by: &[
        ("Service/mysql", "/metadata/labels", REMOVE),
        ("Deployment/api-gateway", "/spec/template/metadata/labels/app.kubernetes.io~1component", REMOVE),
    ] },
    Rule { name: "containers have requests and limits", check: pods::resources, broken_by: &[
        ("Job/migrate", pod!("/containers/0/resources/limits/memory"), REMOVE),
        ("Deployment/api-gateway", pod!("/containers/0/resources/requests"), REMOVE),
    ] },
    Rule { name: "probes ask the right path at the right port", check: pods::probes, broken_by: &[
        ("Deployment/api-gateway", pod!("/containers/0/livenessProbe/httpGet/path"), r#""/readyz""#),
        ("Deployment/outbox-relay", pod!("/containers/0/readinessProbe/httpGet/port"), r#""http""#),
        ("Deployment/delivery-worker", pod!("/containers/0/ports/0/containerPort"), "8081"),
        ("Deployment/delivery-worker", pod!("/containers/0/startupProbe"), REMOVE),
        ("StatefulSet/mysql", pod!("/containers/0/readinessProbe"), REMOVE),
    ] },
    Rule { name: "pods have the time to end in order", check: pods::grace_period, broken_by: &[
        ("Deployment/api-gateway", pod!("/terminationGracePeriodSeconds"), REMOVE),
        ("ConfigMap/messaging-platform-config", "/data/SHUTDOWN_TIMEOUT_SECS", r#""60""#),
        ("Deployment/api-gateway", pod!("/containers/0/lifecycle/preStop/sleep/seconds"), "15"),
    ] },
    Rule { name: "the gateway outlives its place behind the Service", check: pods::sleep_before_listener_closes, broken_by: &[
        ("Deployment/api-gateway", pod!("/containers/0/lifecycle"), REMOVE),
    ] },
    Rule { name: "updates take no pod away before another is ready, and add none where operators count binds", check: pods::rolling_update, broken_by: &[
        ("Deployment/api-gateway", "/spec/strategy/rollingUpdate/maxUnavailable", "1"),
        ("Deployment/outbox-relay", "/spec/strategy/rollingUpdate/maxSurge", "2"),
        ("Deployment/delivery-worker", "/spec/strategy/rollingUpdate/maxSurge", "1"),
        ("Deployment/delivery-worker", "/spec/strategy/rollingUpdate/maxUnavailable", "2"),
        ("Deployment/outbox-relay", "/spec/strategy/type", r#""Recreate""#),
    ] },
    Rule { name: "pods are spread over zones and nodes", check: pods::spread, broken_by: &[
        ("Deployment/api-gateway", pod!("/topologySpreadConstraints/1"), REMOVE),
        ("Deployment/delivery-worker", pod!("/topologySpreadConstraints/0/labelSelector/matchLabels/app.kubernetes.io~1name"), r#""api-gateway""#),
    ] },
    Rule { name: "what has metrics says where", check: pods::scraping, broken_by: &[
        ("Deployment/outbox-relay", "/spec/template/metadata/annotations/prometheus.io~1port", r#""8080""#),
        ("StatefulSet/rabbitmq", "/spec/template/metadata/annotations", REMOVE),
    ] },
    Rule { name: "images are ours or have a version", check: pods::images, broken_by: &[
        ("Deployment/api-gateway", pod!("/containers/0/image"), r#""messaging-platform/outbox-relay:latest""#),
        ("Job/migrate", pod!("/containers/0/imagePullPolicy"), REMOVE),
        ("StatefulSet/mysql", pod!("/containers/0/image"), r#""mysql""#),
        ("StatefulSet/rabbitmq", pod!("/containers/0/image"), r#""rabbitmq:latest""#),
    ] },
    Rule { name: "selectors choose their own pods and no others", check: references::selectors, broken_by: &[
        ("Deployment/api-gateway", "/spec/selector/matchLabels/app.kubernetes.io~1name", r#""gateway""#),
        ("StatefulSet/mysql", "/spec/selector/matchLabels", r#"{"app.kubernetes.io/part-of": "messaging-platform"}"#),
    ] },
    Rule { name: "services lead to ports of pods", check: references::services, broken_by: &[
        ("Service/api-gateway", "/spec/ports/0/targetPort", r#""web""#),
        ("Service/delivery-worker", "/spec/selector/app.kubernetes.io~1name", r#""worker""#),
        ("Service/mysql", "/spec/ports/0/port", "3307"),
    ] },
    Rule { name: "autoscalers scale what there is", check: references::scale_targets, broken_by: &[
        ("HorizontalPodAutoscaler/api-gateway", "/spec/scaleTargetRef/name", r#""gateway""#),
        ("ScaledObject/delivery-worker", "/spec/scaleTargetRef/name", r#""worker""#),
        ("ScaledObject/delivery-worker", "/spec/triggers/0/authenticationRef/name", r#""nobody""#),
        ("ScaledObject/delivery-worker", "/spec/triggers/1/authenticationRef", REMOVE),
        ("TriggerAuthentication/rabbitmq", "/spec/secretTargetRef/0/parameter", r#""uri""#),
    ] },
    Rule { name: "configuration and secrets that are asked for exist", check: references::entries, broken_by: &[
        ("Deployment/api-gateway", pod!("/containers/0/env/0/valueFrom/secretKeyRef/key"), r#""PASSWORD""#),
        ("Deployment/outbox-relay", pod!("/containers/0/envFrom/1/configMapRef/name"), r#""relay-config""#),
        ("StatefulSet/mysql", pod!("/containers/0/env/0/valueFrom/configMapKeyRef/key"), r#""DATABASE""#),
        ("TriggerAuthentication/rabbitmq", "/spec/secretTargetRef/0/key", r#""HOST""#),
        ("Secret/rabbitmq-secret", "/stringData/RABBITMQ_DEFAULT_PASS", REMOVE),
        ("Deployment/delivery-worker", pod!("/volumes/0/configMap/name"), r#""authority""#),
    ] },
    Rule { name: "no secret is asked of people for nothing", check: references::every_secret_is_used, broken_by: &[
        ("Secret/mysql-secret", "/stringData/UNUSED", r#""CHANGE_ME""#),
    ] },
    Rule { name: "stateful sets have their service and mount what they claim", check: references::volumes, broken_by: &[
        ("StatefulSet/mysql", "/spec/serviceName", r#""database""#),
        ("StatefulSet/rabbitmq", pod!("/containers/0/volumeMounts/0/name"), r#""files""#),
    ] },
    Rule { name: "every service scales between two and more pods", check: scaling::autoscalers, broken_by: &[
        ("HorizontalPodAutoscaler/delivery-worker", "/spec/minReplicas", "1"),
        ("HorizontalPodAutoscaler/outbox-relay", "/spec/maxReplicas", "2"),
    ] },
    Rule { name: "the number of pods is left to the autoscaler", check: scaling::replicas_are_the_autoscalers, broken_by: &[
        ("Deployment/api-gateway", "/spec/replicas", "2"),
    ] },
    Rule { name: "disruption budgets let one pod go and keep another", check: scaling::disruption_budgets, broken_by: &[
        ("PodDisruptionBudget/api-gateway", "/spec/maxUnavailable", "0"),
        ("PodDisruptionBudget/outbox-relay", "/spec/maxUnavailable", "2"),
        ("PodDisruptionBudget/delivery-worker", "/spec/selector/matchLabels/app.kubernetes.io~1name", r#""mysql""#),
    ] },
    Rule { name: "KEDA takes the place of autoscalers with their bounds", check: scaling::keda_replaces_autoscalers, broken_by: &[
        ("ScaledObject/outbox-relay", "/spec/maxReplicaCount", "5"),
        ("ScaledObject/delivery-worker", "/spec/fallback/replicas", "1"),
    ] },
    Rule { name: "all connection pools together fit into MySQL", check: scaling::connections, broken_by: &[
        ("ConfigMap/delivery-worker-config", "/data/DB_MAX_OPEN_CONNS", r#""50""#),
        ("HorizontalPodAutoscaler/api-gateway", "/spec/maxReplicas", "20"),
        ("StatefulSet/mysql", pod!("/containers/0/args/0"), r#""--max-connections=151""#),
    ] },
    Rule { name: "workers have no more binds than operators allow", check: smpp::binds, broken_by: &[
        ("HorizontalPodAutoscaler/delivery-worker", "/spec/maxReplicas", "13"),
        ("ScaledObject/delivery-worker", "/spec/maxReplicaCount", "13"),
        ("ScaledObject/delivery-worker", "/spec/maxReplicaCount", REMOVE),
        ("Secret/smpp-secret", "/stringData/OPERATORS", r#""operatorA=smpp://smsc.example.com?binds=2""#),
        ("Secret/smpp-secret", "/stringData/OPERATORS", r#""operatorA=smpp://smsc.example.com?bind=tx+rx""#),
        ("Secret/smpp-secret", "/stringData/OPERATORS", r#""operatorA=smpp://smsc.example.com,operatorB=smpp://smsc.example.net""#),
        ("Deployment/delivery-worker", "/metadata/annotations/messaging-platform~1smpp-bind-limits", REMOVE),
        ("Deployment/delivery-worker", "/metadata/annotations/messaging-platform~1smpp-bind-limits", r#""operatorA=9""#),
        ("Deployment/delivery-worker", "/metadata/annotations/messaging-platform~1smpp-bind-limits", r#""operatorA=many""#),
        ("Deployment/delivery-worker", "/metadata/annotations/messaging-platform~1smpp-bind-limits", r#""operatorA=12,operatorB=4""#),
        ("Deployment/delivery-worker", "/metadata/annotations/messaging-platform~1smpp-bind-limits", r#""operatorA=12,operatorA=24""#),
    ] },
    Rule { name: "workers may connect to the SMSCs they are given", check: smpp::ports, broken_by: &[
        ("Secret/smpp-secret", "/stringData/OPERATORS", r#""operatorA=smpp://smsc.example.com:5019""#),
        ("NetworkPolicy/delivery-worker-to-smscs", "/spec/egress/0/ports/1", REMOVE),
    ] },
    Rule { name: "authorities that URLs name are mounted", check: smpp::authorities, broken_by: &[
        ("Secret/smpp-secret", "/stringData/OPERATORS", r#""operatorA=smpps://smsc.example.com?ca=/etc/ssl/smsc.pem""#),
        ("ConfigMap/smsc-authority", "/data/ca.pem", REMOVE),
        ("Deployment/delivery-worker", pod!("/containers/0/volumeMounts"), REMOVE),
        ("Deployment/delivery-worker", pod!("/volumes/0/name"), r#""authority""#),
    ] },
    Rule { name: "SMSCs have the time to answer before a worker ends", check: smpp::answers_before_the_end, broken_by: &[
        ("Secret/smpp-secret", "/stringData/OPERATORS", r#""operatorA=smpp://smsc.example.com?timeout_ms=30000""#),
        ("ConfigMap/messaging-platform-config", "/data/SHUTDOWN_TIMEOUT_SECS", r#""10""#),
    ] },
    Rule { name: "services accept their settings and listen where they are asked", check: settings::accepted_by_their_services, broken_by: &[
        ("ConfigMap/outbox-relay-config", "/data/RELAY_BATCH", r#""100000""#),
        ("ConfigMap/api-gateway-config", "/data/LISTEN_ADDR", r#"":8081""#),
        ("ConfigMap/messaging-platform-config", "/data/LOG_FORMAT", r#""yaml""#),
        ("ConfigMap/messaging-platform-config", "/data/RUNTIME_THREADS", r#""0""#),
        ("Secret/messaging-platform-secret", "/stringData/RABBIT_URI", r#""rabbitmq:5672""#),
    ] },
    Rule { name: "variables are listed in .env.example", check: settings::variables_exist, broken_by: &[
        ("ConfigMap/messaging-platform-config", "/data/DB_HOSTNAME", r#""mysql""#),
    ] },
    Rule { name: "variables of .env.example are set here", check: settings::every_variable_is_deployed, broken_by: &[
        ("ConfigMap/delivery-worker-config", "/data/OPERATORS", REMOVE),
        ("Secret/messaging-platform-secret", "/stringData/DB_PASSWORD", REMOVE),
    ] },
    Rule { name: "no secret is written down", check: settings::no_secret_is_written_down, broken_by: &[
        ("Secret/mysql-secret", "/stringData/MYSQL_ROOT_PASSWORD", r#""hunter2""#),
        ("Secret/mysql-secret", "/data", r#"{"a": "aHVudGVyMg=="}"#),
        ("ConfigMap/messaging-platform-config", "/data/DB_PASSWORD", r#""hunter2""#),
        ("ConfigMap/delivery-worker-config", "/data/OPERATORS", r#""operatorA=smpp://shop:hunter2@smsc.example.com""#),
        ("ConfigMap/delivery-worker-config", "/data/OPERATORS", r#""operatorA=https://shop:hunter2@operator.example.com/""#),
        ("Deployment/delivery-worker", pod!("/containers/0/env/0"), r#"{"name": "OPERATORS", "value": "operatorA=smpp://smsc.example.com"}"#),
        ("Deployment/api-gateway", pod!("/containers/0/env/0"), r#"{"name": "DB_PASSWORD", "value": "hunter2"}"#),
    ] },
    Rule { name: "the Job migrates, the services do not", check: settings::the_job_migrates, broken_by: &[
        ("ConfigMap/messaging-platform-config", "/data/AUTO_MIGRATE", r#""true""#),
        ("Job/migrate", pod!("/containers/0/args"), r#"["down"]"#),
        ("Job/migrate", pod!("/containers/0/env/0"), r#"{"name": "DATABASE_URL", "value": "mysql://$(DB_USER)@$(DB_HOST)/a"}"#),
        ("Job/migrate", pod!("/initContainers"), REMOVE),
        ("Job/migrate", pod!("/initContainers/0/envFrom"), REMOVE),
    ] },
    Rule { name: "KEDA watches metrics and queues that exist", check: settings::keda_watches_what_there_is, broken_by: &[
        ("ScaledObject/outbox-relay", "/spec/triggers/0/metadata/query", r#""max(outbox_backlog)""#),
        ("ConfigMap/messaging-platform-config", "/data/NORMAL_QUEUE", r#""message_other""#),
    ] },
    Rule { name: "nothing is allowed by default", check: flows::default_deny, broken_by: &[
        ("NetworkPolicy/default-deny", "/spec/policyTypes", r#"["Ingress"]"#),
        ("NetworkPolicy/default-deny", "/spec/egress", "[{}]"),
    ] },
    Rule { name: "connections that are needed are allowed", check: flows::needed, broken_by: &[
        ("NetworkPolicy/delivery-worker", "/spec/egress/2", REMOVE),
        ("NetworkPolicy/mysql", "/spec/ingress/0/from/0/podSelector/matchExpressions/0/values", r#"["api-gateway"]"#),
        ("NetworkPolicy/outbox-relay", "/spec/ingress/0/ports/0/port", r#""http""#),
        ("NetworkPolicy/allow-dns", "/spec/egress/0/ports/0/protocol", r#""TCP""#),
        ("NetworkPolicy/rabbitmq-from-keda", "/spec/ingress", "[]"),
        ("NetworkPolicy/rabbitmq-from-keda", "/spec/ingress/0/from/0/podSelector/matchLabels", r#"{"app.kubernetes.io/name": "keda-operator"}"#),
        ("NetworkPolicy/managed-mysql", "/spec/egress/0/to/0/ipBlock/cidr", r#""198.51.100.0/24""#),
        ("NetworkPolicy/delivery-worker-to-smscs", "/spec/egress/0/ports/0", REMOVE),
        ("NetworkPolicy/delivery-worker-to-smscs", "/spec/egress/0/to/1", REMOVE),
    ] },
    Rule { name: "connections that are not needed are not allowed", check: flows::forbidden, broken_by: &[
        ("NetworkPolicy/delivery-worker", "/spec/egress/2/to/0/ipBlock/except", REMOVE),
        ("NetworkPolicy/delivery-worker", "/spec/egress/2/ports", REMOVE),
        ("NetworkPolicy/delivery-worker", "/spec/egress/2/ports/0/port", "2775"),
        ("NetworkPolicy/delivery-worker-to-smscs", "/spec/egress/0/to/0/ipBlock/except", REMOVE),
        ("NetworkPolicy/delivery-worker-to-smscs", "/spec/podSelector", "{}"),
        ("NetworkPolicy/api-gateway", "/spec/ingress/0/from", REMOVE),
        ("NetworkPolicy/mysql", "/spec/ingress/0/from/0", r#"{"namespaceSelector": {}}"#),
        ("NetworkPolicy/rabbitmq-from-keda", "/spec/ingress/0/from/0/podSelector", REMOVE),
    ] },
];

#[test]
fn the_manifests_obey_every_rule() {
    for platform in [Platform::load(), Platform::with_smpp()] {
        for rule in RULES {
            assert_eq!((rule.check)(&platform), Vec::<String>::new(), "{}", rule.name);
        }
    }
}

#[test]
fn every_rule_can_be_broken() {
    let platform = Platform::with_smpp();
    for rule in RULES {
        assert!(!rule.broken_by.is_empty(), "{}", rule.name);
        for change in rule.broken_by {
            let mut changed = platform.clone();
            apply(&mut changed, change);
            assert_ne!((rule.check)(&changed), Vec::<String>::new(), "{} outlives {change:?}", rule.name);
        }
    }
}

fn apply(platform: &mut Platform, (object, pointer, replacement): &Change) {
    let document = platform.documents.iter_mut().find(|document| document.id() == *object);
    let document = document.unwrap_or_else(|| panic!("{object} is not there"));
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = document.value.pointer_mut(parent).unwrap_or_else(|| panic!("{object} has no {parent}"));
    let key = key.replace("~1", "/");
    let replacement = (*replacement != REMOVE).then(|| serde_json::from_str::<Value>(replacement).expect("JSON"));
    match (parent, replacement) {
        (Value::Object(map), Some(value)) => drop(map.insert(key, value)),
        (Value::Object(map), None) => assert!(map.remove(&key).is_some(), "{object} has no {pointer}"),
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().expect("an index")] = value,
        (Value::Array(items), None) => drop(items.remove(key.parse().expect("an index"))),
        (other, _) => panic!("{pointer} of {object} leads into {other}"),
    }
}

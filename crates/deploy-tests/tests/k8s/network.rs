//! Who may talk to whom by the `NetworkPolicy` objects: a small model of what a cluster's network makes of them.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::platform::{NAMESPACE, Pods, selects};

/// One end of a connection.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Pod { namespace: BTreeMap<String, String>, labels: BTreeMap<String, String>, ports: BTreeMap<String, i32> },
    Address(IpAddr),
}

impl End {
    /// One of our pods.
    pub(crate) fn ours(pods: &Pods) -> Self {
        let ports = pods.containers().into_iter().flat_map(|container| container.ports.unwrap_or_default());
        let ports = ports.filter_map(|port| Some((port.name?, port.container_port))).collect();
        Self::Pod { namespace: namespace(NAMESPACE, &[]), labels: pods.labels(), ports }
    }

    /// A pod of somebody else.
    pub(crate) fn elsewhere(namespace: BTreeMap<String, String>, labels: &[(&str, &str)]) -> Self {
        Self::Pod { namespace, labels: owned(labels), ports: BTreeMap::new() }
    }

    fn is_governed(&self) -> bool {
        matches!(self, Self::Pod { namespace, .. } if namespace.get("kubernetes.io/metadata.name").is_some_and(|name| name == NAMESPACE))
    }
}

/// Labels of a namespace.
pub(crate) fn namespace(name: &str, labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = owned(labels);
    all.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    all
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Whether the policies let `from` connect to a port of `to`.
pub(crate) fn allows(policies: &[NetworkPolicy], from: &End, to: &End, protocol: &str, port: i32) -> bool {
    let connection = Connection { to, protocol, port };
    let leaves = !from.is_governed() || {
        let mut rules = governing(policies, from, "Egress").flat_map(|policy| policy.egress.unwrap_or_default());
        rules.any(|rule| connection.fits(rule.ports.as_deref(), rule.to.as_deref(), to))
    };
    let enters = !to.is_governed() || {
        let mut rules = governing(policies, to, "Ingress").flat_map(|policy| policy.ingress.unwrap_or_default());
        rules.any(|rule| connection.fits(rule.ports.as_deref(), rule.from.as_deref(), from))
    };
    leaves && enters
}

/// The policies of a direction that speak of this pod. One at least does for each of ours: there is a default one.
fn governing<'a>(
    policies: &'a [NetworkPolicy],
    end: &'a End,
    direction: &'a str,
) -> impl Iterator<Item = NetworkPolicySpec> + 'a {
    policies.iter().filter_map(|policy| policy.spec.clone()).filter(move |spec| {
        let End::Pod { labels, .. } = end else { return false };
        let speaks_of = spec.pod_selector.as_ref().is_none_or(|selector| selects(selector, labels));
        speaks_of && spec.policy_types.iter().flatten().any(|kind| kind == direction)
    })
}

struct Connection<'a> {
    to: &'a End,
    protocol: &'a str,
    port: i32,
}

impl Connection<'_> {
    /// Whether a rule allows it. One without ports is for all of them, one without peers for everybody.
    fn fits(&self, ports: Option<&[NetworkPolicyPort]>, peers: Option<&[NetworkPolicyPeer]>, other: &End) -> bool {
        let (ports, peers) = (ports.unwrap_or_default(), peers.unwrap_or_default());
        let port_fits = ports.is_empty() || ports.iter().any(|port| self.is(port));
        let peer_fits = peers.is_empty() || peers.iter().any(|peer| is_peer(peer, other));
        port_fits && peer_fits
    }

    fn is(&self, allowed: &NetworkPolicyPort) -> bool {
        assert!(allowed.end_port.is_none(), "ranges of ports are not modelled");
        let number = match &allowed.port {
            None => Some(self.port),
            Some(IntOrString::Int(number)) => Some(*number),
            Some(IntOrString::String(name)) => match self.to {
                End::Pod { ports, .. } => ports.get(name).copied(),
                End::Address(_) => None,
            },
        };
        allowed.protocol.as_deref().unwrap_or("TCP") == self.protocol && number == Some(self.port)
    }
}

/// Without a selector of namespaces, pods are chosen in the policy's own.
fn is_peer(peer: &NetworkPolicyPeer, end: &End) -> bool {
    match end {
        End::Address(address) => peer.ip_block.as_ref().is_some_and(|block| contains(block, *address)),
        End::Pod { namespace, labels, .. } => {
            let in_namespace = match &peer.namespace_selector {
                Some(selector) => selects(selector, namespace),
                None => end.is_governed(),
            };
            let chosen = peer.pod_selector.as_ref().is_none_or(|selector| selects(selector, labels));
            peer.ip_block.is_none() && in_namespace && chosen
        }
    }
}

fn contains(block: &IPBlock, address: IpAddr) -> bool {
    let is_excepted = block.except.iter().flatten().any(|range| in_range(range, address));
    in_range(&block.cidr, address) && !is_excepted
}

fn in_range(range: &str, address: IpAddr) -> bool {
    let (network, length) = range.split_once('/').expect("a range has a length");
    let (network, length): (IpAddr, u32) = (network.parse().expect("an address"), length.parse().expect("a number"));
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

#[test]
fn ranges_hold_their_addresses() {
    for (range, address, expected) in [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("172.16.0.0/12", "172.31.255.255", true),
        ("172.16.0.0/12", "172.32.0.0", false),
        ("0.0.0.0/0", "203.0.113.7", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("fc00::/7", "fd00::1", true),
        ("::1/128", "::1", true),
        ("::1/128", "::2", false),
    ] {
        assert_eq!(in_range(range, address.parse().expect("an address")), expected, "{address} in {range}");
    }
}

//! What the platform asks of a cluster, added up, and what the guide says of it.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::Container,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use crate::{
    guide::guide,
    kustomize::Kustomization,
    platform::{Platform, Pods, name_of},
    rules::bounds,
};

/// What a cluster on one machine requests for itself, in thousandths of a processor: kind's control plane, DNS and
/// network together.
const CLUSTER_ITSELF: i64 = 950;

/// Folder, processors (in thousandths) and memory of the machine it is said to fit on.
const MACHINES: [(&str, i64, &str); 2] =
    [("deploy/k8s", 4_000, "4 CPUs, 4 GiB"), ("deploy/small", 2_000, "2 CPUs, 4 GiB")];

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Requests {
    millicores: i64,
    mebibytes: i64,
}

impl Requests {
    fn of(container: &Container) -> Self {
        let requests = container.resources.clone().and_then(|resources| resources.requests).unwrap_or_default();
        let of = |name: &str| requests.get(name).unwrap_or_else(|| panic!("{} requests no {name}", container.name));
        Self { millicores: millicores(of("cpu")), mebibytes: mebibytes(of("memory")) }
    }

    /// Containers run together, init containers before them and one after the other.
    fn of_pod(pods: &Pods) -> Self {
        let spec = pods.spec();
        let together = spec.containers.iter().map(Self::of).fold(Self::default(), Self::plus);
        spec.init_containers.iter().flatten().map(Self::of).fold(together, |most, one| Self {
            millicores: most.millicores.max(one.millicores),
            mebibytes: most.mebibytes.max(one.mebibytes),
        })
    }

    fn plus(self, other: Self) -> Self {
        Self { millicores: self.millicores + other.millicores, mebibytes: self.mebibytes + other.mebibytes }
    }

    fn times(self, count: i32) -> Self {
        Self { millicores: self.millicores * i64::from(count), mebibytes: self.mebibytes * i64::from(count) }
    }
}

fn millicores(quantity: &Quantity) -> i64 {
    let parsed = match quantity.0.strip_suffix('m') {
        Some(thousandths) => thousandths.parse(),
        None => quantity.0.parse().map(|whole: i64| whole * 1_000),
    };
    parsed.unwrap_or_else(|error| panic!("{quantity:?}: {error}"))
}

fn mebibytes(quantity: &Quantity) -> i64 {
    let parsed = match (quantity.0.strip_suffix("Mi"), quantity.0.strip_suffix("Gi")) {
        (Some(mebibytes), _) => mebibytes.parse(),
        (_, Some(gibibytes)) => gibibytes.parse().map(|gibibytes: i64| gibibytes * 1_024),
        _ => panic!("{quantity:?} is neither Mi nor Gi"),
    };
    parsed.unwrap_or_else(|error| panic!("{quantity:?}: {error}"))
}

/// How many pods of a kind there are at the least, and how many more an update adds.
fn pods_of(platform: &Platform, pods: &Pods) -> (i32, i32) {
    let deployment =
        platform.all::<Deployment>().into_iter().find(|object| pods.id == format!("Deployment/{}", name_of(object)));
    if let Some(spec) = deployment.and_then(|deployment| deployment.spec) {
        let least = bounds(platform).get(&pods.name).map(|(least, _)| *least);
        let surge = spec.strategy.and_then(|strategy| strategy.rolling_update?.max_surge);
        let Some(IntOrString::Int(surge)) = surge else { panic!("{} has no number as maxSurge", pods.id) };
        return (least.or(spec.replicas).unwrap_or(1), surge);
    }
    let set =
        platform.all::<StatefulSet>().into_iter().find(|object| pods.id == format!("StatefulSet/{}", name_of(object)));
    (set.and_then(|set| set.spec?.replicas).unwrap_or(1), 0)
}

/// Number of pods, their requests, and their requests in an update of all services at once.
fn asked_for(platform: &Platform) -> (i32, Requests, Requests) {
    platform.pods().iter().fold((0, Requests::default(), Requests::default()), |(count, rest, update), pods| {
        let ((least, surge), each) = (pods_of(platform, pods), Requests::of_pod(pods));
        (count + least, rest.plus(each.times(least)), update.plus(each.times(least + surge)))
    })
}

/// Such as `2.25`.
fn cores(millicores: i64) -> String {
    let text = format!("{}.{:03}", millicores / 1_000, millicores % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Such as `1,952`.
fn thousands(number: i64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn what_it_needs_is_what_the_manifests_request() {
    for (folder, processors, machine) in MACHINES {
        let (pods, rest, update) = asked_for(&Kustomization::of(folder).rendered(folder));
        let row = format!(
            "| `{folder}` | {pods} | {}, {} | {}, {} | {machine} |",
            cores(rest.millicores),
            cores(update.millicores),
            thousands(rest.mebibytes),
            thousands(update.mebibytes)
        );
        assert!(guide().contains(&row), "the guide should say: {row}");
        let needed = update.millicores + CLUSTER_ITSELF;
        assert!(needed <= processors, "{folder} and the cluster request {needed} of {processors}");
    }
}

#[test]
fn quantities_are_read_and_written() {
    for (text, expected) in [("250m", 250), ("2", 2_000)] {
        assert_eq!(millicores(&Quantity(text.to_owned())), expected);
    }
    for (text, expected) in [("64Mi", 64), ("1Gi", 1_024)] {
        assert_eq!(mebibytes(&Quantity(text.to_owned())), expected);
    }
    assert_eq!([cores(2_250), cores(2_000), cores(575)], ["2.25", "2", "0.575"]);
    assert_eq!([thousands(1_952), thousands(64)], ["1,952", "64"]);
}

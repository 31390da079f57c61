//! The routes of a gateway, from its own list: a new endpoint is tried by every case that goes over all of them.

use std::collections::BTreeMap;

use api_gateway::{Endpoint, endpoints};

/// Paths for those who run it; they answer `GET`.
pub(crate) const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// The document and the page that shows it; they answer `GET`.
pub(crate) const DOCUMENTS: [&str; 2] = ["/openapi.json", "/swagger/{file}"];

/// What the document describes: methods and paths, in order.
pub(crate) fn described() -> Vec<(&'static str, &'static str)> {
    let watched = WATCHED.map(|path| ("GET", path));
    let mut all: Vec<_> =
        endpoints().iter().map(|endpoint| (endpoint.method(), endpoint.path())).chain(watched).collect();
    all.sort_unstable();
    all
}

/// Targets of endpoints to which a body is posted.
pub(crate) fn taking_bodies() -> Vec<String> {
    let posted = |endpoint: &&Endpoint| endpoint.takes_body() && endpoint.method() == "POST";
    endpoints().iter().filter(posted).map(Endpoint::path).map(target).collect()
}

/// Methods and paths of all there is.
pub(crate) fn all() -> Vec<(&'static str, &'static str)> {
    described().into_iter().chain(DOCUMENTS.map(|path| ("GET", path))).collect()
}

/// Every path, with what `Allow` says of it.
pub(crate) fn allowed() -> BTreeMap<&'static str, String> {
    let mut allowed = BTreeMap::<_, Vec<_>>::new();
    for (method, path) in all() {
        allowed.entry(path).or_default().push(if method == "GET" { "GET, HEAD" } else { method });
    }
    allowed.into_iter().map(|(path, methods)| (path, methods.join(", "))).collect()
}

/// A target for requests to `path`: its parameters are 1.
pub(crate) fn target(path: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "1".to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The path that answers requests to `target`: the same, or else one whose parameters it fills.
pub(crate) fn path_of(target: &str) -> Option<&'static str> {
    let all: Vec<_> = allowed().into_keys().collect();
    let is_filled = |path: &&&str| {
        let pairs = path.split('/').zip(target.split('/'));
        path.matches('/').count() == target.matches('/').count()
            && pairs
                .into_iter()
                .all(|(of_path, given)| of_path == given || of_path.starts_with('{') && !given.is_empty())
    };
    all.iter().find(|path| **path == target).or_else(|| all.iter().find(is_filled)).copied()
}

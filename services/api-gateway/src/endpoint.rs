//! An endpoint as the application, the OpenAPI document and the metrics need it, and how it is mounted.

use actix_web::{
    Resource, Route,
    http::Method,
    web::{self, ServiceConfig},
};
use domain::Scope;
use persistence::Query;
use service_kit::admin::{GET_AND_HEAD, get_or_head};
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

use crate::error::ApiError;

/// The endpoint of a module: its method and path as its `#[utoipa::path]` says, its `handler`, the scope that its callers need (none
/// where they show in another way who they are), and the names of the database queries that it makes.
macro_rules! endpoint {
    ($($module:ident)::+, $scope:ident, queries: $queries:expr) => {
        $crate::endpoint::endpoint!(@ $($module)::+, Some(domain::Scope::$scope), $queries)
    };
    ($($module:ident)::+, queries: $queries:expr) => {
        $crate::endpoint::endpoint!(@ $($module)::+, None, $queries)
    };
    (@ $($module:ident)::+, $scope:expr, $queries:expr) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($module)::+::handler))]
        struct Described;
        $crate::endpoint::Endpoint::new(
            <Described as utoipa::OpenApi>::openapi(),
            |route| route.to($($module)::+::handler),
            $scope,
            &$queries,
        )
    }};
}

pub(crate) use endpoint;

/// One method of one path.
pub struct Endpoint {
    method: Method,
    path: String,
    takes_body: bool,
    scope: Option<Scope>,
    queries: &'static [Query],
    document: OpenApi,
    answer: fn(Route) -> Route,
}

impl Endpoint {
    /// What [`endpoint!`] makes: `document` describes one method of one path, to which `answer` gives its handler.
    pub(crate) fn new(
        document: OpenApi,
        answer: fn(Route) -> Route,
        scope: Option<Scope>,
        queries: &'static [Query],
    ) -> Self {
        let (path, item) = document.paths.paths.iter().next().expect("it describes one path");
        let described =
            operations(item).into_iter().find_map(|(method, operation)| Some((method, operation.as_ref()?)));
        let (method, operation) = described.expect("it describes one method");
        let (path, takes_body) = (path.clone(), operation.request_body.is_some());
        Self { method, path, takes_body, scope, queries, document, answer }
    }

    /// The method in capital letters. What answers `GET` answers `HEAD` too.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The path, such as `/messages/{id}`, as it is in metrics too.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it reads a JSON object from the request's body, as clients send them.
    pub fn takes_body(&self) -> bool {
        self.takes_body && self.scope.is_some()
    }

    /// What its callers must be allowed; `None` where they are no clients, and have no keys.
    pub fn scope(&self) -> Option<Scope> {
        self.scope
    }

    /// The database queries that it makes.
    pub(crate) fn queries(&self) -> &'static [Query] {
        self.queries
    }

    /// Its part of the OpenAPI document.
    pub(crate) fn document(&self) -> OpenApi {
        self.document.clone()
    }

    fn allowed(&self) -> &str {
        if self.method == Method::GET { GET_AND_HEAD } else { self.method() }
    }

    fn route(&self) -> Route {
        let route = if self.method == Method::GET { get_or_head() } else { web::method(self.method.clone()) };
        (self.answer)(route)
    }
}

/// The operations that a path may have.
fn operations(item: &PathItem) -> [(Method, &Option<Operation>); 5] {
    [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ]
}

/// Mounts endpoints; other methods on their paths get a 405.
pub(crate) fn mount(endpoints: &[Endpoint], config: &mut ServiceConfig) {
    for (place, first) in endpoints.iter().enumerate() {
        // One resource for each path, or the first would refuse the methods of the others.
        let has_path = |other: &&Endpoint| other.path == first.path;
        if endpoints[..place].iter().any(|other| has_path(&other)) {
            continue;
        }
        let same_path = endpoints.iter().filter(has_path);
        let allowed: Vec<_> = same_path.clone().map(Endpoint::allowed).collect();
        let resource = only(&first.path, allowed.join(", "));
        config.service(same_path.fold(resource, |resource, endpoint| resource.route(endpoint.route())));
    }
}

/// A path that answers `allowed` methods and refuses the others with a 405.
pub(crate) fn only(path: &str, allowed: String) -> Resource {
    let refuse = move || {
        let allowed = allowed.clone();
        async move { Err::<&str, _>(ApiError::MethodNotAllowed { allowed }) }
    };
    web::resource(path).default_service(web::to(refuse))
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App,
        body::to_bytes,
        http::header::ALLOW,
        test::{TestRequest, init_service, try_call_service},
    };

    use super::*;

    mod read {
        #[utoipa::path(get, path = "/keys/{key}", responses((status = 200)))]
        pub(super) async fn handler() -> &'static str {
            "read"
        }
    }

    mod remove {
        #[utoipa::path(delete, path = "/keys/{key}", responses((status = 200)))]
        pub(super) async fn handler() -> &'static str {
            "removed"
        }
    }

    #[actix_web::test]
    async fn endpoints_may_share_a_path() {
        let mount = |config: &mut ServiceConfig| {
            super::mount(&[endpoint!(read, Read, queries: []), endpoint!(remove, Admin, queries: [])], config);
        };
        let app = init_service(App::new().configure(mount)).await;
        for (method, text) in [(Method::GET, "read"), (Method::HEAD, "read"), (Method::DELETE, "removed")] {
            let request = TestRequest::with_uri("/keys/1").method(method).to_request();
            let answer = try_call_service(&app, request).await.expect("an answer");
            assert_eq!(to_bytes(answer.into_body()).await.expect("a body"), text);
        }
        let request = TestRequest::post().uri("/keys/1").to_request();
        let refused = try_call_service(&app, request).await.expect("an answer");
        let allowed = refused.headers().get(ALLOW).and_then(|value| value.to_str().ok());
        assert_eq!((refused.status().as_u16(), allowed), (405, Some("GET, HEAD, DELETE")));
    }
}

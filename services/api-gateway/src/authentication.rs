//! Who makes a request: the key in its `Authorization`, before anything of the request is looked at.
//!
//! `Authorization: Bearer <key>` alone is taken: keys in the query or in Basic credentials end in logs.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use domain::{ApiKey, Grant, KeyHash, Owner, Scope, Scopes};
use persistence::{Database, KeyStanding, KeyUse};
use service_kit::Scope as Tasks;
use telemetry::names::{self, label};

use crate::{
    caller::Caller,
    error::{ApiError, Denial},
    keys::Keys,
    limits::Limits,
    observe::about_key,
};

/// What answers without a key whatever is set: those who watch the process, and the document.
const PUBLIC: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/openapi.json"];
const PUBLIC_BELOW: &str = "/swagger/";
/// What never answers without one.
const NEVER_OPEN: [&str; 2] = ["/admin", "/callbacks"];

/// What logs call the key of `ADMIN_API_KEY`.
const BOOTSTRAP: &str = "ADMIN_API_KEY";

/// How callers are told apart.
#[derive(Clone)]
pub(crate) struct Authentication {
    is_required: bool,
    /// The digest of `ADMIN_API_KEY`.
    bootstrap: Option<KeyHash>,
    keys: Keys,
}

/// How one request was answered, for the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Key,
    Bootstrap,
    Missing,
    Malformed,
    Unknown,
    Expired,
    Revoked,
    Unavailable,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Key,
        Self::Bootstrap,
        Self::Missing,
        Self::Malformed,
        Self::Unknown,
        Self::Expired,
        Self::Revoked,
        Self::Unavailable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Bootstrap => "bootstrap",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unavailable => "unavailable",
        }
    }

    fn count(self) {
        metrics::counter!(names::AUTHENTICATIONS_TOTAL, label::RESULT => self.as_str()).increment(1);
    }
}

/// The values of the label `result`.
pub(crate) fn outcomes() -> Vec<&'static str> {
    Outcome::ALL.map(Outcome::as_str).to_vec()
}

fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path) || path.starts_with(PUBLIC_BELOW)
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Authentication {
    pub(crate) fn start(is_required: bool, bootstrap: Option<KeyHash>, database: &Database, tasks: &Tasks) -> Self {
        let keys = Keys::start(database, tasks);
        if is_required && bootstrap.is_none() {
            tasks.spawn_until_stopped("look for an admin key", keys.clone().warn_without_admin());
        }
        Self { is_required, bootstrap, keys }
    }

    /// Who sent these headers to this path; `None` where nobody is asked who it is.
    ///
    /// # Errors
    /// 401 where it is nobody, 429 where the key has used up its limit, 503 where the database had to be asked and did not answer.
    pub(crate) async fn judge(
        &self,
        path: &str,
        headers: &HeaderMap,
        limits: &Limits,
    ) -> Result<Option<Caller>, ApiError> {
        if is_public(path) {
            return Ok(None);
        }
        let never_open = NEVER_OPEN.iter().any(|top| is_at_or_below(path, top));
        self.identify(headers, never_open, limits).await.map(Some)
    }

    async fn identify(&self, headers: &HeaderMap, never_open: bool, limits: &Limits) -> Result<Caller, ApiError> {
        let hash = match sent_in(headers) {
            Sent::Key(key) => key.hash(),
            Sent::Garbage => return Err(denied(Outcome::Malformed, Denial::Invalid)),
            Sent::Nothing if self.is_required || never_open => return Err(denied(Outcome::Missing, Denial::Missing)),
            Sent::Nothing => {
                metrics::counter!(names::REQUESTS_UNAUTHENTICATED_TOTAL).increment(1);
                return Ok(Caller::open());
            }
        };
        if self.bootstrap.is_some_and(|bootstrap| bootstrap.is(&hash)) {
            about_key(BOOTSTRAP);
            Outcome::Bootstrap.count();
            return Ok(Caller::with_key(Grant::from_stored(Owner::Platform, Scopes::of(&[Scope::Admin]))));
        }
        let found = self.keys.find(&hash).await.inspect_err(|_| Outcome::Unavailable.count())?;
        let Some(found) = found else { return Err(denied(Outcome::Unknown, Denial::Invalid)) };
        about_key(&found.id);
        let KeyUse { row, grant, requests_per_second, standing, .. } = *found;
        match standing {
            KeyStanding::Revoked => return Err(denied(Outcome::Revoked, Denial::Revoked)),
            KeyStanding::Expired => return Err(denied(Outcome::Expired, Denial::Expired)),
            KeyStanding::Good(_) => Outcome::Key.count(),
        }
        if let Some(per_second) = requests_per_second {
            limits.check_key(row, per_second)?;
        }
        Ok(Caller::with_key(grant))
    }
}

fn denied(outcome: Outcome, denial: Denial) -> ApiError {
    outcome.count();
    ApiError::Unauthorized(denial)
}

/// What a request says of who sends it.
enum Sent {
    Nothing,
    /// What is no key, or not sent as one.
    Garbage,
    Key(ApiKey),
}

fn sent_in(headers: &HeaderMap) -> Sent {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(first) = values.next() else { return Sent::Nothing };
    // Which of two would count is a guess.
    let value = if values.next().is_none() { first.to_str().ok() } else { None };
    let key = value.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| ApiKey::parse(key.trim_matches(' '))).flatten()
    });
    key.map_or(Sent::Garbage, Sent::Key)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const KEY: &str = "mpk_0123456789abcdefghijABCDEFGHIJ011PgylC";

    fn sent(values: &[&str]) -> Sent {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).expect("a value"));
        }
        sent_in(&headers)
    }

    #[test]
    fn one_bearer_key_is_taken_and_nothing_else() {
        assert!(matches!(sent(&[]), Sent::Nothing));
        for right in ["Bearer ", "bearer ", "BEARER  "] {
            assert!(matches!(sent(&[&format!("{right}{KEY}")]), Sent::Key(_)), "{right}");
        }
        let bearer = format!("Bearer {KEY}");
        let basic = format!("Basic {KEY}");
        for wrong in
            [&["Bearer"] as &[&str], &["Bearer "], &[KEY], &[&basic], &[&bearer, &bearer], &["Bearer a b"], &[""]]
        {
            assert!(matches!(sent(wrong), Sent::Garbage), "{wrong:?}");
        }
    }

    #[test]
    fn paths_are_public_or_never_open_as_a_whole() {
        for path in ["/healthz", "/openapi.json", "/swagger/index.html"] {
            assert!(is_public(path), "{path}");
        }
        for path in ["/healthz/", "/swagger", "/metricsx", "/", "/messages/send", "//healthz"] {
            assert!(!is_public(path), "{path}");
        }
        for (path, never) in [("/admin", true), ("/admin/keys", true), ("/administration", false), ("/x/admin/", false)]
        {
            assert_eq!(is_at_or_below(path, "/admin"), never, "{path}");
        }
    }
}

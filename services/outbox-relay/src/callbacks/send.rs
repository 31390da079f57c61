//! One attempt: signed, sent, and judged by its answer.

use callbacks::{
    Attempt, AttemptError, CallbackClient, CallbackUrl, MasterKeys, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
    sign,
};
use domain::callback::schedule::wait_after;
use persistence::{CallbackEnd, CallbackRecord, ClaimedCallback, DueEndpoint};
use rand::Rng;
use telemetry::names::{self, label};

const GONE: u16 = 410;
/// Answers whose `Retry-After` counts.
const ASKS_TO_WAIT: [u16; 2] = [429, 503];

/// How attempts end, for the metric.
pub(crate) const RESULTS: [&str; 3] = ["done", "refused", "unanswered"];

/// What sends callbacks.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) client: CallbackClient,
    pub(super) keys: MasterKeys,
    pub(super) allow_http: bool,
}

impl Sender {
    /// Sends an event once.
    pub(super) async fn attempt(self, endpoint: DueEndpoint, claimed: ClaimedCallback) -> CallbackRecord {
        let attempt = self.post(&endpoint, &claimed).await;
        let end = end(&attempt, claimed.attempts, &mut rand::rng());
        let result = match (end, attempt.status) {
            (CallbackEnd::Done, _) => "done",
            (_, Some(_)) => "refused",
            (_, None) => "unanswered",
        };
        metrics::counter!(names::CALLBACK_ATTEMPTS_TOTAL, label::RESULT => result).increment(1);
        metrics::histogram!(names::CALLBACK_DURATION_SECONDS).record(attempt.duration);
        CallbackRecord {
            claimed,
            duration: attempt.duration,
            status: attempt.status,
            error: attempt.error.map(AttemptError::as_str),
            response: attempt.response,
            end,
            was_failing: endpoint.is_failing,
        }
    }

    async fn post(&self, endpoint: &DueEndpoint, claimed: &ClaimedCallback) -> Attempt {
        let url = claimed.url.as_deref().unwrap_or(&endpoint.url);
        // One that was allowed when it was stored, and is no more.
        let Ok(url) = CallbackUrl::parse(url, self.allow_http) else { return not_sent() };
        let secrets = self.keys.signing(&endpoint.id, endpoint.secret_version, endpoint.signs_with_previous);
        let now = seconds_now();
        let signature = sign(&secrets, &claimed.id, now, claimed.payload.as_bytes());
        let now = now.to_string();
        let headers = [(WEBHOOK_ID, &*claimed.id), (WEBHOOK_TIMESTAMP, &now), (WEBHOOK_SIGNATURE, &signature)];
        self.client.post(&url, &headers, claimed.payload.clone().into_bytes()).await
    }
}

fn not_sent() -> Attempt {
    Attempt {
        status: None,
        retry_after: None,
        error: Some(AttemptError::Other),
        response: Vec::new(),
        duration: std::time::Duration::ZERO,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a receiver holds the time of a signature beside its own clock; nothing of it is stored"
)]
fn seconds_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What follows from an attempt with this number.
fn end(attempt: &Attempt, attempts: u32, rng: &mut impl Rng) -> CallbackEnd {
    let asked_for = attempt.retry_after.filter(|_| attempt.status.is_some_and(|status| ASKS_TO_WAIT.contains(&status)));
    match attempt.status {
        Some(200..=299) => CallbackEnd::Done,
        Some(GONE) => CallbackEnd::Gone(wait_after(attempts, None, rng)),
        _ => CallbackEnd::Again(wait_after(attempts, asked_for, rng)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn answered(status: u16, retry_after: Option<u64>) -> Attempt {
        Attempt { status: Some(status), retry_after: retry_after.map(Duration::from_secs), error: None, ..not_sent() }
    }

    #[test]
    fn only_a_2xx_is_an_acceptance() {
        let mut rng = StdRng::seed_from_u64(1);
        for status in [200, 204, 299] {
            assert_eq!(end(&answered(status, None), 1, &mut rng), CallbackEnd::Done);
        }
        for status in [199, 300, 301, 400, 404, 500] {
            assert!(matches!(end(&answered(status, None), 1, &mut rng), CallbackEnd::Again(Some(_))), "{status}");
        }
        assert!(matches!(end(&answered(410, None), 1, &mut rng), CallbackEnd::Gone(Some(_))));
        assert!(matches!(end(&not_sent(), 7, &mut rng), CallbackEnd::Again(Some(_))));
        assert_eq!(end(&not_sent(), 8, &mut rng), CallbackEnd::Again(None), "it was the last one");
    }

    #[test]
    fn an_endpoint_that_is_busy_may_ask_for_twice_the_wait() {
        let mut rng = StdRng::seed_from_u64(1);
        for (status, asked_for, wait) in [(429, 8, 8), (503, 3_600, 10), (429, 0, 5)] {
            let wait = CallbackEnd::Again(Some(Duration::from_secs(wait)));
            assert_eq!(end(&answered(status, Some(asked_for)), 1, &mut rng), wait);
        }
        let CallbackEnd::Again(Some(wait)) = end(&answered(500, Some(9)), 1, &mut rng) else { panic!("no wait") };
        assert!(wait <= Duration::from_secs(6), "of others it does not count");
    }
}

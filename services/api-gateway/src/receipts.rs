//! Receipts of operators: who sends them, and their way to the database. What is answered with 202 is stored.

use std::{sync::Arc, time::Duration};

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use callbacks::{
    OperatorSecret, OperatorSecrets, Rejection, SignatureHeaders, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
};
use domain::ApiKey;
use futures_util::future::try_join_all;
use persistence::{Database, NewReceipt};
use service_kit::{
    Scope,
    batch::{BatchError, BatchOptions, Batcher},
};
use telemetry::names::{self, label};

use crate::error::{ApiError, Denial};

/// How long an operator waits for its answer at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Transactions that store receipts at the same time.
const TASKS: usize = 2;
/// Jobs that may wait for a task; more are refused as overload.
const WAITING_JOBS: usize = 1_024;
/// Receipts of one job: a long list is stored in several transactions, all of which are repeated harmlessly.
const JOB_RECEIPTS: usize = 64;
/// Receipts after which no job is added to a transaction.
const BATCH_RECEIPTS: usize = 192;
/// As messages are accepted.
const PACE: Duration = Duration::from_millis(10);
const LARGE_BATCH: usize = 32;

/// Why receipts are not taken, for the metric.
pub(crate) const REFUSALS: [&str; 3] = ["unauthorized", "stale", "invalid"];

/// The way to the database for receipts, and who may go it.
#[derive(Clone)]
pub(crate) struct Receipts {
    secrets: OperatorSecrets,
    batcher: Batcher<Vec<NewReceipt>, (), persistence::Error>,
}

/// Whether operators send receipts to this path. Nobody else is asked there who it is, and its limit is one of its own.
pub(crate) fn is_receipts(path: &str) -> bool {
    let name = path.strip_prefix("/operators/").and_then(|rest| rest.strip_suffix("/receipts"));
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

impl Receipts {
    pub(crate) fn start(secrets: OperatorSecrets, database: &Database, scope: &Scope) -> Self {
        let options = BatchOptions {
            name: "receipts",
            tasks: TASKS,
            queue: WAITING_JOBS,
            batch_jobs: BATCH_RECEIPTS,
            batch_weight: BATCH_RECEIPTS,
            pace: PACE,
            large: LARGE_BATCH,
        };
        let database = database.clone();
        let work = move |batch: Arc<Vec<Vec<NewReceipt>>>| {
            let database = database.clone();
            async move {
                database.take_receipts(&batch.concat()).await?;
                Ok(vec![(); batch.len()])
            }
        };
        let batcher = Batcher::start(options, scope, Vec::len, persistence::Error::is_unavailable, work);
        Self { secrets, batcher }
    }

    /// How an operator of this name shows who it is.
    ///
    /// # Errors
    /// 404 where none of this name sends receipts.
    pub(crate) fn sender(&self, operator: &str) -> Result<Sender<'_>, ApiError> {
        match self.secrets.of(operator) {
            Some(secret) => Ok(Sender { operator: operator.to_owned(), secret }),
            None => Err(ApiError::NotFound),
        }
    }

    /// Stores receipts.
    ///
    /// # Errors
    /// 503 where the database does not answer, or too much waits for it: then some may be stored, and all may be sent again.
    pub(crate) async fn store(&self, receipts: Vec<NewReceipt>) -> Result<(), ApiError> {
        let jobs = receipts.chunks(JOB_RECEIPTS).map(|job| self.batcher.submit(key(&job[0]), job.to_vec()));
        match tokio::time::timeout(ANSWER_WITHIN, try_join_all(jobs)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(BatchError::Failed(error))) => Err(ApiError::from(&*error)),
            Ok(Err(BatchError::Full)) => Err(ApiError::Overloaded { signal: None }),
            Ok(Err(BatchError::Stopped)) => Err(ApiError::Unavailable),
            Err(_) => {
                tracing::warn!(outage = "database", "the database did not store receipts in time");
                Err(ApiError::Unavailable)
            }
        }
    }
}

/// Those of one message keep to one task, which takes them in their order.
fn key(receipt: &NewReceipt) -> u64 {
    receipt.receipt.id.as_str().bytes().fold(0, |key, byte| key.wrapping_mul(31).wrapping_add(byte.into()))
}

/// Somebody who says to be an operator.
pub(crate) struct Sender<'a> {
    pub(crate) operator: String,
    secret: &'a OperatorSecret,
}

impl Sender<'_> {
    /// What can be seen before the body is read.
    ///
    /// # Errors
    /// 401 where it does not show the operator's token, or no signature.
    pub(crate) fn check_head(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.secret {
            OperatorSecret::Signed(_) => signature(headers).map(drop).ok_or_else(|| self.refuse("unauthorized")),
            OperatorSecret::Token(expected) => {
                let sent = token(headers).is_some_and(|token| token.hash().is(expected));
                if sent { Ok(()) } else { Err(self.refuse("unauthorized")) }
            }
        }
    }

    /// What takes the body to be seen.
    ///
    /// # Errors
    /// 401 where the body was signed by somebody else, or is not what was signed, or that was too long ago.
    pub(crate) fn check_body(&self, headers: &HeaderMap, now: i64, body: &[u8]) -> Result<(), ApiError> {
        let OperatorSecret::Signed(secret) = self.secret else { return Ok(()) };
        let Some(signature) = signature(headers) else { return Err(self.refuse("unauthorized")) };
        signature.verify(secret, now, body).map_err(|rejection| {
            tracing::debug!(operator = self.operator, %rejection, "a receipt is not taken");
            self.refuse(if rejection == Rejection::Stale { "stale" } else { "unauthorized" })
        })
    }

    /// Counts what is not taken because of what it says.
    pub(crate) fn count_invalid(&self) {
        self.count("invalid");
    }

    fn refuse(&self, result: &'static str) -> ApiError {
        self.count(result);
        ApiError::Unauthorized(Denial::Operator)
    }

    fn count(&self, result: &'static str) {
        let operator = self.operator.clone();
        metrics::counter!(names::RECEIPTS_REFUSED_TOTAL, label::OPERATOR => operator, label::RESULT => result)
            .increment(1);
    }
}

/// The only value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn signature(headers: &HeaderMap) -> Option<SignatureHeaders<'_>> {
    Some(SignatureHeaders {
        id: only(headers, WEBHOOK_ID)?,
        timestamp: only(headers, WEBHOOK_TIMESTAMP)?,
        signatures: only(headers, WEBHOOK_SIGNATURE)?,
    })
}

fn token(headers: &HeaderMap) -> Option<ApiKey> {
    let (scheme, token) = only(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| ApiKey::parse(token.trim_matches(' '))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_receipts_have_one_name() {
        for path in ["/operators/a/receipts", "/operators/op.B-1/receipts"] {
            assert!(is_receipts(path), "{path}");
        }
        for path in
            ["/operators/receipts", "/operators//receipts", "/operators/a/b/receipts", "/operators/a/receipts/", "/x"]
        {
            assert!(!is_receipts(path), "{path}");
        }
    }
}

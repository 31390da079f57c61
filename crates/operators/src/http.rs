//! An operator that is reached over HTTP: one `POST` per submission.

use std::{
    error::Error as _,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use domain::{ProviderMessageId, Sender};
use instruments::propagation;
use reqwest::{Client, Response, StatusCode, header, redirect};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use tokio::time::{Instant, timeout_at};
use tower::Service;
use url::Url;

use crate::{
    Submission,
    outcome::{Answer, BoxFuture, Failure, Outcome},
    round::Round,
};

/// The most of a response's body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// The longest that connecting, with its TLS handshake, may take.
const MAX_CONNECT: Duration = Duration::from_secs(1);
/// Most idle connections kept per operator.
const MAX_IDLE: usize = 256;

#[derive(Serialize)]
struct Body<'a> {
    message_id: &'a str,
    recipient: &'a str,
    text: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Receipt {
    provider_message_id: Option<Id>,
}

/// Some operators number their messages.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(Number),
}

/// One HTTP operator; clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpOperator {
    client: Client,
    url: Url,
    /// When an attempt must be over, so that reading a body cannot turn an answer into a timeout.
    timeout: Duration,
}

impl HttpOperator {
    pub(crate) fn new(url: Url, timeout: Duration) -> Result<Self, reqwest::Error> {
        // Half the timeout at most: a connection that cannot be made must end as "not sent" before the
        // attempt's timeout would call it unknown.
        let connect_timeout = (timeout / 2).min(MAX_CONNECT);
        let builder = Client::builder()
            .connect_timeout(connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(MAX_IDLE)
            .no_proxy();
        let builder = if url.scheme() == "https" {
            install_tls_provider();
            builder
        } else {
            builder.tls_backend_preconfigured(tls_without_trust())
        };
        Ok(Self { client: builder.build()?, url, timeout })
    }

    async fn submit(self, round: Arc<Round>) -> Outcome {
        let body_deadline = Instant::now() + self.timeout.mul_f64(0.9);
        let response = self.request(&round.submission).send().await.map_err(|error| without_answer(&error))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        // The status decides. The body is read for the provider's id and to keep the connection, if it comes in time.
        let body = timeout_at(body_deadline, read_body(response)).await.unwrap_or_default();
        judge(status, retry_after, &body)
    }

    fn request(&self, submission: &Submission) -> reqwest::RequestBuilder {
        let request =
            self.client.post(self.url.clone()).header("Idempotency-Key", submission.idempotency_key()).json(&Body {
                message_id: submission.message_id.as_str(),
                recipient: submission.recipient.as_str(),
                text: &submission.text,
                r#type: submission.kind.as_str(),
                from: submission.from.as_ref().map(Sender::as_str),
                encoding: submission.coding.map(|coding| coding.encoding.as_str()),
                segments: submission.coding.map(|coding| coding.segments),
                validity_seconds: submission.validity,
            });
        // That of the span of this attempt.
        match propagation::current_traceparent() {
            Some(value) => request.header(propagation::TRACEPARENT, value),
            None => request,
        }
    }
}

impl Service<Arc<Round>> for HttpOperator {
    type Response = Answer;
    type Error = Failure;
    type Future = BoxFuture<Outcome>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, round: Arc<Round>) -> BoxFuture<Outcome> {
        Box::pin(self.clone().submit(round))
    }
}

/// What a status means for the submission.
fn judge(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Outcome {
    let code = status.as_u16();
    match code {
        200..=299 => Ok(Answer::Accepted { ids: vec![provider_id(body)] }),
        408 | 425 | 429 => Err(Failure::Temporary { answer: code.to_string(), retry_after }),
        400..=499 => Ok(Answer::Rejected { reason: format!("answered {code}"), of_every_copy: true }),
        // Redirects too: they are not followed, and the submission is nowhere.
        _ => Err(Failure::Temporary { answer: code.to_string(), retry_after }),
    }
}

/// What a request without a response means. Once there was a connection, the operator may have read it all.
fn without_answer(error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    // The innermost cause alone: the outer ones repeat the URL.
    let reason = if error.source().is_some() { cause.to_string() } else { "request failed".to_owned() };
    if error.is_connect() || error.is_builder() { Failure::NotSent { reason } } else { Failure::Unknown { reason } }
}

/// The wait that a 429 or 503 asks for in seconds. A date is not honoured: waits here are at most seconds long.
fn retry_after(response: &Response) -> Option<Duration> {
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The whole body, or nothing where it is too long or breaks off.
async fn read_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(chunk) = response.chunk().await {
        match chunk {
            None => return body,
            Some(chunk) if body.len() + chunk.len() <= MAX_BODY => body.extend_from_slice(&chunk),
            Some(_) => break,
        }
    }
    Vec::new()
}

/// The provider's id in a receipt; any other body is as good as none.
fn provider_id(body: &[u8]) -> Option<ProviderMessageId> {
    let receipt: Receipt = serde_json::from_slice(body).ok()?;
    match receipt.provider_message_id? {
        Id::Text(id) => ProviderMessageId::parse(&id),
        Id::Number(id) => ProviderMessageId::parse(&id.to_string()),
    }
}

/// Makes ring the process's TLS provider, unless the process has one: reqwest looks for it there.
fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// For plain HTTP: reqwest always sets TLS up, and would fail on a machine without root certificates.
fn tls_without_trust() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: u16) -> &'static str {
        match judge(StatusCode::from_u16(code).expect("a status"), None, b"") {
            Ok(Answer::Accepted { .. }) => "accepted",
            Ok(Answer::Rejected { .. }) => "rejected",
            Err(Failure::Temporary { .. }) => "temporary",
            Err(other) => panic!("{code} gave {other:?}"),
        }
    }

    #[test]
    fn every_status_has_its_class() {
        for code in 100..=999 {
            let expected = match code {
                200..=299 => "accepted",
                408 | 425 | 429 => "temporary",
                400..=499 => "rejected",
                _ => "temporary",
            };
            assert_eq!(class(code), expected, "{code}");
        }
    }

    #[test]
    fn any_body_is_tolerated() {
        assert_eq!(provider_id(br#"{"provider_message_id":"x-1","other":[]}"#), ProviderMessageId::parse("x-1"));
        let long = format!(r#"{{"provider_message_id":"{}"}}"#, "x".repeat(256));
        assert_eq!(provider_id(br#"{"provider_message_id":12345}"#), ProviderMessageId::parse("12345"));
        for odd in
            ["", "null", "[]", "ok", "{}", r#"{"provider_message_id":[7]}"#, r#"{"provider_message_id":""}"#, &long]
        {
            assert_eq!(provider_id(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(provider_id(b"\xff{"), None);
        assert_eq!(provider_id(br#"{"provider_message_id":"a\nb"}"#), None);
    }
}

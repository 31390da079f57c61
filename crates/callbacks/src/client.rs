//! The HTTP client that posts callbacks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, ClientBuilder, Response, header, redirect, retry};

use crate::{
    addresses::Allowed,
    attempt::{Attempt, AttemptError},
    resolver::Resolver,
    target::CallbackUrl,
};

/// How long an attempt may take where nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest that resolving, connecting and the TLS handshake may take together.
const MAX_CONNECT: Duration = Duration::from_secs(5);
/// About the most that is read of an answer's body, in bytes: no chunk is asked for after that.
const MAX_BODY: usize = 64 * 1024;
/// The most that is kept of it.
const MAX_KEPT: usize = 1024;
/// Idle connections that are kept to each host, and for how long.
const MAX_IDLE: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const USER_AGENT: &str = "messaging-platform-callbacks/1";

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("could not set up the HTTP client that posts callbacks")]
pub struct ClientError(#[source] reqwest::Error);

/// Posts callbacks, to addresses that are allowed and nowhere else: it follows no redirect, uses no proxy, and connects only to
/// what it has judged. Clones share their connections.
#[derive(Debug, Clone)]
pub struct CallbackClient {
    client: Client,
    resolver: Resolver,
}

impl CallbackClient {
    /// A client whose attempts take `timeout` at most, with the reading of the answer. Without `allow_http` it refuses `http`,
    /// whatever a URL was parsed with.
    ///
    /// It trusts the authorities that the machine trusts, or those of Mozilla where the machine has none.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(allowed: Allowed, allow_http: bool, timeout: Duration) -> Result<Self, ClientError> {
        Self::with_resolver(Resolver::new(allowed), allow_http, timeout)
    }

    /// The same with a resolver of its own, which says what is allowed.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_resolver(resolver: Resolver, allow_http: bool, timeout: Duration) -> Result<Self, ClientError> {
        install_tls_provider();
        let builder = || builder(&resolver, allow_http, timeout);
        // It fails on a machine without root certificates, which only https needs.
        let client = builder().build().or_else(|_| builder().tls_backend_preconfigured(tls_of_mozilla()).build());
        Ok(Self { client: client.map_err(ClientError)?, resolver })
    }

    /// Posts a body of JSON once, with these headers. An answer of any status is an answer, also a redirect.
    pub async fn post(&self, url: &CallbackUrl, headers: &[(&str, &str)], body: Vec<u8>) -> Attempt {
        let began = Instant::now();
        let mut attempt = match self.send(url, headers, body).await {
            Ok(response) => answered(response).await,
            Err(error) => unanswered(error),
        };
        attempt.duration = began.elapsed();
        attempt
    }

    async fn send(&self, url: &CallbackUrl, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Response, AttemptError> {
        // A resolver is not asked for addresses, so the connection would be made without this.
        url.check_literal(self.resolver.allowed()).map_err(|_| AttemptError::RefusedAddress)?;
        let request = self.client.post(url.url().clone()).header(header::CONTENT_TYPE, "application/json").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.map_err(|error| AttemptError::of(&error))
    }
}

fn builder(resolver: &Resolver, allow_http: bool, timeout: Duration) -> ClientBuilder {
    // What needs a feature that is off today is turned off too, as any crate of the workspace could turn it on.
    Client::builder()
        .dns_resolver(resolver.clone())
        .https_only(!allow_http)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_only()
        .connect_timeout(MAX_CONNECT)
        .timeout(timeout)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(USER_AGENT)
}

async fn answered(response: Response) -> Attempt {
    Attempt {
        status: Some(response.status().as_u16()),
        retry_after: retry_after(&response),
        error: None,
        response: beginning(response).await,
        duration: Duration::ZERO,
    }
}

fn unanswered(error: AttemptError) -> Attempt {
    Attempt { status: None, retry_after: None, error: Some(error), response: Vec::new(), duration: Duration::ZERO }
}

/// The wait that an answer asks for, in seconds. 32 bits, so that it can be added to any time of ours.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u32 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// What is kept of the body. More of it is read, as only a connection whose answer was read to its end can be used again.
async fn beginning(mut response: Response) -> Vec<u8> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while read < MAX_BODY
        && let Ok(Some(chunk)) = response.chunk().await
    {
        read += chunk.len();
        kept.extend_from_slice(&chunk[..chunk.len().min(MAX_KEPT - kept.len())]);
    }
    kept
}

/// Makes ring the process's TLS provider, unless the process has one: reqwest looks for it there.
fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// With the authorities that Mozilla trusts, which are part of this program.
fn tls_of_mozilla() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_had_without_the_certificates_of_this_machine() {
        let builder = builder(&Resolver::new(Allowed::default()), false, DEFAULT_TIMEOUT);
        assert!(builder.tls_backend_preconfigured(tls_of_mozilla()).build().is_ok());
    }
}

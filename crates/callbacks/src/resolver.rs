//! Where names lead, as long as that is somewhere callbacks may go.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

use crate::{
    addresses::{Allowed, RefusedAddress},
    places::Places,
    target::CallbackUrl,
};

/// Longest that [`Resolver::check_host`] waits.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Most addresses of a name that are tried. All are judged.
const MAX_ADDRESSES: usize = 16;

/// Names that the system is asked for at the same time, each once. Nobody can end such a question: it keeps a thread until it is answered,
/// also when nobody waits for it any more, and a name whose servers are silent must not keep the threads of others.
const LOOKUPS: usize = 64;

/// The answer to a [`Lookup`], once it is there.
pub type LookupAnswer<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Something that knows the addresses of names.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a name.
    fn lookup<'a>(&'a self, name: &'a str) -> LookupAnswer<'a>;
}

/// What the system knows: its hosts file and its name servers.
#[derive(Debug)]
pub struct SystemLookup(Places);

impl Default for SystemLookup {
    fn default() -> Self {
        Self(Places::new(LOOKUPS))
    }
}

impl Lookup for SystemLookup {
    fn lookup<'a>(&'a self, name: &'a str) -> LookupAnswer<'a> {
        Box::pin(self.0.run(name, {
            let name = name.to_owned();
            move || Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
        }))
    }
}

/// Why callbacks cannot go to a host, in words for its customer.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It has an address to which they may not go, whatever others it has.
    #[error(transparent)]
    Refused(#[from] RefusedAddress),
    /// It has no address, or nobody could say.
    #[error("url must have a host whose name resolves")]
    Unresolved(#[source] io::Error),
    /// Nobody said within five seconds.
    #[error("url must have a host whose name resolves within {} seconds", MAX_WAIT.as_secs())]
    TooSlow,
}

/// Resolves names for [`crate::CallbackClient`], which connects to nothing but the addresses that were judged here: a name that
/// leads elsewhere by then gains nothing. Clones are the same resolver.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    allowed: Allowed,
    lookup: Box<dyn Lookup>,
}

impl Resolver {
    /// One that asks the system.
    pub fn new(allowed: Allowed) -> Self {
        Self::with_lookup(allowed, SystemLookup::default())
    }

    /// One that asks `lookup`.
    pub fn with_lookup(allowed: Allowed, lookup: impl Lookup) -> Self {
        Self(Arc::new(Inner { allowed, lookup: Box::new(lookup) }))
    }

    /// Whether callbacks may go to the host of this URL as things are now, for whoever registers it. It is judged again at each
    /// connection.
    ///
    /// # Errors
    /// Why they may not.
    pub async fn check_host(&self, url: &CallbackUrl) -> Result<(), HostError> {
        if url.literal().is_some() {
            return Ok(url.check_literal(self.allowed())?);
        }
        let addresses = timeout(MAX_WAIT, self.resolve_name(url.host())).await;
        addresses.map_err(|_| HostError::TooSlow)?.map(drop)
    }

    pub(crate) fn allowed(&self) -> &Allowed {
        &self.0.allowed
    }

    /// The addresses of a name, where all may be connected to. One that may not be refuses all: a name of such a mixture is either
    /// wrong or an attempt to be lucky.
    async fn resolve_name(&self, name: &str) -> Result<Vec<IpAddr>, HostError> {
        let mut addresses = self.0.lookup.lookup(name).await.map_err(HostError::Unresolved)?;
        if addresses.is_empty() {
            return Err(HostError::Unresolved(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses")));
        }
        for address in &addresses {
            self.allowed().check(*address)?;
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("allowed", self.allowed()).finish_non_exhaustive()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.resolve_name(name.as_str()).await?;
            // Port 0 stands for that of the URL.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{future, sync::Mutex};

    use super::*;

    /// Answers each question with the next of these.
    struct Answers(Mutex<Vec<io::Result<Vec<IpAddr>>>>);

    impl Lookup for Answers {
        fn lookup<'a>(&'a self, _: &'a str) -> LookupAnswer<'a> {
            Box::pin(future::ready(self.0.lock().expect("no panics").remove(0)))
        }
    }

    /// Never answers.
    struct Silence;

    impl Lookup for Silence {
        fn lookup<'a>(&'a self, _: &'a str) -> LookupAnswer<'a> {
            Box::pin(future::pending())
        }
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn resolver(answers: Vec<io::Result<Vec<IpAddr>>>) -> Resolver {
        Resolver::with_lookup("10.1.0.0/16".parse().expect("a network"), Answers(Mutex::new(answers)))
    }

    async fn resolve(resolver: &Resolver) -> Result<Vec<SocketAddr>, String> {
        let resolved = resolver.resolve("example.com".parse().expect("a name")).await;
        resolved.map(Iterator::collect).map_err(|error| match error.downcast_ref::<HostError>() {
            Some(HostError::Refused(refused)) => format!("refused {}", refused.0),
            Some(other) => other.to_string(),
            None => format!("another error: {error}"),
        })
    }

    fn url(text: &str) -> CallbackUrl {
        CallbackUrl::parse(text, false).expect(text)
    }

    #[tokio::test]
    async fn one_private_address_among_public_ones_refuses_all() {
        for place in 0..3 {
            let mut addresses = ips(&["93.184.216.34", "2606:4700::1111"]);
            addresses.insert(place, "10.0.0.1".parse().expect("an address"));
            let resolver = resolver(vec![Ok(addresses)]);
            assert_eq!(resolve(&resolver).await, Err("refused 10.0.0.1".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_private_address_beyond_those_that_are_kept_refuses_all() {
        let mut addresses = vec!["93.184.216.34".parse().expect("an address"); MAX_ADDRESSES];
        let public = resolver(vec![Ok([addresses.clone(), addresses.clone()].concat())]);
        assert_eq!(resolve(&public).await.map(|addresses| addresses.len()), Ok(16));
        addresses.extend(ips(&["::1"]));
        assert_eq!(resolve(&resolver(vec![Ok(addresses)])).await, Err("refused ::1".to_owned()));
    }

    #[tokio::test]
    async fn every_answer_is_judged_anew() {
        let resolver = resolver(vec![Ok(ips(&["93.184.216.34", "10.1.2.3"])), Ok(ips(&["127.0.0.1"]))]);
        let expected = ["93.184.216.34:0", "10.1.2.3:0"].map(|address| address.parse().expect("an address"));
        assert_eq!(resolve(&resolver).await, Ok(expected.to_vec()));
        assert_eq!(resolve(&resolver).await, Err("refused 127.0.0.1".to_owned()));
    }

    #[tokio::test]
    async fn a_host_is_judged_when_it_is_registered() {
        let failed = || Err(io::Error::other("no such name"));
        let resolver = resolver(vec![Ok(ips(&["93.184.216.34"])), Ok(ips(&["fd00::1"])), Ok(vec![]), failed()]);
        let name = url("https://example.com/cb");
        assert!(resolver.check_host(&name).await.is_ok());
        let refused = resolver.check_host(&name).await.expect_err("a private address");
        assert_eq!(refused.to_string(), "url must lead to public addresses only");
        for _ in 0..2 {
            let error = resolver.check_host(&name).await.expect_err("no address");
            assert!(matches!(error, HostError::Unresolved(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_for_the_address_of_an_address() {
        let resolver = Resolver::with_lookup(Allowed::default(), Silence);
        assert!(resolver.check_host(&url("https://8.8.8.8/")).await.is_ok());
        for refused in ["https://127.1/", "https://[::1]/"] {
            let error = resolver.check_host(&url(refused)).await.expect_err("a local address");
            assert!(matches!(error, HostError::Refused(_)), "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_has_five_seconds_to_resolve() {
        let resolver = Resolver::with_lookup(Allowed::default(), Silence);
        let began = tokio::time::Instant::now();
        let error = resolver.check_host(&url("https://example.com/")).await.expect_err("silence");
        assert!(matches!(error, HostError::TooSlow), "{error:?}");
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[tokio::test]
    async fn this_machine_is_refused_by_its_name() {
        let error = Resolver::new(Allowed::default()).check_host(&url("https://localhost/")).await;
        assert!(matches!(error, Err(HostError::Refused(_))), "{error:?}");
    }
}

//! Posting receipts: when, again and again, and never too many.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, StatusCode, redirect};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use uuid::Uuid;

use crate::{
    AnsweredId, InvalidBehaviour, Receipt, Receipts,
    receipts::{Accepted, Timing},
    target::Target,
};

/// Most posts at the same time.
const MAX_POSTS: usize = 64;
/// Most receipts that wait for their time or are posted.
const MAX_PENDING: usize = 1_000_000;
/// How long the answer to a post may take.
const LONGEST_POST: Duration = Duration::from_secs(5);
/// How long a submission's answer waits for receipts that come before it.
const LONGEST_HOLD: Duration = Duration::from_secs(5);
/// The pause before the second post; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a receipt that is not taken is posted again.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What became of one operator's posts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    posted: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    pub(crate) fn posted(&self) -> u64 {
        self.posted.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn clear(&self) {
        self.posted.store(0, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
    }

    fn take(&self) {
        self.posted.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self, posts: u64) {
        self.refused.fetch_add(posts, Ordering::Relaxed);
    }
}

/// What an operator reports, and where its posts are counted.
#[derive(Debug)]
pub(crate) struct Reporting {
    receipts: Receipts,
    target: Target,
    counts: Arc<Counts>,
}

impl Reporting {
    /// What `receipts` say; refused where their URL or secret is.
    pub(crate) fn parse(receipts: Receipts) -> Result<Self, InvalidBehaviour> {
        let target = Target::parse(&receipts.to, &receipts.secret)?;
        Ok(Self { receipts, target, counts: Arc::default() })
    }

    /// The same reporting, counted in `counts`.
    pub(crate) fn counted_in(self, counts: &Arc<Counts>) -> Self {
        Self { counts: Arc::clone(counts), ..self }
    }

    /// The form of ids in the operator's answers.
    pub(crate) fn ids(&self) -> AnsweredId {
        self.receipts.ids
    }

    /// The receipts for `recipient`, those of the same time together and in their order.
    fn by_timing(&self, recipient: &str) -> BTreeMap<Timing, Vec<&Receipt>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for receipt in self.receipts.for_recipient(recipient) {
            groups.entry(receipt.timing()).or_default().push(receipt);
        }
        groups
    }
}

/// The tie between a submission's answer and its receipts. Those that come after the answer do so once this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Closed after the first posts of the receipts that come before the answer.
    before: oneshot::Receiver<()>,
    _answered: DropGuard,
}

impl Hold {
    /// Waits until the submission may be answered.
    pub(crate) async fn until_released(&mut self) {
        // Nothing is ever sent: the other side is dropped.
        let _released = timeout(LONGEST_HOLD, &mut self.before).await;
    }
}

/// Posts the receipts of a simulator, until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Poster {
    line: Arc<Line>,
    pending: Arc<Semaphore>,
    /// Not that of the server's thread, which has answers to give.
    runtime: Handle,
    tasks: TaskTracker,
    end: CancellationToken,
    _end_when_dropped: DropGuard,
}

/// What all posts share.
#[derive(Debug)]
struct Line {
    client: Client,
    slots: Semaphore,
}

impl Poster {
    /// Posts from tasks on `runtime`.
    pub(crate) fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(LONGEST_POST)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tls_backend_preconfigured(tls_without_trust())
            .build()?;
        let end = CancellationToken::new();
        Ok(Self {
            line: Arc::new(Line { client, slots: Semaphore::new(MAX_POSTS) }),
            pending: Arc::new(Semaphore::new(MAX_PENDING)),
            runtime,
            tasks: TaskTracker::new(),
            _end_when_dropped: end.clone().drop_guard(),
            end,
        })
    }

    /// Begins to post the receipts of `accepted`, which was decided about just now.
    pub(crate) fn begin(&self, reporting: &Arc<Reporting>, accepted: &Accepted) -> Hold {
        let answered = CancellationToken::new();
        let (release, before) = oneshot::channel();
        let mut release = Some(release);
        let decided = Instant::now();
        for (timing, receipts) in reporting.by_timing(&accepted.recipient) {
            let Some(batch) = self.batch(reporting, &receipts, accepted) else { continue };
            match timing {
                Timing::BeforeAnswer => self.spawn(batch.post(release.take())),
                Timing::After(delay) => self.spawn(batch.post_later(answered.clone(), decided, delay)),
            }
        }
        Hold { before, _answered: answered.drop_guard() }
    }

    /// Ends every post and every wait, and returns once none is left.
    pub(crate) async fn stop(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// All posts of `receipts`, or nothing where too many are pending.
    fn batch(&self, reporting: &Arc<Reporting>, receipts: &[&Receipt], accepted: &Accepted) -> Option<Batch> {
        let count = receipts.iter().map(|receipt| u64::from(receipt.posts())).sum();
        let room =
            u32::try_from(count).ok().and_then(|count| Arc::clone(&self.pending).try_acquire_many_owned(count).ok());
        let Some(room) = room else {
            reporting.counts.refuse(count);
            return None;
        };
        let posts = receipts.iter().flat_map(|receipt| {
            let body = receipt.body(accepted);
            (0..receipt.posts()).map(move |_| Post { id: new_id(), body: body.clone() })
        });
        let (line, reporting, posts) = (Arc::clone(&self.line), Arc::clone(reporting), posts.collect());
        Some(Batch { line, reporting, posts, _room: room })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.end.clone();
        self.tasks.spawn_on(end.run_until_cancelled_owned(task), &self.runtime);
    }
}

/// One request, which may be made several times.
#[derive(Debug)]
struct Post {
    /// Its `webhook-id`.
    id: String,
    body: String,
}

/// Posts of one submission that are due at the same time.
#[derive(Debug)]
struct Batch {
    line: Arc<Line>,
    reporting: Arc<Reporting>,
    posts: Vec<Post>,
    _room: OwnedSemaphorePermit,
}

impl Batch {
    /// Posts once the submission is being answered and `delay` since the decision is over.
    async fn post_later(self, answered: CancellationToken, decided: Instant, delay: Duration) {
        answered.cancelled().await;
        sleep(delay.saturating_sub(decided.elapsed())).await;
        // On the heap, so that a million that wait stay small.
        Box::pin(self.post(None)).await;
    }

    /// Posts in order, and those that were not taken again and again. `release` is dropped after the first round.
    async fn post(mut self, release: Option<oneshot::Sender<()>>) {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        self.post_all().await;
        drop(release);
        while !self.posts.is_empty() && started.elapsed() + pause <= LONGEST_RETRY {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.post_all().await;
        }
        self.reporting.counts.refuse(self.posts.len().try_into().unwrap_or(u64::MAX));
    }

    /// One round: posts that are neither taken nor refused stay.
    async fn post_all(&mut self) {
        for post in mem::take(&mut self.posts) {
            match self.attempt(&post).await {
                Verdict::Taken => self.reporting.counts.take(),
                Verdict::Refused => self.reporting.counts.refuse(1),
                Verdict::Again => self.posts.push(post),
            }
        }
    }

    async fn attempt(&self, post: &Post) -> Verdict {
        let _slot = self.line.slots.acquire().await.expect("it is never closed");
        let request = self.reporting.target.request(&self.line.client, &post.id, post.body.clone());
        let Ok(response) = request.send().await else { return Verdict::Again };
        let status = response.status();
        // Read, so that the connection serves the next post.
        let _body = response.bytes().await;
        judge(status)
    }
}

/// What an answer means for a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Taken,
    Refused,
    Again,
}

fn judge(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Taken,
        408 | 429 => Verdict::Again,
        400..=499 => Verdict::Refused,
        _ => Verdict::Again,
    }
}

/// Differs from those of all simulators, which may post to the same gateway.
fn new_id() -> String {
    format!("receipt_{}", Uuid::now_v7().simple())
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

    #[test]
    fn every_status_has_its_verdict() {
        for (verdict, codes) in [
            (Verdict::Taken, vec![200, 202, 204]),
            (Verdict::Refused, vec![400, 401, 404, 409, 422]),
            (Verdict::Again, vec![302, 408, 429, 500, 503]),
        ] {
            for code in codes {
                assert_eq!(judge(StatusCode::from_u16(code).expect("a status")), verdict, "{code}");
            }
        }
    }

    #[tokio::test]
    async fn more_receipts_than_may_wait_are_refused() {
        let poster = Poster::new(Handle::current()).expect("a client");
        let counts = Arc::<Counts>::default();
        let many = u32::try_from(MAX_PENDING).expect("a few") + 1;
        let receipts = Receipts::to("http://localhost/", "mpr_1").with_default(vec![Receipt::of("x").times(many)]);
        let reporting = Arc::new(Reporting::parse(receipts).expect("valid").counted_in(&counts));
        let accepted = Accepted { seq: 1, id: "a-1".to_owned(), recipient: "+12".to_owned() };
        poster.begin(&reporting, &accepted).until_released().await;
        assert_eq!((counts.posted(), counts.refused()), (0, u64::from(many)));
        assert_eq!(poster.tasks.len(), 0);
        poster.stop().await;
    }
}

//! A database that stops answering without closing its connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use persistence::{Database, DatabaseConfig};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::support::{Fixture, customer};

/// Forwards to the server. `strand` makes every connection open at that moment silent for good, as a router that
/// forgot them would; later connections work.
struct Router {
    address: SocketAddr,
    generation: watch::Sender<usize>,
    accepted: Arc<AtomicUsize>,
    _forwarding: JoinSet<()>,
}

impl Router {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let generation = watch::Sender::new(0);
        let accepted = Arc::new(AtomicUsize::new(0));
        let (forgotten, count) = (generation.clone(), Arc::clone(&accepted));
        let mut forwarding = JoinSet::new();
        forwarding.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (server, mut forgotten) = (server.clone(), forgotten.subscribe());
                connections.spawn(async move {
                    let mut upstream = TcpStream::connect(server).await.expect("the server is there");
                    tokio::select! {
                        biased;
                        _ = forgotten.changed() => std::future::pending::<()>().await,
                        _ = copy_bidirectional(&mut client, &mut upstream) => {}
                    }
                });
            }
        });
        Self { address, generation, accepted, _forwarding: forwarding }
    }

    fn strand(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_connections_do_not_use_up_the_pool() {
    let f = Fixture::server().await;
    f.fund(1, 5).await;
    let (_, after_scheme) = f.url.split_once("://").expect("a URL");
    let (credentials, rest) = after_scheme.rsplit_once('@').expect("credentials");
    let (server, name) = rest.split_once('/').expect("a database");
    let router = Router::start(server.to_owned()).await;
    let mut config = DatabaseConfig::new(format!("mysql://{credentials}@{}/{name}", router.address).into());
    config.max_connections = 2;
    config.operation_timeout = Duration::from_millis(400);
    let db = Database::open(config).await.expect("opens");
    db.assume_migrated();
    let read = || db.account(customer(1), None, 1);
    let deadline = Duration::from_secs(30);
    test_support::wait_until(deadline, "a full pool", async || {
        drop(tokio::join!(Box::pin(read()), Box::pin(read()), Box::pin(read())));
        (db.pool_use().0 == 2).then_some(())
    })
    .await;
    // They come back to the pool a moment after their operation.
    test_support::wait_until(deadline, "idle connections", async || (db.pool_use() == (2, 2)).then_some(())).await;

    router.strand();

    assert!(read().await.expect_err("nobody answers").is_unavailable());
    let (balance, _) =
        test_support::wait_until(Duration::from_mins(1), "a pool that works again", async || read().await.ok()).await;
    assert_eq!(balance.get(), 5);
    assert!(router.accepted.load(Ordering::SeqCst) >= 2, "the answer came over a new connection");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_cut_off_anywhere_leaves_no_answer_to_the_next() {
    let f = Fixture::server().await;
    f.fund(1, 5).await;
    f.fund(2, 7).await;
    let mut config = DatabaseConfig::new(f.url.clone().into());
    config.max_connections = 2;
    let db = Database::open(config).await.expect("opens");
    db.assume_migrated();
    for rounds in 0..400 {
        // At first while it connects and prepares, later while it executes; a bit further in each time.
        let mut cut_off = Box::pin(db.account(customer(1), None, 1));
        for _ in 0..rounds {
            tokio::select! {
                biased;
                _ = &mut cut_off => break,
                () = tokio::task::yield_now() => {}
            }
        }
        drop(cut_off);
        let (balance, page) = db.account(customer(2), None, 1).await.expect("answers");
        assert_eq!((balance.get(), page.entries.len()), (7, 1), "after {rounds} rounds");
    }
    db.close().await;
    f.remove().await;
}

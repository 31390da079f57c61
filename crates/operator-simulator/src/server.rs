//! Starting and stopping.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    Behaviour, BehaviourError, Entry, Smsc, StartError, Stats, connection::Connection, journal::Journal,
    posting::Poster, routes, smsc::Smscs, state::State,
};

/// Longer than clients keep idle connections, so that it is the client who closes them: a request never
/// meets a closing connection by chance.
const KEEP_ALIVE: Duration = Duration::from_mins(5);

/// How much a simulator keeps, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// A file to which every entry is appended as one line of JSON.
    pub journal: Option<PathBuf>,
    /// Most journal entries in memory, and most keys that each operator remembers. A million entries need
    /// about 300 MiB.
    pub capacity: usize,
}

impl Default for Options {
    /// No file, a million entries.
    fn default() -> Self {
        Self { journal: None, capacity: 1_000_000 }
    }
}

/// A running simulator. Stop it with [`Simulator::stop`]; dropping it leaves the port open for a while.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    state: Arc<State>,
    smscs: Arc<Smscs>,
    handle: ServerHandle,
    server: JoinSet<io::Result<()>>,
}

impl Simulator {
    /// Starts on `address` (port 0 takes any free one) with default options.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(address: SocketAddr) -> Result<Self, StartError> {
        Self::start_with(address, &Options::default())
    }

    /// Starts on `address` with `options`. Must be called inside a tokio runtime, from which receipts are posted.
    ///
    /// # Errors
    /// When the journal file cannot be opened, the address cannot be listened on, or no client can be made.
    pub fn start_with(address: SocketAddr, options: &Options) -> Result<Self, StartError> {
        let journal = Journal::open(options.capacity, options.journal.as_deref())
            .map_err(|source| StartError::Journal { path: options.journal.clone().unwrap_or_default(), source })?;
        let poster = Poster::new(Handle::current()).map_err(StartError::Client)?;
        let state = Arc::new(State::new(journal, poster, options.capacity));
        let smscs = Arc::<Smscs>::default();
        let data = (web::Data::from(Arc::clone(&state)), web::Data::from(Arc::clone(&smscs)));
        let app = move || App::new().app_data(data.0.clone()).app_data(data.1.clone()).configure(routes::configure);
        let server = HttpServer::new(app)
            .on_connect(Connection::remember)
            // A client that closes its side has left: stalled requests end with it.
            .h1_allow_half_closed(false)
            .keep_alive(KEEP_ALIVE)
            .workers(1)
            .disable_signals()
            .bind(address)
            .map_err(|source| StartError::Listen { address, source })?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        let handle = server.handle();
        let mut tasks = JoinSet::new();
        tasks.spawn(server);
        Ok(Self { address, state, smscs, handle, server: tasks })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the operator `name` takes submissions: its URL in an `OPERATORS` list.
    pub fn operator_url(&self, name: &str) -> String {
        format!("{}/operators/{name}/messages", self.base_url())
    }

    /// The address it listens on, with the real port; another simulator may be started there after [`stop`](Self::stop).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets how the operator `name` answers from now on, and starts counting calls anew. Receipts that wait are still posted.
    ///
    /// # Errors
    /// When a code of the behaviour, where or how its receipts are posted, or the name is not allowed.
    pub fn set_behaviour(&self, name: &str, behaviour: impl Into<Behaviour>) -> Result<(), BehaviourError> {
        let behaviour = behaviour.into();
        behaviour.check()?;
        self.state.set_behaviour(name, behaviour)
    }

    /// Lets `smsc` be steered and looked at under `/smsc/`, by its name or port. It goes on by itself when the simulator is stopped.
    pub fn add_smsc(&self, smsc: &Smsc) {
        self.smscs.add(smsc);
    }

    /// All entries in memory, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.state.journal(0, None)
    }

    /// The entries in memory whose `seq` is above `seq`, oldest first.
    pub fn journal_after(&self, seq: u64) -> Vec<Entry> {
        self.state.journal(seq, None)
    }

    /// Forgets entries and counts; accepted keys are still recognised.
    pub fn clear_journal(&self) {
        self.state.clear_journal();
    }

    /// The counts so far.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Closes the port and every connection, answered or not, and forgets receipts that wait. Once it returns, nothing is
    /// accepted or posted any more.
    pub async fn stop(mut self) {
        // The server's thread outlives its stop by a moment, in which it still serves idle connections.
        self.state.stop();
        self.handle.stop(false).await;
        self.state.end_posts().await;
        while self.server.join_next().await.is_some() {}
    }
}

//! A TCP proxy that fails on demand: cut, frozen, slow, or in front of another server than before.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};
use url::Url;

use crate::free_port;

const MAX_CONNECTIONS: usize = 1_024;
const CHUNK: usize = 16 * 1_024;
const CHUNKS_IN_FLIGHT: usize = 64;

/// Forwards connections to one address until told to fail. Dropping it closes everything.
pub struct FaultProxy {
    address: SocketAddr,
    commands: mpsc::Sender<(Command, oneshot::Sender<()>)>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Cut,
    Freeze,
    Heal,
    Latency(Duration),
    Redirect(SocketAddr),
}

/// What the connections have to obey.
#[derive(Debug, Clone, Copy, Default)]
struct Conditions {
    cut: bool,
    frozen: bool,
    latency: Duration,
}

impl FaultProxy {
    /// Listens on a free loopback port and forwards to `upstream`.
    pub async fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), upstream).await
    }

    async fn start_at(ip: IpAddr, upstream: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((ip, free_port())).await.context("binding the fault proxy")?;
        let address = listener.local_addr()?;
        let (commands, receiver) = mpsc::channel(1);
        let server = Server { address, upstream, listener: Some(listener), conditions: watch::Sender::default() };
        let mut serving = JoinSet::new();
        serving.spawn(server.run(receiver));
        Ok(Self { address, commands, _serving: serving })
    }

    /// A proxy in front of the server that a `mysql://`, `amqp://` or `http://` URL names, and that URL through it.
    pub async fn in_front_of(url: &str) -> anyhow::Result<(Self, String)> {
        Self::in_front_of_at(Ipv4Addr::LOCALHOST.into(), url).await
    }

    /// The same at another address of this machine.
    pub async fn in_front_of_at(ip: IpAddr, url: &str) -> anyhow::Result<(Self, String)> {
        let mut url = Url::parse(url).context("reading the URL to put a fault proxy in front of")?;
        let host = url.host_str().context("the URL has no host")?;
        let default_port = match url.scheme() {
            "mysql" => Some(3306),
            "amqp" => Some(5672),
            _ => url.port_or_known_default(),
        };
        let port = url.port().or(default_port).context("the URL has no port")?;
        let upstream = tokio::net::lookup_host((host, port)).await?.next().context("the URL's host has no address")?;
        let proxy = Self::start_at(ip, upstream).await?;
        let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        url.set_host(Some(&host)).context("putting the proxy into the URL")?;
        let port_set = url.set_port(Some(proxy.address.port()));
        anyhow::ensure!(port_set.is_ok(), "the URL takes no port");
        Ok((proxy, url.into()))
    }

    /// Where the proxy listens, the same for its whole life.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every connection and refuses new ones until [`FaultProxy::heal`]; returns when that is done.
    pub async fn cut(&self) {
        self.command(Command::Cut).await;
    }

    /// Forwards nothing but keeps connections open, and accepts new ones, until [`FaultProxy::heal`].
    pub async fn freeze(&self) {
        self.command(Command::Freeze).await;
    }

    /// Ends a cut or a freeze; what was held back by a freeze is forwarded. The latency stays.
    pub async fn heal(&self) {
        self.command(Command::Heal).await;
    }

    /// Delays what is forwarded from now on by this much in each direction; throughput is not limited.
    pub async fn latency(&self, delay: Duration) {
        self.command(Command::Latency(delay)).await;
    }

    /// Forwards new connections to another address; those that are open stay where they lead.
    pub async fn redirect(&self, upstream: SocketAddr) {
        self.command(Command::Redirect(upstream)).await;
    }

    async fn command(&self, command: Command) {
        let (done, applied) = oneshot::channel();
        self.commands.send((command, done)).await.expect("the proxy serves as long as it exists");
        applied.await.expect("the proxy carries every command out");
    }
}

struct Server {
    address: SocketAddr,
    upstream: SocketAddr,
    /// None while cut: only a closed listener refuses.
    listener: Option<TcpListener>,
    conditions: watch::Sender<Conditions>,
}

impl Server {
    async fn run(mut self, mut commands: mpsc::Receiver<(Command, oneshot::Sender<()>)>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                command = commands.recv() => {
                    let Some((command, done)) = command else { return };
                    self.apply(command, &mut connections).await;
                    let _ = done.send(());
                }
                client = accept(self.listener.as_ref()), if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(forward(client, self.upstream, self.conditions.subscribe()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn apply(&mut self, command: Command, connections: &mut JoinSet<()>) {
        match command {
            Command::Cut => {
                self.listener = None;
                self.conditions.send_modify(|now| now.cut = true);
                while connections.join_next().await.is_some() {}
            }
            Command::Freeze => self.conditions.send_modify(|now| now.frozen = true),
            Command::Redirect(upstream) => self.upstream = upstream,
            Command::Latency(delay) => self.conditions.send_modify(|now| now.latency = delay),
            Command::Heal => {
                self.conditions.send_modify(|now| (now.cut, now.frozen) = (false, false));
                if self.listener.is_none() {
                    self.listener =
                        Some(TcpListener::bind(self.address).await.expect("the proxy's port is still its own"));
                }
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    loop {
        match listener {
            None => std::future::pending().await,
            Some(listener) => match listener.accept().await {
                Ok((client, _)) => return client,
                // Out of file descriptors, most likely: leave the machine time to get some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

/// Carries one connection to its end; a cut or an error on one side resets both.
async fn forward(mut client: TcpStream, upstream: SocketAddr, conditions: watch::Receiver<Conditions>) {
    let mut cut = conditions.clone();
    let is_cut = async { drop(cut.wait_for(|now| now.cut).await) };
    tokio::pin!(is_cut);
    let connecting = async {
        drop(conditions.clone().wait_for(|now| !now.frozen).await);
        TcpStream::connect(upstream).await
    };
    let connected = tokio::select! {
        connected = connecting => connected,
        () = &mut is_cut => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let Ok(mut server) = connected else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let whole = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both = async {
            tokio::try_join!(
                pump(from_client, to_server, conditions.clone()),
                pump(from_server, to_client, conditions.clone())
            )
        };
        tokio::select! {
            result = both => result.is_ok(),
            () = &mut is_cut => false,
        }
    };
    if !whole {
        // Closing without lingering sends a reset instead of an orderly end.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Carries one direction; what was read waits in a bounded queue until its delay is over.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    conditions: watch::Receiver<Conditions>,
) -> io::Result<()> {
    let (sender, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_IN_FLIGHT);
    let mut conditions_at_writing = conditions.clone();
    let reading = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            let due = Instant::now() + conditions.borrow().latency;
            if length == 0 || sender.send((due, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = queue.recv().await {
            tokio::time::sleep_until(due).await;
            drop(conditions_at_writing.wait_for(|now| !now.frozen).await);
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

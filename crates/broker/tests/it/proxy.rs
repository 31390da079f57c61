//! A TCP proxy between client and server that can be cut or frozen.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use url::Url;

use crate::support::within;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    /// Connections are closed at once.
    Cut,
    /// Connections stay, and nothing moves.
    Frozen,
}

/// Ends, with its connections, when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepted: watch::Receiver<usize>,
    _stop: DropGuard,
}

impl Proxy {
    pub(crate) async fn in_front_of(server: &Url) -> Self {
        let target = format!("{}:{}", server.host_str().expect("a host"), server.port().unwrap_or(5672));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (mode, stop) = (watch::Sender::new(Mode::Open), CancellationToken::new());
        let (accept_count, accepted) = watch::channel(0);
        let (tasks, modes, stopped) = (TaskTracker::new(), mode.subscribe(), stop.clone());
        let connections = tasks.clone();
        tasks.spawn(async move {
            let accepting = async {
                while let Ok((client, _)) = listener.accept().await {
                    accept_count.send_modify(|count| *count += 1);
                    let (modes, target) = (modes.clone(), target.clone());
                    let connection = stopped.child_token().run_until_cancelled_owned(forward(client, target, modes));
                    connections.spawn(connection);
                }
            };
            stopped.run_until_cancelled(accepting).await
        });
        Self { address, mode, accepted, _stop: stop.drop_guard() }
    }

    /// The server's URI, with the way through here.
    pub(crate) fn uri(&self, server: &Url) -> Url {
        let mut uri = server.clone();
        uri.set_host(Some(&self.address.ip().to_string())).expect("an address is a host");
        uri.set_port(Some(self.address.port())).expect("amqp uris have ports");
        uri
    }

    /// Waits until clients have connected this often.
    pub(crate) async fn accepted(&self, count: usize) {
        let mut accepted = self.accepted.clone();
        let _enough = within("connections", accepted.wait_for(|so_far| *so_far >= count)).await;
    }

    pub(crate) fn open(&self) {
        self.mode.send_replace(Mode::Open);
    }

    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    pub(crate) fn freeze(&self) {
        self.mode.send_replace(Mode::Frozen);
    }
}

async fn forward(client: TcpStream, target: String, mut modes: watch::Receiver<Mode>) {
    let both_ways = {
        let modes = modes.clone();
        async move {
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = TcpStream::connect(target).await?.into_split();
            tokio::try_join!(pump(client_in, server_out, modes.clone()), pump(server_in, client_out, modes))
        }
    };
    tokio::select! {
        _ = both_ways => {}
        _ = modes.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

/// Ends with an error at the end of the stream, so that both directions end together.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut modes: watch::Receiver<Mode>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        modes.wait_for(|mode| *mode != Mode::Frozen).await.map_err(io::Error::other)?;
        to.write_all(&buffer[..count]).await?;
    }
}

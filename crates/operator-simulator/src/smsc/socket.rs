//! The connections: taking them, and moving bytes between them and their sessions.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::smsc::{
    SmscEnd,
    outbox::Outbox,
    session::Session,
    shared::{Shared, Signals},
};

/// Connections that wait to be taken.
const BACKLOG: u32 = 1024;
/// Room for bytes that are read, and when there is so little left that more is made.
const READ: usize = 64 * 1024;
const LITTLE: usize = 4 * 1024;
/// How long the beginning of a TLS connection may take.
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be taken, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`, even if another SMSC did so a moment ago.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections until `end`, which ends them all.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker, end: CancellationToken) {
    let tls = shared.options.tls.clone().map(TlsAcceptor::from);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let session = serve(stream, tls.clone(), Arc::clone(&shared));
                tasks.spawn(end.clone().run_until_cancelled_owned(session));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // It only makes answers slower.
    let _ = stream.set_nodelay(true);
    let session = Session::new(Arc::clone(&shared), shared.connect());
    let signals = shared.signals.subscribe();
    match tls {
        None => run(stream, session, signals).await,
        Some(tls) => match timeout(LONGEST_HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => run(stream, session, signals).await,
            Ok(Err(_)) | Err(_) => session.finish(SmscEnd::Client),
        },
    }
}

/// Runs a session until it or its connection ends.
async fn run(stream: impl AsyncRead + AsyncWrite, mut session: Session, mut signals: watch::Receiver<Signals>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = BytesMut::new();
    let mut seen = *signals.borrow_and_update();
    let why = loop {
        let now = Instant::now();
        session.tick(now);
        if let Some(why) = session.is_over(now) {
            break why;
        }
        if input.capacity() - input.len() < LITTLE {
            input.reserve(READ);
        }
        let (reads, writes, next) = (session.reads(), !session.out.is_flushed(), session.next_tick());
        tokio::select! {
            biased;
            changed = signals.changed() => {
                let now = *signals.borrow_and_update();
                if changed.is_err() || now.cuts != seen.cuts {
                    break SmscEnd::Cut;
                }
                if now.unbinds != seen.unbinds {
                    session.unbind();
                }
                seen = now;
            }
            wrote = write(&mut writer, &mut session.out), if writes => match wrote {
                Ok(bytes) => session.wrote(bytes),
                Err(_) => break SmscEnd::Client,
            },
            read = reader.read_buf(&mut input), if reads => match read {
                Ok(1..) => session.take(&mut input),
                Ok(0) | Err(_) => break SmscEnd::Client,
            },
            () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
        }
    };
    session.finish(why);
}

/// Writes what it can, and returns how much that was. Nothing is lost if it is not waited for.
async fn write(writer: &mut (impl AsyncWrite + Unpin), out: &mut Outbox) -> io::Result<usize> {
    if out.bytes.is_empty() {
        writer.flush().await?;
        out.is_kept_back = false;
        return Ok(0);
    }
    let bytes = writer.write_buf(&mut out.bytes).await?;
    out.is_kept_back = true;
    if bytes == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(bytes) }
}

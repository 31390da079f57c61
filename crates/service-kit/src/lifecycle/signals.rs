//! SIGTERM and SIGINT as cancelled tokens.

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A task that waits for signals, and ends with this value.
#[derive(Debug)]
pub(super) struct Listener {
    _task: JoinSet<()>,
}

impl Listener {
    /// From here on the first signal cancels `stop` and the second `abort`.
    pub(super) fn start(stop: CancellationToken, abort: CancellationToken) -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut task = JoinSet::new();
        let _: AbortHandle = task.spawn(async move {
            let name = next(&mut terminate, &mut interrupt).await;
            info!(signal = name, "a signal asks to stop");
            stop.cancel();
            let name = next(&mut terminate, &mut interrupt).await;
            warn!(signal = name, "a second signal asks to stop at once");
            abort.cancel();
        });
        Ok(Self { _task: task })
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

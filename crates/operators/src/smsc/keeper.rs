//! Keeps one session: makes it, and makes it anew whenever it is over.

use std::{sync::Arc, time::Duration};

use smpp::BindMode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    backoff::{After, Backoff},
    connect::{Connector, NoSession},
    link::Broken,
    meters::{SessionState, Shown},
    session::{Ended, Over, Session},
};

/// A session that lasted for so long worked, as did one on which a message was taken: what comes next is no repetition of what was before.
const WORKED: Duration = Duration::from_secs(10);
/// Between two short sessions that worked all the same.
const RARELY: Duration = Duration::from_mins(1);

/// Keeps a session until `stop`. The old socket is closed before a new one is made: SMSCs count (linxGnu/gosmpp issue 159).
pub(super) async fn keep(shared: Arc<Shared>, connector: Connector, mode: BindMode, stop: CancellationToken) {
    let mut shown = Shown::new(&shared.meters, SessionState::Waiting);
    let (mut backoff, mut reset_at) = (Backoff::default(), None);
    while !stop.is_cancelled() {
        shown.set(SessionState::Binding);
        let bound = stop.run_until_cancelled(connector.bind(&shared.config, mode)).await;
        let after = match bound {
            None => return,
            Some(Ok((link, early))) => {
                tracing::info!(operator = %shared.operator, ?mode, "a session with an SMSC is bound");
                let began = Instant::now();
                let session = Session::new(link, Arc::clone(&shared), mode != BindMode::Receiver);
                let Over { ended, has_worked } = session.run(early, &stop, &mut shown).await;
                // One that takes a message and ends each time does not work.
                let rarely = reset_at.is_none_or(|at: Instant| at.elapsed() >= RARELY);
                if began.elapsed() >= WORKED || has_worked && rarely {
                    backoff.reset();
                    reset_at = Some(Instant::now());
                }
                shown.set(SessionState::Waiting);
                let Some(after) = after_session(&shared, &ended) else { return };
                after
            }
            Some(Err(error)) => {
                shown.set(SessionState::Waiting);
                without_session(&shared, &error)
            }
        };
        let pause = backoff.pause(after, &mut rand::rng());
        tracing::debug!(operator = %shared.operator, ?pause, "a session is made anew after a pause");
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

/// What a session's end means for the next one; `None` where there is none.
fn after_session(shared: &Shared, ended: &Ended) -> Option<After> {
    let (reason, after) = match ended {
        Ended::Stopped => return None,
        Ended::Unbound => ("unbound", After::Unbind),
        Ended::Silent(_) => ("silent", After::Failure),
        Ended::Broken(Broken::NotSmpp(_)) => ("not_smpp", After::Failure),
        Ended::Broken(Broken::Closed | Broken::Io(_)) => ("closed", After::Failure),
        Ended::State(_) => ("refused", After::Failure),
    };
    shared.meters.ended(reason);
    tracing::warn!(operator = %shared.operator, outage = "operators", %ended, "a session with an SMSC is over");
    Some(after)
}

/// What it means that there was none.
fn without_session(shared: &Shared, error: &NoSession) -> After {
    let (reason, after) = match error {
        NoSession::Refused(status) => {
            shared.meters.bind_refused(*status);
            ("refused", After::Refusal)
        }
        NoSession::Tls(_) => ("tls", After::Failure),
        NoSession::Broken(Broken::NotSmpp(_)) => ("not_smpp", After::Failure),
        NoSession::Connect(_) | NoSession::TooLong(_) | NoSession::Broken(_) => ("connect", After::Failure),
    };
    shared.meters.ended(reason);
    tracing::warn!(operator = %shared.operator, outage = "operators", %error, "a session with an SMSC could not be made");
    after
}

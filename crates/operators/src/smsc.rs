//! Operators that are reached over SMPP: their sessions, which live as long as the process, and what is sent on them.
//!
//! ```text
//! SmppOperator -> Pool (express before normal, tps) -> Session (window, throttling, enquire_link) -> SMSC
//!      ^ Submitted (parts) <-------- answers ----------'   '-- receipts, late answers --> Background::reports
//! ```
//!
//! A message counts as sent from the moment its first byte may be on its way: what then has no answer is unknown, and never
//! refunded. A place in the window is free with the answer, not when nobody waits for it any more.

mod backoff;
mod begun;
mod config;
mod connect;
mod keeper;
mod link;
mod message;
mod meters;
mod operator;
mod pace;
mod parameters;
mod pool;
mod report;
mod room;
mod session;
mod submitted;
mod throttle;
mod window;

use std::sync::Arc;

use domain::{Lane, ProviderMessageId};
use smpp::BindMode;
use tokio::{sync::mpsc, time::timeout_at};

use self::{begun::Begun, connect::Connector, meters::Meters, pool::Pool, room::Room};
pub(crate) use self::{
    config::WrongUrl,
    operator::SmppOperator,
    room::Places,
    submitted::{PartIds, Submitted},
};
pub use self::{
    config::{Binding, Receipts, SmppConfig, Trust, UnknownRule},
    connect::TlsError,
    report::{Background, Late, Report},
    submitted::LateVerdict,
};
use crate::OperatorName;

/// What the sessions of one operator share.
pub(crate) struct Shared {
    operator: OperatorName,
    config: SmppConfig,
    pool: Pool,
    begun: Begun,
    room: Arc<Room>,
    meters: Arc<Meters>,
    reports: mpsc::Sender<Report>,
    /// Open for as long as there are sessions.
    late: mpsc::WeakSender<Late>,
}

impl Shared {
    /// What the SMSC calls a part that it took. That it has no name for it matters where it reports.
    fn id(&self, id: &str) -> Option<ProviderMessageId> {
        let id = ProviderMessageId::parse(id);
        if id.is_none() && self.config.reports() {
            self.meters.without_id.increment(1);
        }
        id
    }

    /// A message was judged when nobody waited for that any more.
    fn tell_late(&self, submitted: &Submitted, verdict: LateVerdict) {
        let late = Late {
            operator: self.operator.clone(),
            message_id: submitted.message_id.clone(),
            recipient: submitted.recipient.clone(),
            verdict,
        };
        if self.late.upgrade().is_none_or(|told| told.try_send(late).is_err()) {
            // Its row stays as it is, and is asked about again.
            tracing::error!(operator = %self.operator, "a late answer of an SMSC could not be kept");
        }
    }
}

/// The sessions of one SMPP operator. Clones are the same.
#[derive(Clone)]
pub(crate) struct Sessions {
    shared: Arc<Shared>,
}

/// How the sessions of an operator are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionsState {
    /// All are bound, those that only receive among them.
    All,
    /// Some are.
    Some,
    /// None is that can send.
    None,
}

impl Sessions {
    /// Starts them. They are made, and made anew, in the background. With `has_others` what pauses leaves its messages to other operators.
    pub(crate) fn start(
        operator: &OperatorName,
        config: &SmppConfig,
        has_others: bool,
        background: &Background,
    ) -> Result<Self, TlsError> {
        let connector = Connector::new(config)?;
        let shared = Arc::new(Shared {
            operator: operator.clone(),
            config: config.clone(),
            pool: Pool::new(config, has_others),
            begun: Begun::default(),
            room: Arc::new(Room::new(config)),
            meters: Arc::new(Meters::new(operator)),
            reports: background.reports.clone(),
            late: background.late.downgrade(),
        });
        let modes: &[BindMode] = match config.bind {
            Binding::Transceiver => &[BindMode::Transceiver],
            Binding::Transmitter => &[BindMode::Transmitter],
            Binding::Pair => &[BindMode::Transmitter, BindMode::Receiver],
        };
        for mode in (0..config.binds).flat_map(|_| modes) {
            let keep = keeper::keep(Arc::clone(&shared), connector.clone(), *mode, background.stop.clone());
            let late = background.late.clone();
            background.tasks.spawn(async move {
                keep.await;
                drop(late);
            });
        }
        Ok(Self { shared })
    }

    /// The operator that sends on them.
    pub(crate) fn operator(&self) -> SmppOperator {
        SmppOperator::new(Arc::clone(&self.shared))
    }

    pub(crate) fn config(&self) -> &SmppConfig {
        &self.shared.config
    }

    /// Waits until there is room for so many segments.
    pub(crate) async fn room(&self, lane: Lane, segments: usize) -> Places {
        let sessions = self.shared.pool.sessions();
        self.shared.room.take(lane, segments, || *sessions.borrow()).await
    }

    /// For how many segments there is room where none is taken; 0 without a session, and while all pause.
    pub(crate) fn most(&self) -> usize {
        let sessions = *self.shared.pool.sessions().borrow();
        self.shared.room.most(sessions)
    }

    pub(crate) fn state(&self) -> SessionsState {
        let pool::Sessions { bound, receivers, .. } = *self.shared.pool.sessions().borrow();
        let SmppConfig { binds, bind, .. } = self.shared.config;
        let wanted_receivers = if bind == Binding::Pair { binds } else { 0 };
        match bound {
            0 => SessionsState::None,
            bound if bound < binds || receivers < wanted_receivers => SessionsState::Some,
            _ => SessionsState::All,
        }
    }

    /// Waits until one can send.
    pub(crate) async fn bound(&self) {
        let mut sessions = self.shared.pool.sessions();
        // The sender is in the pool, which lives as long as this.
        let _alive = sessions.wait_for(|sessions| sessions.bound > 0).await;
    }

    /// Waits until none could send for as long as anything waits for one.
    pub(crate) async fn away(&self) {
        let mut sessions = self.shared.pool.sessions();
        loop {
            let since = sessions.borrow_and_update().since;
            // The sender is in the pool, which lives as long as this.
            let _alive = match since.map(|since| since + self.shared.config.wait()) {
                None => sessions.changed().await,
                Some(away_at) => match timeout_at(away_at, sessions.changed()).await {
                    Ok(changed) => changed,
                    Err(_) => return,
                },
            };
        }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("operator", &self.shared.operator).finish_non_exhaustive()
    }
}

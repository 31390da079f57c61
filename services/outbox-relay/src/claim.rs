//! A batch of events that is this claimer's for a while: by row locks where the database has many connections, by a lease on SQLite.

use domain::Lane;
use persistence::{ClaimToken, ClaimedEvent, Database, Error, Held};

use crate::settings::RelayConfig;

/// Claimed events.
pub(crate) enum Claim {
    /// Under the locks of an open transaction.
    Held(Held),
    /// Under a lease.
    Leased(Vec<ClaimedEvent>, ClaimToken),
}

impl Claim {
    /// Claims the events of the lane whose turn it is; `None` where none waits. Where that is likely (`peek`) it is asked first, without
    /// a transaction.
    pub(crate) async fn of(
        database: &Database,
        lane: Lane,
        config: &RelayConfig,
        peek: bool,
    ) -> Result<Option<Self>, Error> {
        if database.holds_claims() {
            if peek && !database.has_waiting(lane).await? {
                return Ok(None);
            }
            return Ok(database.hold_events(lane, config.batch).await?.map(Self::Held));
        }
        let token = ClaimToken::unique();
        let events = database.claim_events(lane, config.batch, config.lease, &token).await?;
        Ok((!events.is_empty()).then_some(Self::Leased(events, token)))
    }

    pub(crate) fn events(&self) -> &[ClaimedEvent] {
        match self {
            Self::Held(held) => held.events(),
            Self::Leased(events, _) => events,
        }
    }
}

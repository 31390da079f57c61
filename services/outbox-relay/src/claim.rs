//! A batch of events that is this claimer's for a while: by row locks where the database has many connections, by a lease on SQLite.

use std::time::Duration;

use domain::Lane;
use persistence::{ClaimToken, ClaimedEvent, Database, Error, Held};

/// Claimed events.
pub(crate) enum Claim {
    /// Under the locks of an open transaction.
    Held(Held),
    /// Under a lease.
    Leased(Vec<ClaimedEvent>, ClaimToken),
}

impl Claim {
    /// Claims the events of the lane whose turn it is, at most `limit`; `None` where none waits.
    pub(crate) async fn of(
        database: &Database,
        lane: Lane,
        limit: u64,
        lease: Duration,
    ) -> Result<Option<Self>, Error> {
        if database.holds_claims() {
            return Ok(database.hold_events(lane, limit).await?.map(Self::Held));
        }
        let token = ClaimToken::unique();
        let events = database.claim_events(lane, limit, lease, &token).await?;
        Ok((!events.is_empty()).then_some(Self::Leased(events, token)))
    }

    pub(crate) fn events(&self) -> &[ClaimedEvent] {
        match self {
            Self::Held(held) => held.events(),
            Self::Leased(events, _) => events,
        }
    }
}

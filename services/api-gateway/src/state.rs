//! What handlers share.

use broker::Topology;
use domain::PriceList;
use persistence::Database;

use crate::{accept::AcceptBatcher, backpressure::Backpressure, idempotency::InFlight, limits::Limits, turns::Turns};

/// The parts of a running gateway that its endpoints need.
pub(crate) struct State {
    pub(crate) database: Database,
    pub(crate) topology: Topology,
    pub(crate) prices: PriceList,
    pub(crate) accept: AcceptBatcher,
    pub(crate) in_flight: InFlight,
    pub(crate) limits: Limits,
    pub(crate) backpressure: Backpressure,
    pub(crate) turns: Turns,
}

//! What handlers share.

use broker::Topology;
use persistence::Database;

use crate::{
    accept::AcceptBatcher, authentication::Authentication, backpressure::Backpressure, callbacks::Callbacks,
    idempotency::InFlight, limits::Limits, receipts::Receipts, settings::Composition, turns::Turns,
};

/// The parts of a running gateway that its endpoints need.
pub(crate) struct State {
    pub(crate) database: Database,
    pub(crate) topology: Topology,
    pub(crate) composition: Composition,
    pub(crate) authentication: Authentication,
    pub(crate) accept: AcceptBatcher,
    pub(crate) in_flight: InFlight,
    pub(crate) receipts: Receipts,
    pub(crate) callbacks: Callbacks,
    pub(crate) limits: Limits,
    pub(crate) backpressure: Backpressure,
    pub(crate) turns: Turns,
}

//! Requests of a load as a gateway hands them to the database.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::{FairOrder, Lane, OutboxPayload, PerLane, SegmentCount, Turn};
use persistence::AcceptRequest;
use uuid::Uuid;

use crate::{
    Traffic,
    message::{Destinations, message, unit_price},
};

/// Makes the requests of one gateway, which gives each its turn.
pub(crate) struct Requests {
    traffic: Traffic,
    to: Destinations,
    turns: PerLane<FairOrder>,
}

impl Requests {
    /// Of a gateway that starts now.
    #[expect(clippy::disallowed_methods, reason = "the turns of a gateway begin at its clock")]
    pub(crate) fn new(traffic: Traffic, to: Destinations) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Turn::at(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        Self { traffic, to, turns: PerLane::from_fn(|_| FairOrder::starting_at(now)) }
    }

    /// Request `index` of the traffic.
    pub(crate) fn make(&mut self, index: u64) -> anyhow::Result<AcceptRequest> {
        let payload = message(&self.traffic, index, &self.to)?;
        let (price, turn) = (unit_price(payload.message.kind), self.turn(&payload));
        Ok(AcceptRequest { traceparent: Some(traceparent()), ..AcceptRequest::plain(payload, price, turn) })
    }

    fn turn(&mut self, payload: &OutboxPayload) -> Turn {
        let message = &payload.message;
        self.turns[Lane::of(message.kind)].take(message.customer_id, &message.recipients, SegmentCount::ONE)
    }
}

/// Of a trace of its own.
fn traceparent() -> String {
    let span = Uuid::now_v7().simple().to_string();
    format!("00-{}-{}-01", Uuid::now_v7().simple(), &span[16..])
}

//! A message's turn at an operator that takes no more than so much at once.

use std::time::Duration;

use domain::{EncodingChoice, Expiry, Lane, MessageBody, Segmentation};
use operators::{Coding, Operators, Room};
use tokio::time::{Instant, timeout_at};

use crate::{CHUNK, age};

/// How much longer than until the end of its time a message waits for room: its identifier may be a little older than its row.
const SURELY_OVER: Duration = Duration::from_secs(1);

/// What comes of waiting for room.
pub(crate) enum Turn {
    /// There is some, until this is dropped.
    Room(Room),
    /// The message's time is over.
    Expired,
    /// That of its delivery is.
    OutOfTime,
}

/// The segments of a message's text, where operators take no more than so many at once; elsewhere nobody counts them.
pub(crate) fn segments(operators: &Operators, body: &MessageBody, coding: Option<Coding>) -> usize {
    if operators.most_at_once().is_none() {
        return 1;
    }
    let counted = || Segmentation::of(&body.text, EncodingChoice::Auto).map_or(1, |segmentation| segmentation.count());
    coding.map_or_else(counted, |coding| coding.segments)
}

/// Recipients that are taken together: no more than one operator takes at once.
pub(crate) fn together(operators: &Operators, segments: usize) -> usize {
    operators.most_at_once().map_or(CHUNK, |most| (most / segments).clamp(1, CHUNK))
}

impl Turn {
    /// Waits for room for so many segments, `until` then at most, or until the message's time is surely over.
    pub(crate) async fn wait_for(
        operators: &Operators,
        body: &MessageBody,
        segments: usize,
        expiry: Option<Expiry>,
        until: Instant,
    ) -> Self {
        // Where there is room at once no time passes.
        if Instant::now() >= until {
            return Self::OutOfTime;
        }
        let rest =
            expiry.map(|expiry| expiry.rest(age::now(), age::of(body).unwrap_or_default()).saturating_add(SURELY_OVER));
        let over_at = rest.and_then(|rest| Instant::now().checked_add(rest));
        let (wait_until, otherwise) = match over_at {
            Some(over_at) if over_at < until => (over_at, Self::Expired),
            _ => (until, Self::OutOfTime),
        };
        timeout_at(wait_until, operators.room(Lane::of(body.kind), segments)).await.map_or(otherwise, Self::Room)
    }
}

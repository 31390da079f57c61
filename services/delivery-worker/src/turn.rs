//! A message's turn at an operator that takes no more than so much at once.

use std::time::Duration;

use domain::{EncodingChoice, Expiry, Lane, MessageBody, Segmentation};
use operators::{Coding, Operators, Room};
use tokio::time::{Instant, timeout_at};

use crate::{CHUNK, age};

/// How much longer than until the end of its time a message waits for room: its identifier may be a little older than its row.
const SURELY_OVER: Duration = Duration::from_secs(1);

/// How much of a message is sent at once.
pub(crate) struct Share {
    /// Those of its text.
    pub(crate) segments: usize,
    /// Recipients that are taken together: no more than one operator takes at once.
    pub(crate) together: usize,
}

/// What comes of waiting for room.
pub(crate) enum Turn {
    /// There is some, until this is dropped.
    Room(Room),
    /// The message's time is over.
    Expired,
    /// That of its delivery is.
    OutOfTime,
}

impl Share {
    pub(crate) fn of(operators: &Operators, body: &MessageBody, coding: Option<Coding>) -> Self {
        let Some(most) = operators.most_at_once() else { return Self { segments: 1, together: CHUNK } };
        let counted =
            || Segmentation::of(&body.text, EncodingChoice::Auto).map_or(1, |segmentation| segmentation.count());
        let segments = coding.map_or_else(counted, |coding| coding.segments);
        Self { segments, together: (most / segments).clamp(1, CHUNK) }
    }
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

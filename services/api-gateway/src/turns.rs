//! The places of new messages in the order of their lanes, so that no customer's backlog holds up the others.
//!
//! Each gateway keeps its own: clients that use several get the same place at each of them, as their requests are
//! spread evenly.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use domain::{CustomerId, FairOrder, MessageType, Recipients, Turn};
use persistence::Lane;

/// The orders of both lanes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    orders: Arc<[Mutex<FairOrder>; 2]>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { orders: Arc::new([(); 2].map(|()| Mutex::new(FairOrder::starting_at(now())))) }
    }

    /// The turn of a new message.
    pub(crate) fn take(&self, customer: CustomerId, kind: MessageType, recipients: &Recipients) -> Turn {
        self.order(Lane::of(kind)).lock().unwrap_or_else(PoisonError::into_inner).take(customer, recipients)
    }

    /// The lowest turn that waits in the lane, `None` where nothing does.
    pub(crate) fn move_to(&self, lane: Lane, lowest: Option<Turn>) {
        self.order(lane).lock().unwrap_or_else(PoisonError::into_inner).move_to(lowest.unwrap_or_else(now));
    }

    fn order(&self, lane: Lane) -> &Mutex<FairOrder> {
        match lane {
            Lane::Express => &self.orders[0],
            Lane::Normal => &self.orders[1],
        }
    }
}

fn now() -> Turn {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Turn::at(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

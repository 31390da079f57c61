//! The rows of a lane, along the index that they are claimed by.

use domain::{Lane, OutboxStatus};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select,
    sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt},
};

use crate::entity::outbox_event::{Column, Entity};

/// Events of the lane in this state.
pub(super) fn in_lane(lane: Lane, status: OutboxStatus) -> Select<Entity> {
    Entity::find().filter(Column::Status.eq(status.as_str())).filter(Column::Lane.eq(stored(lane)))
}

/// Events that may be claimed now.
pub(super) fn waiting_in(lane: Lane) -> Select<Entity> {
    let mut query = in_lane(lane, OutboxStatus::Pending).filter(Column::NextRunAt.is_null());
    // The optimiser has four indexes that begin with status; only this one needs no sort.
    QuerySelect::query(&mut query).force_index("idx_outbox_claim", IndexHintScope::All);
    query
}

/// As the generated column `lane` has it.
fn stored(lane: Lane) -> i8 {
    match lane {
        Lane::Express => 1,
        Lane::Normal => 0,
    }
}

//! The rows of a lane, along the index that they are claimed by.

use domain::{Lane, OutboxStatus};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, Select,
    sea_query::{
        CaseStatement, Expr, SimpleExpr,
        extension::mysql::{IndexHintScope, MySqlSelectStatementExt},
    },
};

use crate::entity::outbox_event::{Column, Entity};

/// Events of the lane in this state.
pub(super) fn in_lane(lane: Lane, status: OutboxStatus) -> Select<Entity> {
    Entity::find().filter(Column::Status.eq(status.as_str())).filter(Column::Lane.eq(stored(lane)))
}

/// Events that may be claimed now.
pub(super) fn waiting_in(lane: Lane) -> Select<Entity> {
    by_claim_index(in_lane(lane, OutboxStatus::Pending).filter(Column::NextRunAt.is_null()))
}

/// Along the index that events are claimed by, the only one that holds their state: `(status, lane, next_run_at, turn, id)`. Asked
/// for by name, as the optimiser may take a short table for one to be read as a whole, and a claim locks what it reads.
pub(super) fn by_claim_index(mut query: Select<Entity>) -> Select<Entity> {
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

/// The turn of an event that steps out of line, for it is of a kind that this release does not know. It is kept as a negative
/// number, which [`back_in_line`] undoes: what counts along the index of claims tells these events by it, without reading
/// a row.
pub(super) fn out_of_line() -> SimpleExpr {
    turned_if(Expr::col(Column::Turn).gte(0))
}

/// The turn that the event had before.
pub(super) fn back_in_line() -> SimpleExpr {
    turned_if(Expr::col(Column::Turn).lt(0))
}

/// `-1 - turn` where `condition` holds; so 0 has a counterpart too.
fn turned_if(condition: SimpleExpr) -> SimpleExpr {
    let turned = Expr::val(-1).sub(Expr::col(Column::Turn));
    CaseStatement::new().case(condition, turned).finally(Expr::col(Column::Turn)).into()
}

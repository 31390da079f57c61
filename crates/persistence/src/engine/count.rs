//! Counting that has an end, so that it costs little whatever the table holds.

use sea_orm::{
    ConnectionTrait as _, EntityTrait, QuerySelect as _, QueryTrait as _, Select,
    sea_query::{Expr, Query, SimpleExpr},
};

use super::{Session, StepError};

/// Counts those that fulfil `condition` among the first `most` of `rows`. One column of `rows` is selected, and the
/// condition names no other.
pub(crate) async fn count_up_to<E: EntityTrait>(
    db: &Session,
    rows: Select<E>,
    condition: Option<SimpleExpr>,
    most: u64,
) -> Result<u64, StepError> {
    let rows = rows.limit(most).into_query();
    let mut count = Query::select().expr(Expr::cust("COUNT(*)")).from_subquery(rows, "counted").to_owned();
    if let Some(condition) = condition {
        count.and_where(condition);
    }
    let row = db.query_one(&count).await?;
    let counted: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(counted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

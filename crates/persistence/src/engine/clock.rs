//! The database's clock, for who has to know it.

use chrono::{DateTime, NaiveDateTime, Utc};
use sea_orm::{ConnectionTrait as _, FromQueryResult, sea_query};

use super::{StepError, Tx};

#[derive(FromQueryResult)]
struct Now {
    now: NaiveDateTime,
}

/// What time it is there.
pub(crate) async fn now(tx: &Tx) -> Result<DateTime<Utc>, StepError> {
    let asked = sea_query::Query::select().expr_as(tx.dialect().now(), "now").to_owned();
    let row = tx.query_one(&asked).await?.map(|row| Now::from_query_result(&row, "")).transpose()?;
    Ok(row.expect("a SELECT without a table gives one row").now.and_utc())
}

//! Makes a table lean: its columns ASCII where all rows fit, and some indexes gone.

use sea_orm_migration::{
    DbErr,
    sea_orm::{ConnectionTrait, DbBackend, Statement},
};

use crate::change::Lean;

const ASCII: &str = "CHARACTER SET ascii COLLATE ascii_bin";

/// One `ALTER TABLE`, which changes nothing where all is as it shall be.
pub(crate) async fn make(db: &impl ConnectionTrait, lean: &Lean) -> Result<(), DbErr> {
    let mut clauses = Vec::new();
    for index in lean.without_indexes {
        if has_index(db, lean.table, index).await? {
            clauses.push(format!("DROP INDEX {index}"));
        }
    }
    let fit = columns_that_fit(db, lean).await?;
    let unicode = unicode_by_code_points(db).await?;
    for ((name, kind, rest), fits) in lean.columns.iter().zip(fit) {
        let collation = if fits { ASCII } else { unicode };
        clauses.push(format!("MODIFY {name} {kind} {collation} {rest}"));
    }
    let sql = format!("ALTER TABLE {} {}", lean.table, clauses.join(", "));
    db.execute_unprepared(&sql).await.map(|_| ())
}

async fn has_index(db: &impl ConnectionTrait, table: &str, index: &str) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM information_schema.statistics \
               WHERE table_schema = DATABASE() AND table_name = ? AND index_name = ? LIMIT 1";
    let statement = Statement::from_sql_and_values(DbBackend::MySql, sql, [table.into(), index.into()]);
    Ok(db.query_one_raw(statement).await?.is_some())
}

/// For each column whether it holds ASCII only. Nor may a text end in a blank, which ASCII's collation takes for no part of it.
async fn columns_that_fit(db: &impl ConnectionTrait, lean: &Lean) -> Result<Vec<bool>, DbErr> {
    let misfits = lean
        .columns
        .iter()
        .map(|(name, ..)| format!("COALESCE(MAX(LENGTH({name}) <> CHAR_LENGTH({name}) OR {name} LIKE '% '), 0)"));
    let sql = format!("SELECT {} FROM {}", misfits.collect::<Vec<_>>().join(", "), lean.table);
    let row = db.query_one_raw(Statement::from_string(DbBackend::MySql, sql)).await?;
    let row = row.ok_or_else(|| DbErr::Custom(format!("{} was not counted", lean.table)))?;
    (0..lean.columns.len()).map(|column| Ok(row.try_get_by_index::<i64>(column)? == 0)).collect()
}

/// A collation that tells all texts apart, also by blanks at their end.
async fn unicode_by_code_points(db: &impl ConnectionTrait) -> Result<&'static str, DbErr> {
    let statement = Statement::from_string(DbBackend::MySql, "SELECT VERSION()");
    let row = db.query_one_raw(statement).await?;
    let version: String = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok(if version.contains("MariaDB") {
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    } else {
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
    })
}

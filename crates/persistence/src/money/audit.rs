//! The audit of the ledger: is each balance the sum of its user's transactions?
//!
//! Balance and sum are read in one statement, hence as of one moment, so writes at the same time never look like a
//! mismatch. A balance that was put there by hand, without ledger rows, is one: the ledger does not explain it.
//! A ledger without a balance is not looked for: no code deletes balances.

use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{
        Expr, SimpleExpr,
        extension::mysql::{IndexHintScope, MySqlSelectStatementExt},
    },
};

use crate::{
    Database, Error, Query,
    engine::{Session, StepError, reading},
    entity::{
        user_balance::{Column as Balance, Entity as Balances},
        user_transaction::{Column as Transaction, Entity as Transactions},
    },
};

/// Some users whose balances were compared with their ledgers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSlice {
    /// How many users were compared.
    pub users: u64,
    /// Those whose balance is not the sum of their ledger, in the order of their ids.
    pub mismatched: Vec<i64>,
    /// The last user compared, after whom the next slice begins; `None` when there are no more.
    pub next: Option<i64>,
}

#[derive(FromQueryResult)]
struct Compared {
    user_id: i64,
    balance: i64,
    total: i64,
}

impl Database {
    /// Compares the balances of at most `limit` users, those after the user `after`, with the sums of their ledgers.
    ///
    /// It reads every ledger row of these users, so it takes as long as they have many.
    pub async fn audit_ledger(&self, after: Option<i64>, limit: u64) -> Result<LedgerSlice, Error> {
        reading!(self, Query::LedgerAudit, |db| audit(db, after, limit)).await
    }

    /// The first user after the user `after` who has a balance.
    pub async fn user_after(&self, after: Option<i64>) -> Result<Option<i64>, Error> {
        reading!(self, Query::LedgerAuditNext, |db| async {
            let next = Balances::find().select_only().column(Balance::UserId).filter(is_after(after));
            Ok(next.order_by_asc(Balance::UserId).limit(1).into_tuple().one(db).await?)
        })
        .await
    }
}

fn is_after(after: Option<i64>) -> SimpleExpr {
    Balance::UserId.gt(after.unwrap_or(i64::MIN))
}

async fn audit(db: &Session, after: Option<i64>, limit: u64) -> Result<LedgerSlice, StepError> {
    let mut total = Transactions::find()
        .select_only()
        .expr_as(Expr::cust("CAST(COALESCE(SUM(amount), 0) AS SIGNED)"), "total")
        .filter(Expr::col((Transactions, Transaction::UserId)).eq(Expr::col((Balances, Balance::UserId))));
    // Statistics on a young table may speak for reading all of it for every user.
    QuerySelect::query(&mut total).force_index("idx_user_transactions_user_id", IndexHintScope::All);
    let mut balances = Balances::find();
    // Few users may speak for reading all of them, and for a sort.
    QuerySelect::query(&mut balances).force_index("user_id", IndexHintScope::All);
    let rows = balances
        .select_only()
        .columns([Balance::UserId, Balance::Balance])
        .expr_as(SimpleExpr::SubQuery(None, Box::new(total.into_query().into())), "total")
        .filter(is_after(after))
        .order_by_asc(Balance::UserId)
        .limit(limit)
        .into_model::<Compared>()
        .all(db)
        .await?;
    let users = rows.len() as u64;
    let next = rows.last().filter(|_| users == limit).map(|row| row.user_id);
    let mismatched = rows.iter().filter(|row| row.balance != row.total).map(|row| row.user_id).collect();
    Ok(LedgerSlice { users, mismatched, next })
}

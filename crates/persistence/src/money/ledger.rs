//! Balances and the ledger: every change of a balance is a row of `user_transactions` in the same transaction.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{Balance, CustomerId, LedgerKind, TopUpAmount, TransactionId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select, SqlErr, sea_query::SimpleExpr,
};

use super::{
    credits,
    idempotency::{self, IdempotentRequest, Route},
};
use crate::{
    Cursor, Database, Error, Page, Query, Stored,
    engine::{
        Session, StepError, Tx, reading,
        sql::{Sql, insert},
        statements::padded,
        transaction,
    },
    entity::{
        user_balance::{self, Column as Balances},
        user_transaction::{self, Column as Transactions},
    },
    page::after_cursor,
};

/// Credits to add to a customer's balance.
#[derive(Debug, Clone)]
pub struct TopUpRequest {
    /// Whose balance.
    pub customer: CustomerId,
    /// How much.
    pub amount: TopUpAmount,
    /// What the client says it is for.
    pub description: Option<String>,
    /// The ledger entry to write.
    pub transaction_id: TransactionId,
    /// The client's key, if it sent one.
    pub idempotency: Option<IdempotentRequest>,
}

/// What became of a top-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopUpOutcome {
    /// Added; this is the new balance.
    Added(Balance, TransactionId),
    /// The key was used for the same top-up before; this was its answer.
    Replayed(Balance, TransactionId),
    /// The key was used for another top-up before.
    KeyReused,
    /// The balance would pass the limit ([`domain::money::MAX_BALANCE`]).
    TooMuch,
}

/// One change of a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The entry's own id.
    pub transaction_id: Stored<TransactionId>,
    /// Credits, negative for withdrawals.
    pub amount: i64,
    /// Why.
    pub kind: Stored<LedgerKind>,
    /// What it was for.
    pub description: Option<String>,
    /// When, on the database's clock.
    pub created_at: DateTime<Utc>,
}

impl Database {
    /// Adds credits and their ledger entry in one transaction; creates the balance of a new customer.
    pub async fn top_up(&self, request: &TopUpRequest) -> Result<TopUpOutcome, Error> {
        let outcome = transaction!(self, Query::TopUp, |tx| top_up(tx, request)).await?;
        if matches!(outcome, TopUpOutcome::Added(..)) {
            credits::count(LedgerKind::Deposit, request.amount.get());
        }
        Ok(outcome)
    }

    /// A customer's balance; 0 of one that was never seen.
    pub async fn balance(&self, customer: CustomerId) -> Result<Balance, Error> {
        reading!(self, Query::Balance, |db| async {
            let credits = balance_of(customer).into_tuple().one(db).await?;
            Ok(Balance::from_stored(credits.unwrap_or(0)))
        })
        .await
    }

    /// A customer's balance with its newest ledger entries, as of one moment. Unknown customers have nothing.
    pub async fn account(
        &self,
        customer: CustomerId,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<(Balance, Page<LedgerEntry>), Error> {
        reading!(self, Query::Account, |db| account(db, customer, cursor, limit)).await
    }
}

#[derive(FromQueryResult)]
struct EntryRow {
    id: i64,
    amount: i64,
    transaction_type: String,
    description: Option<String>,
    transaction_id: String,
    created_at: chrono::NaiveDateTime,
    balance: Option<i64>,
}

fn balance_of(customer: CustomerId) -> Select<user_balance::Entity> {
    user_balance::Entity::find().select_only().column(Balances::Balance).filter(Balances::UserId.eq(customer.get()))
}

async fn account(
    db: &Session,
    customer: CustomerId,
    cursor: Option<Cursor>,
    limit: u64,
) -> Result<(Balance, Page<LedgerEntry>), StepError> {
    let balance = balance_of(customer);
    // One statement, hence one snapshot: the balance and the entries always agree.
    let mut entries = user_transaction::Entity::find()
        .expr_as(SimpleExpr::SubQuery(None, Box::new(balance.clone().into_query().into())), "balance")
        .filter(Transactions::UserId.eq(customer.get()));
    if let Some(cursor) = cursor {
        entries = entries.filter(after_cursor(db.dialect(), Transactions::CreatedAt, Transactions::Id, cursor));
    }
    let rows = entries
        .order_by_desc(Transactions::CreatedAt)
        .order_by_desc(Transactions::Id)
        .limit(limit + 1)
        .into_model::<EntryRow>()
        .all(db)
        .await?;
    let credits = match rows.first() {
        Some(row) => row.balance,
        // A balance without entries on this page: there is nothing that it could disagree with.
        None => balance.into_tuple().one(db).await?,
    };
    let page = Page::cut(rows, limit, |row| Cursor::new(row.created_at, row.id)).map(|row| LedgerEntry {
        transaction_id: Stored::text(row.transaction_id),
        amount: row.amount,
        kind: Stored::word(&row.transaction_type, LedgerKind::parse),
        description: row.description,
        created_at: row.created_at.and_utc(),
    });
    Ok((Balance::from_stored(credits.unwrap_or(0)), page))
}

async fn top_up(tx: &Tx, request: &TopUpRequest) -> Result<TopUpOutcome, StepError> {
    let customer = request.customer;
    let balance = lock_or_create_balance(tx, customer).await?;
    if let Some(used) = &request.idempotency {
        let saved = idempotency::find(tx, Route::TopUp, &[(customer, used.key.as_str())]).await?;
        if let Some(saved) = saved.into_values().next() {
            if saved.fingerprint != used.fingerprint {
                return Ok(TopUpOutcome::KeyReused);
            }
            let (balance, transaction_id) = saved_top_up(&saved.response)?;
            return Ok(TopUpOutcome::Replayed(balance, transaction_id));
        }
    }
    let Some(new_balance) = balance.top_up(request.amount) else {
        return Ok(TopUpOutcome::TooMuch);
    };
    change_balances(tx, &BTreeMap::from([(customer, request.amount.get())])).await?;
    let entry = user_transaction::ActiveModel {
        user_id: Set(customer.get()),
        amount: Set(request.amount.get()),
        transaction_type: Set(LedgerKind::Deposit.as_str().to_owned()),
        description: Set(request.description.clone()),
        transaction_id: Set(request.transaction_id.as_str().to_owned()),
        ..Default::default()
    };
    insert(tx, vec![entry]).await?;
    if let Some(used) = &request.idempotency {
        let response = format!("{} {}", new_balance.get(), request.transaction_id);
        insert(tx, vec![idempotency::row(customer, Route::TopUp, used, response)]).await?;
    }
    Ok(TopUpOutcome::Added(new_balance, request.transaction_id.clone()))
}

fn saved_top_up(response: &str) -> Result<(Balance, TransactionId), Error> {
    let parsed = response.split_once(' ').and_then(|(balance, transaction_id)| {
        let transaction_id = TransactionId::try_from(transaction_id.to_owned()).ok()?;
        Some((Balance::from_stored(balance.parse().ok()?), transaction_id))
    });
    let wrong = || Error::Inconsistent { table: "idempotency_keys", what: "a top-up's saved answer".to_owned() };
    parsed.ok_or_else(wrong)
}

/// Locks the balances of `customers` in the order of their ids, the order every transaction keeps.
/// Customers without a balance are left out.
pub(crate) async fn lock_balances(
    tx: &Tx,
    customers: &[CustomerId],
) -> Result<HashMap<CustomerId, Balance>, StepError> {
    let mut ids: Vec<i64> = customers.iter().map(|customer| customer.get()).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = user_balance::Entity::find()
        .filter(Balances::UserId.is_in(padded(ids)))
        .order_by_asc(Balances::UserId)
        .lock_exclusive()
        .all(tx)
        .await?;
    let known = rows.into_iter().filter_map(|row| {
        let customer = CustomerId::try_from(row.user_id).ok()?;
        Some((customer, Balance::from_stored(row.balance)))
    });
    Ok(known.collect())
}

async fn lock_or_create_balance(tx: &Tx, customer: CustomerId) -> Result<Balance, StepError> {
    if let Some(balance) = lock_balances(tx, &[customer]).await?.remove(&customer) {
        return Ok(balance);
    }
    create_balance(tx, customer).await?;
    let created = lock_balances(tx, &[customer]).await?.remove(&customer);
    let gone = || Error::Inconsistent { table: "user_balances", what: format!("the row of user {customer} is gone") };
    Ok(created.ok_or_else(gone)?)
}

/// Creates an empty balance; one that somebody else has just created will do as well.
pub(crate) async fn create_balance(tx: &Tx, customer: CustomerId) -> Result<(), StepError> {
    let row = user_balance::ActiveModel { user_id: Set(customer.get()), balance: Set(0), ..Default::default() };
    match user_balance::Entity::insert(row).exec_without_returning(tx).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Adds to each customer's balance what `changes` says (negative to charge), in one statement.
/// The rows must be locked by this transaction.
pub(crate) async fn change_balances(tx: &Tx, changes: &BTreeMap<CustomerId, i64>) -> Result<(), StepError> {
    let now = tx.dialect().now_text();
    let change_of = changes.iter().map(|(customer, change)| [customer.get().into(), (*change).into()]);
    let customers = changes.keys().map(|customer| customer.get().into());
    let updated = Sql::new("UPDATE user_balances SET balance = CASE", [])
        .each(" WHEN user_id = ? THEN balance + ?", "", change_of)
        .and(&format!(" ELSE balance END, last_updated = {now} WHERE user_id IN "), [])
        .list(customers)
        .execute(tx)
        .await?;
    if updated != changes.len() as u64 {
        let what = format!("{updated} balances changed instead of {}", changes.len());
        return Err(Error::Inconsistent { table: "user_balances", what }.into());
    }
    Ok(())
}

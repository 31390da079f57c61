//! API keys: made, looked up by their digests, rotated, revoked.

use std::{num::NonZeroU32, time::Duration};

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{ApiKey, CustomerId, Grant, KeyHash, KeyKind, KeyName, Owner, Scope, Scopes};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{
        Expr, LockType,
        extension::mysql::{IndexHintScope, MySqlSelectStatementExt as _},
    },
};
use uuid::Uuid;

use crate::{
    Cursor, Database, Error, Page, Query, Reader,
    engine::{Session, StepError, Tx, dialect::Dialect, reading, sql::insert, statements::padded, transaction},
    entity::api_key::{ActiveModel, Column, Entity, Model},
};

/// Keys of one customer that are good at the same time.
pub const MAX_LIVE_KEYS: usize = 20;

/// Keys whose last use one statement records.
const TOUCHED_TOGETHER: usize = 1_024;

/// A key to be stored. The key itself is not among what is kept.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is named by.
    pub id: Uuid,
    /// What it allows.
    pub grant: Grant,
    /// What people call it.
    pub name: KeyName,
    /// Its own limit; `None` for none.
    pub requests_per_second: Option<NonZeroU32>,
    /// When it ends; `None` for never.
    pub expires_at: Option<DateTime<Utc>>,
    /// The digest that it is looked up by.
    pub hash: KeyHash,
    /// Its last characters.
    pub hint: String,
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What it is named by.
    pub id: String,
    /// What it allows.
    pub grant: Grant,
    /// What people call it.
    pub name: KeyName,
    /// Its last characters.
    pub hint: String,
    /// Its own limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What became of a key that was to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// It is good from now on.
    Stored(StoredKey),
    /// Its customer has [`MAX_LIVE_KEYS`] already.
    TooMany,
}

/// What became of a key that was to be replaced.
#[derive(Debug)]
pub enum Rotation {
    /// This one takes its place.
    Rotated(RotatedFrom),
    /// There is no such key.
    NotFound,
    /// It was revoked or has expired: it has no place that another could take.
    Over,
    /// Its customer has [`MAX_LIVE_KEYS`] already.
    TooMany,
}

/// A key in place of another.
#[derive(Debug)]
pub struct RotatedFrom {
    /// The key, for the one answer that shows it.
    pub key: ApiKey,
    /// What is stored of it.
    pub stored: StoredKey,
}

/// A key that somebody has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The row, to tell of its use.
    pub row: i64,
    /// What logs name it by.
    pub id: String,
    /// What it allows.
    pub grant: Grant,
    /// Its own limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// Whether it is good.
    pub standing: KeyStanding,
}

/// Whether a key is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    /// It is, for so long; `None` for ever.
    Good(Option<Duration>),
    /// It has expired.
    Expired,
    /// It was revoked.
    Revoked,
}

impl NewKey {
    /// A key that allows `grant` from now on, without a limit or an end of its own.
    pub fn new(id: Uuid, key: &ApiKey, grant: Grant, name: KeyName) -> Self {
        let hint = key.hint().to_owned();
        Self { id, grant, name, requests_per_second: None, expires_at: None, hash: key.hash(), hint }
    }
}

#[derive(FromQueryResult)]
struct Shown {
    id: i64,
    public_id: String,
    customer_id: Option<i64>,
    scopes: String,
    requests_per_second: Option<i32>,
    revoked_at: Option<NaiveDateTime>,
    over_millis: Option<i64>,
}

impl Database {
    /// Stores a new key.
    pub async fn issue_key(&self, key: &NewKey) -> Result<Issued, Error> {
        transaction!(self, Query::KeyIssue, |tx| async {
            if lock_live(tx, key.grant.owner()).await?.len() >= MAX_LIVE_KEYS {
                return Ok(Issued::TooMany);
            }
            store(tx, key).await.map(Issued::Stored)
        })
        .await
    }

    /// Stores a key that `make` makes in place of the one of this id, with all that it allows; the old one goes on for `overlap`,
    /// unless it ends before.
    pub async fn rotate_key(
        &self,
        id: Uuid,
        new_id: Uuid,
        overlap: Duration,
        make: fn(KeyKind) -> ApiKey,
    ) -> Result<Rotation, Error> {
        transaction!(self, Query::KeyRotate, |tx| rotate(tx, id, new_id, overlap, make)).await
    }

    /// Ends a key for good. Tells whether there is one of this id.
    pub async fn revoke_key(&self, id: Uuid) -> Result<bool, Error> {
        transaction!(self, Query::KeyRevoke, |tx| async {
            let Some(row) = locked(tx, id).await? else { return Ok(false) };
            if row.revoked_at.is_none() {
                let revoked = Entity::update_many().col_expr(Column::RevokedAt, tx.dialect().now());
                revoked.filter(Column::Id.eq(row.id)).exec(tx).await?;
            }
            Ok(true)
        })
        .await
    }

    /// Keys, newest first, also those that are over.
    pub async fn keys(&self, whose: Reader, cursor: Option<Cursor>, limit: u64) -> Result<Page<StoredKey>, Error> {
        reading!(self, Query::KeyList, |db| list(db, whose, cursor, limit)).await
    }

    /// The key of this digest.
    pub async fn find_key(&self, hash: &KeyHash) -> Result<Option<KeyUse>, Error> {
        reading!(self, Query::KeyFind, |db| find(db, hash)).await
    }

    /// Records that these rows of keys were used just now.
    pub async fn touch_keys(&self, rows: &[i64]) -> Result<(), Error> {
        for rows in rows.chunks(TOUCHED_TOGETHER) {
            transaction!(self, Query::KeyTouch, |tx| async {
                let touched = Entity::update_many().col_expr(Column::LastUsedAt, tx.dialect().now());
                touched.filter(Column::Id.is_in(padded(rows.iter().copied()))).exec(tx).await?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Whether a stored key may make others.
    pub async fn has_admin_key(&self) -> Result<bool, Error> {
        reading!(self, Query::KeyAdmin, |db| async {
            let platforms = live(db.dialect(), Entity::find()).filter(Column::CustomerId.is_null());
            let found = platforms.filter(Column::Scopes.contains(Scope::Admin.as_str())).one(db).await?;
            Ok(found.is_some())
        })
        .await
    }
}

fn is_live(dialect: Dialect) -> Condition {
    let is_not_over =
        Condition::any().add(Column::ExpiresAt.is_null()).add(Expr::col(Column::ExpiresAt).gt(dialect.now()));
    Condition::all().add(Column::RevokedAt.is_null()).add(is_not_over)
}

fn live(dialect: Dialect, query: Select<Entity>) -> Select<Entity> {
    query.filter(is_live(dialect))
}

/// A customer's good keys, as many as count; those of the platform are not counted. They are locked, so that two requests count one
/// after the other.
async fn lock_live(tx: &Tx, owner: Owner) -> Result<Vec<i64>, StepError> {
    let Some(customer) = owner.customer() else { return Ok(Vec::new()) };
    let query = Entity::find().select_only().column(Column::Id).filter(Column::CustomerId.eq(customer.get()));
    let most = MAX_LIVE_KEYS as u64 + 1;
    Ok(live(tx.dialect(), query).limit(most).lock(LockType::Update).into_tuple().all(tx).await?)
}

async fn store(tx: &Tx, key: &NewKey) -> Result<StoredKey, StepError> {
    let row = ActiveModel {
        public_id: Set(key.id.to_string()),
        customer_id: Set(key.grant.owner().customer().map(CustomerId::get)),
        name: Set(key.name.as_str().to_owned()),
        scopes: Set(key.grant.scopes().to_text()),
        hash: Set(key.hash.as_bytes().to_vec()),
        hint: Set(key.hint.clone()),
        requests_per_second: Set(key.requests_per_second.map(to_column)),
        expires_at: Set(key.expires_at.map(|time| time.naive_utc())),
        ..Default::default()
    };
    insert(tx, vec![row]).await?;
    let gone = || Error::Inconsistent { table: "api_keys", what: format!("key {} is gone", key.id) };
    Ok(locked(tx, key.id).await?.map(stored).ok_or_else(gone)?)
}

async fn rotate(
    tx: &Tx,
    id: Uuid,
    new_id: Uuid,
    overlap: Duration,
    make: fn(KeyKind) -> ApiKey,
) -> Result<Rotation, StepError> {
    let Some(old) = locked(tx, id).await? else { return Ok(Rotation::NotFound) };
    let dialect = tx.dialect();
    if live(dialect, Entity::find_by_id(old.id)).one(tx).await?.is_none() {
        return Ok(Rotation::Over);
    }
    let goes_on = |id: &&i64| **id != old.id || !overlap.is_zero();
    let owner = grant(old.customer_id, &old.scopes).owner();
    if lock_live(tx, owner).await?.iter().filter(goes_on).count() >= MAX_LIVE_KEYS {
        return Ok(Rotation::TooMany);
    }
    let ends_later =
        Condition::any().add(Column::ExpiresAt.is_null()).add(Expr::col(Column::ExpiresAt).gt(dialect.after(overlap)));
    let ended = Entity::update_many().col_expr(Column::ExpiresAt, dialect.after(overlap));
    ended.filter(Column::Id.eq(old.id)).filter(ends_later).exec(tx).await?;
    let old = stored(old);
    let key = make(old.grant.owner().key_kind());
    let new = NewKey {
        requests_per_second: old.requests_per_second,
        expires_at: old.expires_at,
        ..NewKey::new(new_id, &key, old.grant, old.name)
    };
    let stored = store(tx, &new).await?;
    Ok(Rotation::Rotated(RotatedFrom { key, stored }))
}

async fn locked(tx: &Tx, id: Uuid) -> Result<Option<Model>, StepError> {
    Ok(Entity::find().filter(Column::PublicId.eq(id.to_string())).lock(LockType::Update).one(tx).await?)
}

async fn list(db: &Session, whose: Reader, cursor: Option<Cursor>, limit: u64) -> Result<Page<StoredKey>, StepError> {
    let mut query = Entity::find();
    if let Some(customer) = whose.customer() {
        query = query.filter(Column::CustomerId.eq(customer.get()));
        if db.dialect() == Dialect::MySql {
            // Its entries are in the order of their rows; MySQL would rather intersect it with the primary key, and sort.
            QuerySelect::query(&mut query).force_index("idx_api_keys_customer", IndexHintScope::All);
        }
    }
    if let Some(cursor) = cursor {
        query = query.filter(Column::Id.lt(cursor.id()));
    }
    let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
    Ok(Page::cut(rows, limit, |row| Cursor::new(row.created_at, row.id)).map(stored))
}

async fn find(db: &Session, hash: &KeyHash) -> Result<Option<KeyUse>, StepError> {
    let over = db.dialect().millis_since(Expr::col(Column::ExpiresAt));
    let shown = Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::PublicId,
            Column::CustomerId,
            Column::Scopes,
            Column::RequestsPerSecond,
            Column::RevokedAt,
        ])
        .expr_as(over, "over_millis")
        .filter(Column::Hash.eq(hash.as_bytes().to_vec()))
        .into_model::<Shown>()
        .one(db)
        .await?;
    Ok(shown.map(|row| KeyUse {
        row: row.id,
        standing: row.standing(),
        id: row.public_id,
        grant: grant(row.customer_id, &row.scopes),
        requests_per_second: from_column(row.requests_per_second),
    }))
}

impl Shown {
    fn standing(&self) -> KeyStanding {
        match self.over_millis {
            _ if self.revoked_at.is_some() => KeyStanding::Revoked,
            None => KeyStanding::Good(None),
            Some(over) if over < 0 => KeyStanding::Good(Some(Duration::from_millis(over.unsigned_abs()))),
            Some(_) => KeyStanding::Expired,
        }
    }
}

fn stored(row: Model) -> StoredKey {
    StoredKey {
        id: row.public_id,
        grant: grant(row.customer_id, &row.scopes),
        name: KeyName::from_stored(row.name),
        hint: row.hint,
        requests_per_second: from_column(row.requests_per_second),
        created_at: row.created_at.and_utc(),
        expires_at: row.expires_at.map(|time| time.and_utc()),
        revoked_at: row.revoked_at.map(|time| time.and_utc()),
        last_used_at: row.last_used_at.map(|time| time.and_utc()),
    }
}

/// A row whose customer is no customer's id, made by hand, allows nothing.
fn grant(customer: Option<i64>, scopes: &str) -> Grant {
    match customer.map(CustomerId::try_from).transpose() {
        Ok(customer) => Grant::from_stored(Owner::of(customer), Scopes::from_text(scopes)),
        Err(_) => Grant::from_stored(Owner::Platform, Scopes::from_text("")),
    }
}

fn to_column(limit: NonZeroU32) -> i32 {
    i32::try_from(limit.get()).unwrap_or(i32::MAX)
}

fn from_column(limit: Option<i32>) -> Option<NonZeroU32> {
    limit.and_then(|limit| u32::try_from(limit).ok()).and_then(NonZeroU32::new)
}

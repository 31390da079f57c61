//! Storing what endpoints are to be told, in the transaction of the change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{CallbackEventId, CallbackType, CallbackTypes};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::payload;
use crate::{
    engine::{
        StepError, Tx,
        sql::{Sql, insert},
        statements::padded,
    },
    entity::{
        callback_endpoint::{Column, Entity, Model},
        callback_event, message_detail, message_status,
    },
    watched::Watched,
};

/// A change of a recipient of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// The row of `message_status`, which this transaction has changed already.
    pub(crate) row: i64,
    /// Whose it is.
    pub(crate) customer: i64,
    /// What there is to tell.
    pub(crate) kind: CallbackType,
}

impl Change {
    /// The same of each of these rows, as they were before or after.
    pub(crate) fn of_rows(rows: &[&message_status::Model], kind: CallbackType) -> Vec<Self> {
        rows.iter().map(|row| Self { row: row.id, customer: row.user_id, kind }).collect()
    }
}

/// Stores an event for each change and each endpoint that is told of such changes. Each row comes but once. Of customers without
/// endpoints nothing is asked.
pub(crate) async fn emit(
    tx: &Tx,
    watched: &Watched,
    changes: impl IntoIterator<Item = Change>,
) -> Result<(), StepError> {
    let mut changes: Vec<_> = changes.into_iter().filter(|change| watched.has(change.customer)).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let endpoints = endpoints_of(tx, changes.iter().map(|change| change.customer)).await?;
    let is_told = |change: &Change| {
        let own = endpoints.get(&change.customer).map(Vec::as_slice).unwrap_or_default();
        own.iter().any(|endpoint| endpoint.types.contains(change.kind))
    };
    changes.retain(is_told);
    if changes.is_empty() {
        return Ok(());
    }
    let rows = raised(tx, &changes).await?;
    let details = details(tx, rows.values()).await?;
    let mut events = Vec::new();
    for change in &changes {
        let Some(row) = rows.get(&change.row) else { continue };
        let details = details.get(&row.message_identifier);
        let payload =
            payload::of_message(change.kind, row, details.and_then(|details| details.client_reference.as_deref()));
        let own_url = details.and_then(|details| details.callback_url.as_deref());
        let told = targets(&endpoints[&change.customer], change.kind, own_url);
        events.extend(told.into_iter().map(|(endpoint, url)| new_event(endpoint, change.kind, url, payload.clone())));
    }
    insert(tx, events).await
}

/// An endpoint, as far as telling it goes.
#[derive(Debug)]
pub(super) struct Told {
    row: i64,
    customer: i64,
    url: String,
    types: CallbackTypes,
    enabled: bool,
}

impl From<Model> for Told {
    fn from(row: Model) -> Self {
        let types = CallbackTypes::from_stored(&row.events);
        Self { row: row.id, customer: row.customer_id, url: row.url, types, enabled: row.enabled }
    }
}

/// The endpoints of these customers; disabled ones too, for their events wait.
pub(super) async fn endpoints_of(
    tx: &Tx,
    customers: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Vec<Told>>, StepError> {
    let customers: BTreeSet<i64> = customers.into_iter().collect();
    // Not cut off: a customer with too many would leave the last ones of these without theirs.
    let rows = Entity::find()
        .filter(Column::CustomerId.is_in(padded(customers)))
        .order_by_asc(Column::CustomerId)
        .order_by_asc(Column::Id)
        .all(tx)
        .await?;
    let mut endpoints: HashMap<i64, Vec<Told>> = HashMap::new();
    for row in rows {
        endpoints.entry(row.customer_id).or_default().push(row.into());
    }
    Ok(endpoints)
}

/// Counts the change, and reads the rows as they are now.
async fn raised(tx: &Tx, changes: &[Change]) -> Result<BTreeMap<i64, message_status::Model>, StepError> {
    let ids: BTreeSet<i64> = changes.iter().map(|change| change.row).collect();
    Sql::new("UPDATE message_status SET sequence = COALESCE(sequence, 0) + 1 WHERE id IN ", [])
        .list(ids.iter().map(|id| (*id).into()))
        .execute(tx)
        .await?;
    let rows = message_status::Entity::find().filter(message_status::Column::Id.is_in(padded(ids))).all(tx).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

async fn details(
    tx: &Tx,
    rows: impl Iterator<Item = &message_status::Model>,
) -> Result<HashMap<String, message_detail::Model>, StepError> {
    use message_detail::{Column, Entity};
    let messages: BTreeSet<&str> = rows.map(|row| row.message_identifier.as_str()).collect();
    let found = Entity::find().filter(Column::MessageIdentifier.is_in(padded(messages))).all(tx).await?;
    Ok(found.into_iter().map(|details| (details.message_identifier.clone(), details)).collect())
}

/// Who is told, and where if not at the endpoint's own URL. A message's own URL belongs to the first endpoint of that origin that
/// wants to know, whose secret signs; a disabled one only where no other does. Where none of that origin wants to know nobody is told,
/// and where there is none any more all are told as ever.
fn targets<'a>(endpoints: &'a [Told], kind: CallbackType, own_url: Option<&str>) -> Vec<(&'a Told, Option<String>)> {
    let wants_to_know = |endpoint: &&Told| endpoint.types.contains(kind);
    let has_origin_of = |url: &str, endpoint: &Told| origin(&endpoint.url) == origin(url);
    match own_url.filter(|url| endpoints.iter().any(|endpoint| has_origin_of(url, endpoint))) {
        Some(url) => {
            let own = endpoints.iter().filter(|endpoint| has_origin_of(url, endpoint)).filter(wants_to_know);
            let first = own.min_by_key(|endpoint| !endpoint.enabled);
            first.map(|endpoint| (endpoint, Some(url.to_owned()))).into_iter().collect()
        }
        None => endpoints.iter().filter(wants_to_know).map(|endpoint| (endpoint, None)).collect(),
    }
}

/// Scheme, host and port of a URL in its normal form: all before its path.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    &url[..end]
}

/// An event for an endpoint, due at once.
pub(super) fn new_event(
    endpoint: &Told,
    kind: CallbackType,
    url: Option<String>,
    payload: String,
) -> callback_event::ActiveModel {
    callback_event::ActiveModel {
        public_id: Set(CallbackEventId::from_uuid(Uuid::now_v7()).as_str().to_owned()),
        customer_id: Set(endpoint.customer),
        endpoint_id: Set(endpoint.row),
        url: Set(url),
        kind: Set(kind.as_str().to_owned()),
        payload: Set(payload),
        ..Default::default()
    }
}

/// Tells the other endpoints of a customer that one of them is told nothing any more.
pub(super) async fn tell_others(
    tx: &Tx,
    disabled: &[(i64, i64)],
    payload: impl Fn(i64) -> String,
) -> Result<(), StepError> {
    if disabled.is_empty() {
        return Ok(());
    }
    let kind = CallbackType::EndpointDisabled;
    let endpoints = endpoints_of(tx, disabled.iter().map(|(_, customer)| *customer)).await?;
    let mut events = Vec::new();
    for (row, customer) in disabled {
        let others = endpoints.get(customer).into_iter().flatten();
        let others = others.filter(|other| other.row != *row && other.types.contains(kind));
        events.extend(others.map(|other| new_event(other, kind, None, payload(*row))));
    }
    insert(tx, events).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(row: i64, url: &str, types: &[&str]) -> Told {
        let types = CallbackTypes::parse(types.iter().copied()).expect("types");
        Told { row, customer: 1, url: url.to_owned(), types, enabled: true }
    }

    #[test]
    fn a_message_with_its_own_url_is_told_there_with_the_secret_of_that_origin() {
        let endpoints = [
            told(1, "https://a.example/x", &["message.done"]),
            told(2, "https://b.example/x", &["message.done"]),
            told(3, "https://b.example/y", &["message.failed"]),
        ];
        let rows = |kind, own| -> Vec<(i64, Option<String>)> {
            targets(&endpoints, kind, own).into_iter().map(|(endpoint, url)| (endpoint.row, url)).collect()
        };
        assert_eq!(rows(CallbackType::Done, None), [(1, None), (2, None)]);
        let own = "https://b.example/orders?x=1";
        assert_eq!(rows(CallbackType::Done, Some(own)), [(2, Some(own.to_owned()))]);
        assert_eq!(rows(CallbackType::Failed, Some(own)), [(3, Some(own.to_owned()))]);
        assert_eq!(rows(CallbackType::Done, Some("https://c.example/")), [(1, None), (2, None)]);
        assert_eq!(rows(CallbackType::Delivered, None), []);
    }

    #[test]
    fn of_an_origin_an_enabled_endpoint_that_wants_to_know_is_told_or_none() {
        let mut endpoints = [
            told(1, "https://a.example/x", &["message.done", "message.delivered"]),
            told(2, "https://b.example/x", &["message.done", "message.failed"]),
            told(3, "https://b.example/y", &["message.done"]),
        ];
        endpoints[1].enabled = false;
        let rows = |kind| -> Vec<i64> {
            let told = targets(&endpoints, kind, Some("https://b.example/orders"));
            told.into_iter().map(|(endpoint, _)| endpoint.row).collect()
        };
        assert_eq!(rows(CallbackType::Done), [3]);
        assert_eq!(rows(CallbackType::Failed), [2], "its events wait");
        assert_eq!(rows(CallbackType::Delivered), [0; 0], "nobody else is told");
    }

    #[test]
    fn an_origin_ends_where_the_path_begins() {
        for (url, expected) in [
            ("https://a.example/", "https://a.example"),
            ("https://a.example:8443/x?y=https://b.example/", "https://a.example:8443"),
            ("https://[2606::1]/x", "https://[2606::1]"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}

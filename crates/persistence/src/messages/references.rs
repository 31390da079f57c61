//! Finding a customer's messages by the reference that it gave them.
//!
//! A reference is not unique. Messages of one are read along the index of references, newest first by their identifiers, and their
//! recipients along the index of recipients: a page reads what it shows and one row more, however many there are.

use domain::{ClientReference, CustomerId};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt as _},
};

use super::filter::HistoryFilter;
use crate::{
    Cursor, Page,
    engine::{Session, StepError, dialect::Dialect, statements::padded},
    entity::{
        message_detail::{self, Column as Details},
        message_status::{Column, Entity, Model},
    },
};

/// The row that a page ended with.
struct End {
    message_id: String,
    recipient: String,
}

pub(super) async fn history_of_reference(
    db: &Session,
    customer: CustomerId,
    reference: &ClientReference,
    filter: &HistoryFilter,
    limit: u64,
) -> Result<Page<Model>, StepError> {
    let end = match filter.cursor {
        None => None,
        Some(cursor) => match end_of_page(db, customer, cursor).await? {
            Some(end) => Some(end),
            None => return Ok(Page { entries: Vec::new(), next: None }),
        },
    };
    let ids = messages(db, customer, reference, filter, end.as_ref(), limit).await?;
    if ids.is_empty() {
        return Ok(Page { entries: Vec::new(), next: None });
    }
    // Every message has a recipient: so many messages fill the page, and one row tells that there are more.
    let mut query =
        Entity::find().filter(Column::UserId.eq(customer.get())).filter(Column::MessageIdentifier.is_in(padded(ids)));
    if let Some(End { message_id, recipient }) = end {
        let rest_of_message = Condition::all()
            .add(Column::MessageIdentifier.eq(message_id.as_str()))
            .add(Column::Recipient.lt(recipient));
        query = query.filter(Condition::any().add(Column::MessageIdentifier.lt(message_id)).add(rest_of_message));
    }
    let mut query = query.order_by_desc(Column::MessageIdentifier).order_by_desc(Column::Recipient).limit(limit + 1);
    if db.dialect() == Dialect::MySql {
        QuerySelect::query(&mut query).force_index("uq_message_status_identifier_recipient", IndexHintScope::All);
    }
    let page = Page::cut(query.all(db).await?, limit, |row| Cursor::new(row.created_at, row.id));
    Ok(Page { entries: page.entries.into_iter().filter(|row| filter.matches_state(row)).collect(), ..page })
}

/// The row of a cursor, if it is the customer's.
async fn end_of_page(db: &Session, customer: CustomerId, cursor: Cursor) -> Result<Option<End>, StepError> {
    let row: Option<(String, String)> = Entity::find_by_id(cursor.id())
        .select_only()
        .columns([Column::MessageIdentifier, Column::Recipient])
        .filter(Column::UserId.eq(customer.get()))
        .into_tuple()
        .one(db)
        .await?;
    Ok(row.map(|(message_id, recipient)| End { message_id, recipient }))
}

/// The newest messages of a reference, from the one that the last page ended in.
async fn messages(
    db: &Session,
    customer: CustomerId,
    reference: &ClientReference,
    filter: &HistoryFilter,
    end: Option<&End>,
    limit: u64,
) -> Result<Vec<String>, StepError> {
    let mut query = message_detail::Entity::find()
        .select_only()
        .column(Details::MessageIdentifier)
        .filter(Details::UserId.eq(customer.get()))
        .filter(Details::ClientReference.eq(reference.as_str()));
    if let Some(message_id) = &filter.message_id {
        query = query.filter(Details::MessageIdentifier.eq(message_id.as_str()));
    }
    if let Some(end) = end {
        query = query.filter(Details::MessageIdentifier.lte(end.message_id.as_str()));
    }
    // The one that the last page ended in may have no row left.
    let messages = limit + 1 + u64::from(end.is_some());
    Ok(query.order_by_desc(Details::MessageIdentifier).limit(messages).into_tuple().all(db).await?)
}

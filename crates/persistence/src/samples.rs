//! What the unit tests of this crate store.

use domain::{
    CustomerId, Message, MessageBody, MessageId, MessageText, MessageType, Money, OutboxPayload, Recipients,
    TopUpAmount, TransactionId, Turn,
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use uuid::Uuid;

use crate::{AcceptRequest, BeginRequest, Database, TopUpRequest, engine::Session};

/// A customer's id.
pub(crate) fn customer(user: i64) -> CustomerId {
    CustomerId::try_from(user).expect("a valid id")
}

/// Ten thousand credits for a customer.
pub(crate) fn top_up(user: i64) -> TopUpRequest {
    TopUpRequest {
        customer: customer(user),
        amount: TopUpAmount::parse(10_000).expect("a valid amount"),
        description: None,
        transaction_id: TransactionId::from_uuid(Uuid::now_v7()),
        idempotency: None,
    }
}

/// A normal message to one number, for one credit.
pub(crate) fn request(user: i64) -> AcceptRequest {
    let transaction_id = TransactionId::from_uuid(Uuid::now_v7());
    let message = Message::plain(
        customer(user),
        MessageText::try_from("hello".to_owned()).expect("a valid text"),
        Recipients::parse(vec!["+4912345".to_owned()]).expect("valid recipients"),
        MessageType::Normal,
    );
    let message = MessageBody::new(message, transaction_id.clone(), MessageId::from_uuid(Uuid::now_v7()));
    let (exchange, routing_key) = ("exchange".to_owned(), "key".to_owned());
    let payload = OutboxPayload { exchange, routing_key, message, transaction_id };
    AcceptRequest::plain(payload, Money::new(1).expect("positive"), Turn::from_stored(1_000))
}

/// All recipients of a message, for a worker.
pub(crate) fn begin_request(request: &AcceptRequest) -> BeginRequest {
    let body = &request.payload.message;
    BeginRequest {
        customer: body.customer_id,
        message_id: body.message_identifier.clone(),
        recipients: body.recipients.as_slice().to_vec(),
        expiry: None,
    }
}

/// What the server has counted of this on the one connection of the pool.
pub(crate) async fn session_counter(db: &Database, name: &str) -> u64 {
    let session = Session::take(db.connections()).await.expect("a connection");
    let counted = Statement::from_string(DbBackend::MySql, format!("SHOW SESSION STATUS LIKE '{name}'"));
    let row = session.query_one_raw(counted).await.expect("answers").expect("one row");
    session.keep();
    row.try_get_by_index::<String>(1).expect("a number").parse().expect("a number")
}

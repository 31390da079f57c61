//! Accepting requests in batches: one transaction locks the balances, decides each request in the order of
//! arrival, and writes debits, ledger, messages, outbox events and idempotency keys with one statement each.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    Balance, ClientReference, CustomerId, EventKind, LedgerKind, MessageId, MessageStatus, Money, OutboxPayload,
    OutboxStatus, Quote, SegmentCount, Turn, Validity, event, status::SCHEDULED,
};
use sea_orm::ActiveValue::{NotSet, Set};

use crate::{
    Database, Error, IdempotentRequest, Query, Route,
    engine::{StepError, Tx, clock::now, sql::insert, transaction},
    entity::{idempotency_key, message_detail, message_status, outbox_event, user_transaction},
    money::{
        credits,
        idempotency::{self, Saved},
        ledger,
    },
};

/// One request to send, priced and addressed.
#[derive(Debug, Clone)]
pub struct AcceptRequest {
    /// The message with its identifiers, and where the relay shall publish it.
    pub payload: OutboxPayload,
    /// The price of each recipient.
    pub quote: Quote,
    /// The segments of its text, where they are to be stored with each recipient: the request asked about them, or is charged by them.
    pub segments: Option<SegmentCount>,
    /// The client's own name for it. It is kept where the body has an encoding, as that of each request has which used a new field.
    pub client_reference: Option<ClientReference>,
    /// Where its customer is told of it, at the origin of one of its endpoints and in the normal form of URLs. Kept likewise.
    pub callback_url: Option<String>,
    /// For how long it may be sent, if the request says so.
    pub validity: Option<Validity>,
    /// When it is to be sent, if not at once.
    pub send_at: Option<DateTime<Utc>>,
    /// It came too late to be new: only an answer that was given before may be given again.
    pub only_replay: bool,
    /// The client's key, if it sent one.
    pub idempotency: Option<IdempotentRequest>,
    /// W3C trace context of the request, carried to the worker.
    pub traceparent: Option<String>,
    /// The event's place in its lane.
    pub turn: Turn,
}

impl AcceptRequest {
    /// A request that says no more than what every one says, at a price for each recipient.
    pub fn plain(payload: OutboxPayload, price: Money, turn: Turn) -> Self {
        let quote = Quote::flat(price, &payload.message.recipients);
        Self {
            payload,
            quote,
            segments: None,
            client_reference: None,
            callback_url: None,
            validity: None,
            send_at: None,
            only_replay: false,
            idempotency: None,
            traceparent: None,
            turn,
        }
    }

    fn customer(&self) -> CustomerId {
        self.payload.message.customer_id
    }

    fn total(&self) -> Money {
        self.quote.total()
    }
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptOutcome {
    /// Charged and stored; it will be sent.
    Accepted(MessageId),
    /// The key was used for the same request before: this is its message. Nothing was charged.
    Replayed(MessageId),
    /// The key was used for another request before. Nothing was charged.
    KeyReused,
    /// The balance does not cover it. Nothing was charged, the key is free.
    InsufficientBalance,
    /// It came too late, and is no repetition. Nothing was charged, the key is free.
    Missed,
}

impl Database {
    /// Charges and stores a batch of requests in one transaction, answering each by itself, in order.
    ///
    /// # Errors
    /// When the whole batch could not be stored; then nothing of it was, unless the connection broke during the
    /// commit: a client that sent an idempotency key finds out by sending it again.
    pub async fn accept(&self, batch: &[AcceptRequest]) -> Result<Vec<AcceptOutcome>, Error> {
        let outcomes = transaction!(self, Query::Accept, |tx| accept(tx, batch)).await?;
        let accepted = batch.iter().zip(&outcomes).filter(|(_, outcome)| matches!(outcome, AcceptOutcome::Accepted(_)));
        credits::count(LedgerKind::Withdrawal, accepted.map(|(request, _)| request.total().get()).sum());
        Ok(outcomes)
    }
}

async fn accept(tx: &Tx, batch: &[AcceptRequest]) -> Result<Vec<AcceptOutcome>, StepError> {
    let customers: Vec<_> = batch.iter().map(AcceptRequest::customer).collect();
    let balances = ledger::lock_balances(tx, &customers).await?;
    let keys: Vec<_> = batch
        .iter()
        .filter_map(|request| request.idempotency.as_ref().map(|used| (request.customer(), used.key.as_str())))
        .collect();
    let saved = idempotency::find(tx, Route::Send, &keys).await?;
    let outcomes = decide(batch, balances, &saved)?;
    let accepted: Vec<_> = batch
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| matches!(outcome, AcceptOutcome::Accepted(_)))
        .map(|(request, _)| request)
        .collect();
    if !accepted.is_empty() {
        debit(tx, &accepted).await?;
        insert(tx, accepted.iter().map(|request| charge_row(request)).collect()).await?;
        let with_segments = accepted.iter().any(|request| request.segments.is_some());
        insert(tx, accepted.iter().flat_map(|request| message_rows(request, with_segments)).collect()).await?;
        let ends = ends(tx, &accepted).await?;
        let details = accepted.iter().zip(&ends).filter_map(|(request, end)| details_row(request, *end));
        insert(tx, details.collect()).await?;
        let with_time = accepted.iter().any(|request| request.send_at.is_some());
        let outbox = accepted.iter().zip(&ends).map(|(request, end)| outbox_row(request, *end, with_time));
        insert(tx, outbox.collect()).await?;
        insert(tx, accepted.iter().filter_map(|request| key_row(request)).collect()).await?;
    }
    Ok(outcomes)
}

/// When each of these may not be sent any more, on the database's clock, which is asked where it matters.
async fn ends(tx: &Tx, accepted: &[&AcceptRequest]) -> Result<Vec<Option<DateTime<Utc>>>, StepError> {
    let counts_from_now = |request: &&&AcceptRequest| request.validity.is_some() && request.send_at.is_none();
    let now = if accepted.iter().any(|request| counts_from_now(&request)) { Some(now(tx).await?) } else { None };
    let end = |request: &&AcceptRequest| Some(request.validity?.end_from(request.send_at.or(now)?));
    Ok(accepted.iter().map(end).collect())
}

/// Judges the requests in the order they came, each against what those before it left over.
fn decide(
    batch: &[AcceptRequest],
    mut balances: HashMap<CustomerId, Balance>,
    saved: &HashMap<(i64, String), Saved>,
) -> Result<Vec<AcceptOutcome>, Error> {
    let mut taken_here: HashMap<(CustomerId, &str), &AcceptRequest> = HashMap::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    for request in batch {
        let customer = request.customer();
        if let Some(used) = &request.idempotency {
            let earlier = match taken_here.get(&(customer, used.key.as_str())) {
                Some(earlier) => Some((
                    earlier.idempotency.as_ref().map_or("", |used| &used.fingerprint),
                    earlier.payload.message.message_identifier.clone(),
                )),
                None => match saved.get(&(customer.get(), used.key.as_str().to_owned())) {
                    Some(saved) => Some((saved.fingerprint.as_str(), saved_message(saved)?)),
                    None => None,
                },
            };
            if let Some((fingerprint, message)) = earlier {
                let same = fingerprint == used.fingerprint;
                outcomes.push(if same { AcceptOutcome::Replayed(message) } else { AcceptOutcome::KeyReused });
                continue;
            }
        }
        if request.only_replay {
            outcomes.push(AcceptOutcome::Missed);
            continue;
        }
        let rest = balances.get(&customer).and_then(|balance| balance.charge(request.total()));
        outcomes.push(match rest {
            None => AcceptOutcome::InsufficientBalance,
            Some(rest) => {
                balances.insert(customer, rest);
                if let Some(used) = &request.idempotency {
                    taken_here.insert((customer, used.key.as_str()), request);
                }
                AcceptOutcome::Accepted(request.payload.message.message_identifier.clone())
            }
        });
    }
    Ok(outcomes)
}

fn saved_message(saved: &Saved) -> Result<MessageId, Error> {
    MessageId::try_from(saved.response.clone())
        .map_err(|error| Error::Inconsistent { table: "idempotency_keys", what: error.to_string() })
}

async fn debit(tx: &Tx, accepted: &[&AcceptRequest]) -> Result<(), StepError> {
    let mut totals: BTreeMap<CustomerId, i64> = BTreeMap::new();
    for request in accepted {
        // Each total was covered by a balance, so their sum per customer is too.
        *totals.entry(request.customer()).or_default() -= request.total().get();
    }
    ledger::change_balances(tx, &totals).await
}

fn charge_row(request: &AcceptRequest) -> user_transaction::ActiveModel {
    let body = &request.payload.message;
    user_transaction::ActiveModel {
        user_id: Set(body.customer_id.get()),
        amount: Set(-request.total().get()),
        transaction_type: Set(LedgerKind::Withdrawal.as_str().to_owned()),
        description: Set(Some(format!("message {}", body.message_identifier))),
        transaction_id: Set(body.transaction_id.as_str().to_owned()),
        ..Default::default()
    }
}

/// The rows of one statement have the same columns: where one request of a batch stores its segments, the others store none.
fn message_rows(request: &AcceptRequest, with_segments: bool) -> impl Iterator<Item = message_status::ActiveModel> {
    let body = &request.payload.message;
    let segments = request.segments.map(|segments| i16::from(segments.get()));
    let status = if request.send_at.is_some() { SCHEDULED } else { MessageStatus::Pending.as_str() };
    body.recipients.as_slice().iter().map(move |recipient| message_status::ActiveModel {
        user_id: Set(body.customer_id.get()),
        status: Set(status.to_owned()),
        kind: Set(body.kind.as_str().to_owned()),
        recipient: Set(recipient.as_str().to_owned()),
        message_identifier: Set(body.message_identifier.as_str().to_owned()),
        price: Set(Some(request.quote.price_of(recipient).get())),
        transaction_id: Set(Some(body.transaction_id.as_str().to_owned())),
        segments: if with_segments { Set(segments) } else { NotSet },
        ..Default::default()
    })
}

/// Only of a request that used a new field: a plain one costs nothing here.
fn details_row(request: &AcceptRequest, end: Option<DateTime<Utc>>) -> Option<message_detail::ActiveModel> {
    let body = &request.payload.message;
    let encoding = body.encoding?;
    Some(message_detail::ActiveModel {
        message_identifier: Set(body.message_identifier.as_str().to_owned()),
        user_id: Set(body.customer_id.get()),
        sender: Set(body.from.as_ref().map(|sender| sender.as_str().to_owned())),
        encoding: Set(encoding.as_str().to_owned()),
        client_reference: Set(request.client_reference.as_ref().map(|reference| reference.as_str().to_owned())),
        callback_url: Set(request.callback_url.clone()),
        expires_at: Set(end.map(|time| time.naive_utc())),
        send_at: Set(request.send_at.map(|time| time.naive_utc())),
        ..Default::default()
    })
}

/// The rows of one statement have the same columns: where one of a batch waits for its time, the others say that they do not.
fn outbox_row(request: &AcceptRequest, end: Option<DateTime<Utc>>, with_time: bool) -> outbox_event::ActiveModel {
    let body = &request.payload.message;
    let payload = if end.is_none() && request.send_at.is_none() {
        serde_json::to_string(&request.payload)
    } else {
        let mut payload = request.payload.clone();
        (payload.message.expires_at, payload.message.send_at) = (end, request.send_at);
        serde_json::to_string(&payload)
    };
    let payload = payload.expect("strings and numbers serialise");
    let status = if request.send_at.is_some() { OutboxStatus::Scheduled } else { OutboxStatus::Pending };
    outbox_event::ActiveModel {
        aggregate_type: Set(event::AGGREGATE_TYPE.to_owned()),
        aggregate_id: Set(body.message_identifier.as_str().to_owned()),
        event_type: Set(EventKind::Send.as_str().to_owned()),
        payload: Set(payload),
        priority: Set(body.kind.priority()),
        user_id: Set(Some(body.customer_id.get())),
        traceparent: Set(request.traceparent.clone()),
        turn: Set(request.turn.get()),
        status: if with_time { Set(status.as_str().to_owned()) } else { NotSet },
        next_run_at: if with_time { Set(request.send_at.map(|time| time.naive_utc())) } else { NotSet },
        ..Default::default()
    }
}

fn key_row(request: &AcceptRequest) -> Option<idempotency_key::ActiveModel> {
    let used = request.idempotency.as_ref()?;
    let response = request.payload.message.message_identifier.as_str().to_owned();
    Some(idempotency::row(request.customer(), Route::Send, used, response))
}

//! What travels: the outbox payload and the AMQP body, field for field as in the reference.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    CustomerId, Encoding, Invalid, Message, MessageId, MessageText, MessageType, Recipients, Sender, TransactionId,
};

/// `outbox_events.aggregate_type` of a message.
pub const AGGREGATE_TYPE: &str = "message";
/// Longest exchange, queue or routing key name AMQP 0-9-1 can carry, in bytes (a short string).
pub const MAX_AMQP_NAME: usize = 255;

/// What an outbox event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// To send a message.
    Send,
}

impl EventKind {
    /// The name in `outbox_events.event_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "message.send",
        }
    }

    /// The kind of this name; `None` for what only a newer release knows.
    pub fn parse(name: &str) -> Option<Self> {
        (name == Self::Send.as_str()).then_some(Self::Send)
    }
}

/// The AMQP body: one accepted request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageBody {
    /// Who paid.
    pub customer_id: CustomerId,
    /// What is sent.
    pub text: MessageText,
    /// To whom.
    pub recipients: Recipients,
    /// How urgently.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// The charge in the ledger.
    pub transaction_id: TransactionId,
    /// The request.
    pub message_identifier: MessageId,
    /// From whom, if the request said so. Releases before it ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Sender>,
    /// How it goes over the air, where the request used a field that asks about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// When it may not be sent any more, on the database's clock; where the request said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When its time comes, where that is not at once: from then on it is as old as others are from their acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_at: Option<DateTime<Utc>>,
}

impl MessageBody {
    /// The body of an accepted message.
    pub fn new(message: Message, transaction_id: TransactionId, message_identifier: MessageId) -> Self {
        let Message { customer, text, recipients, kind, from, encoding } = message;
        Self {
            customer_id: customer,
            text,
            recipients,
            kind,
            transaction_id,
            message_identifier,
            from,
            encoding,
            expires_at: None,
            send_at: None,
        }
    }

    /// Parses an AMQP body.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(bytes)
            .map_err(|error| Invalid::new("body", format!("is not a message ({})", place(&error))))
    }
}

/// `outbox_events.payload`, as it is written: the body and where to publish it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutboxPayload {
    /// The exchange to publish to.
    pub exchange: String,
    /// The queue's name, which is its routing key too.
    pub routing_key: String,
    /// The AMQP body.
    pub message: MessageBody,
    /// The charge in the ledger, again outside the body as in the reference.
    pub transaction_id: TransactionId,
}

/// `outbox_events.payload`, as it is carried to the broker. Its body was seen to be a [`MessageBody`], and goes out as it is stored:
/// what a newer release has put in reaches the worker, and nothing is written anew.
#[derive(Debug, Clone)]
pub struct CarriedMessage {
    /// The exchange to publish to.
    pub exchange: String,
    /// The queue's name, which is its routing key too.
    pub routing_key: String,
    /// Who paid.
    pub customer_id: CustomerId,
    /// The AMQP body.
    pub body: Box<RawValue>,
}

/// The members of a stored payload, all of which must be there.
#[derive(Deserialize)]
struct StoredPayload {
    exchange: String,
    routing_key: String,
    message: Box<RawValue>,
    #[serde(rename = "transaction_id")]
    _transaction_id: TransactionId,
}

impl CarriedMessage {
    /// Parses the column's value. Names that AMQP cannot carry are refused here, once.
    pub fn from_json(payload: &RawValue) -> Result<Self, Invalid> {
        let wrong = |error| Invalid::new("payload", format!("is not a message.send event ({})", place(&error)));
        let StoredPayload { exchange, routing_key, message: body, .. } =
            serde_json::from_str(payload.get()).map_err(wrong)?;
        let MessageBody { customer_id, .. } = serde_json::from_str(body.get()).map_err(wrong)?;
        if [&exchange, &routing_key].into_iter().any(|name| name.len() > MAX_AMQP_NAME) {
            return Err(Invalid::new(
                "payload",
                format!("names an exchange or routing key over {MAX_AMQP_NAME} bytes"),
            ));
        }
        Ok(Self { exchange, routing_key, customer_id, body })
    }
}

/// What kind of mistake it is and where. The error's own text would quote phone numbers and texts.
fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io => "not readable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a field is missing or of the wrong kind",
        serde_json::error::Category::Eof => "cut off",
    };
    match error.line() {
        0 => kind.to_owned(),
        line => format!("{kind}, line {line} column {}", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::to_raw_value};

    use super::*;

    fn payload() -> Value {
        json!({
            "exchange": "message_exchange",
            "routing_key": "message_normal",
            "transaction_id": "0199-t",
            "message": {
                "customer_id": 1, "text": "hi", "recipients": ["09128582812"], "type": "normal",
                "transaction_id": "0199-t", "message_identifier": "0199-m"
            }
        })
    }

    fn carried(payload: &Value) -> Result<CarriedMessage, Invalid> {
        CarriedMessage::from_json(&to_raw_value(payload).expect("serialises"))
    }

    #[test]
    fn the_reference_payload_is_carried_and_written() {
        let carried = carried(&payload()).expect("valid");
        let CarriedMessage { exchange, routing_key, customer_id, body } = carried;
        assert_eq!(customer_id.get(), 1);
        let message = MessageBody::from_json(body.get().as_bytes()).expect("a message");
        let transaction_id = message.transaction_id.clone();
        let written = OutboxPayload { exchange, routing_key, message, transaction_id };
        assert_eq!(serde_json::to_value(written).expect("serialises"), payload());
    }

    #[test]
    fn a_body_is_carried_with_what_only_a_newer_release_knows() {
        let mut newer = payload();
        newer["message"]["sender"] = json!("ACME");
        newer["later"] = json!(true);
        let body = carried(&newer).expect("valid").body;
        assert_eq!(serde_json::from_str::<Value>(body.get()).expect("JSON"), newer["message"]);
    }

    #[test]
    fn kinds_of_other_releases_are_not_taken_for_ours() {
        assert_eq!(EventKind::parse("message.send"), Some(EventKind::Send));
        for other in ["", "message.cancel", "Message.Send", "message.send "] {
            assert_eq!(EventKind::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn wrong_payloads_are_refused() {
        let mut no_recipients = payload();
        no_recipients["message"]["recipients"] = json!([]);
        let mut long_key = payload();
        long_key["routing_key"] = json!("k".repeat(256));
        let mut no_charge = payload();
        no_charge.as_object_mut().expect("an object").remove("transaction_id");
        for wrong in [json!({}), json!(null), json!([]), no_recipients, long_key, no_charge] {
            assert!(carried(&wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn errors_quote_neither_numbers_nor_texts() {
        for wrong in [r#"{"recipients":[9128582812]}"#, r#""my secret text""#, r#"{"text":"my secret text","#] {
            let error = MessageBody::from_json(wrong.as_bytes()).expect_err("refused").to_string();
            assert!(!error.contains("9128582812") && !error.contains("secret"), "{error}");
        }
    }
}

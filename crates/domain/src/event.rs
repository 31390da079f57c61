//! What travels: the outbox payload and the AMQP body, field for field as in the reference.

use serde::{Deserialize, Serialize};

use crate::{CustomerId, Invalid, Message, MessageId, MessageText, MessageType, Recipients, TransactionId};

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
}

impl MessageBody {
    /// The body of an accepted message.
    pub fn new(message: Message, transaction_id: TransactionId, message_identifier: MessageId) -> Self {
        let Message { customer, text, recipients, kind } = message;
        Self { customer_id: customer, text, recipients, kind, transaction_id, message_identifier }
    }

    /// Parses an AMQP body.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(bytes)
            .map_err(|error| Invalid::new("body", format!("is not a message ({})", place(&error))))
    }
}

/// `outbox_events.payload`: the body and where to publish it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl OutboxPayload {
    /// Parses the column's value. Names that AMQP cannot carry are refused here, once.
    pub fn from_json(payload: serde_json::Value) -> Result<Self, Invalid> {
        let payload: Self = serde_json::from_value(payload)
            .map_err(|error| Invalid::new("payload", format!("is not a message.send event ({})", place(&error))))?;
        for name in [&payload.exchange, &payload.routing_key] {
            if name.len() > MAX_AMQP_NAME {
                return Err(Invalid::new(
                    "payload",
                    format!("names an exchange or routing key over {MAX_AMQP_NAME} bytes"),
                ));
            }
        }
        Ok(payload)
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
    use serde_json::{Value, json};

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

    #[test]
    fn the_reference_payload_round_trips() {
        let parsed = OutboxPayload::from_json(payload()).expect("valid");
        assert_eq!(serde_json::to_value(parsed).expect("serialises"), payload());
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
        for wrong in [json!({}), json!(null), json!([]), no_recipients, long_key] {
            assert!(OutboxPayload::from_json(wrong.clone()).is_err(), "{wrong} was taken");
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

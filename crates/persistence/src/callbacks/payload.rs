//! The bodies of callbacks. What is made here is stored, signed and sent as it is.

use chrono::{NaiveDateTime, SecondsFormat};
use domain::CallbackType;
use serde::Serialize;

use crate::entity::message_status;

#[derive(Serialize)]
struct Body<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: &'a T,
}

/// A recipient of a message as it stands.
#[derive(Serialize)]
struct MessageData<'a> {
    message_identifier: &'a str,
    recipient: &'a str,
    client_reference: Option<&'a str>,
    status: String,
    delivery_status: Option<&'a str>,
    error_code: Option<&'a str>,
    segments: Option<i16>,
    price: Option<i64>,
    provider: Option<&'a str>,
    sequence: Option<i32>,
}

#[derive(Serialize)]
struct EndpointData<'a> {
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What became of a recipient of a message.
pub(super) fn of_message(kind: CallbackType, row: &message_status::Model, client_reference: Option<&str>) -> String {
    let data = MessageData {
        message_identifier: &row.message_identifier,
        recipient: &row.recipient,
        client_reference,
        status: row.status.to_ascii_lowercase(),
        delivery_status: row.delivery_status.as_deref(),
        error_code: row.error_code.as_deref(),
        segments: row.segments,
        price: row.price,
        provider: Some(row.provider.as_str()).filter(|provider| !provider.is_empty()),
        sequence: row.sequence,
    };
    body(kind, row.updated_at, &data)
}

/// Something about an endpoint.
pub(super) fn of_endpoint(kind: CallbackType, at: NaiveDateTime, endpoint: &str, reason: Option<&str>) -> String {
    body(kind, at, &EndpointData { endpoint, reason })
}

fn body<T: Serialize>(kind: CallbackType, at: NaiveDateTime, data: &T) -> String {
    let timestamp = at.and_utc().to_rfc3339_opts(SecondsFormat::Millis, true);
    serde_json::to_string(&Body { kind: kind.as_str(), timestamp, data }).expect("texts and numbers make JSON")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_message_is_told_with_all_that_is_known_of_it() {
        let at = DateTime::from_timestamp(1_700_000_000, 128_000_000).expect("a time").naive_utc();
        let row = message_status::Model {
            id: 7,
            user_id: 1,
            status: "DONE".into(),
            kind: "normal".into(),
            recipient: "+989128582812".into(),
            provider: "operatorA".into(),
            message_identifier: "m-1".into(),
            created_at: at,
            updated_at: at,
            price: Some(4),
            transaction_id: None,
            claimed_by: None,
            claimed_until: None,
            segments: Some(2),
            delivery_status: Some("delivered".into()),
            error_code: None,
            delivered_at: None,
            sequence: Some(3),
        };
        assert_eq!(
            of_message(CallbackType::Delivered, &row, Some("order-4711")),
            "{\"type\":\"message.delivered\",\"timestamp\":\"2023-11-14T22:13:20.128Z\",\"data\":{\
             \"message_identifier\":\"m-1\",\"recipient\":\"+989128582812\",\"client_reference\":\"order-4711\",\
             \"status\":\"done\",\"delivery_status\":\"delivered\",\"error_code\":null,\"segments\":2,\"price\":4,\
             \"provider\":\"operatorA\",\"sequence\":3}}"
        );
        assert_eq!(
            of_endpoint(CallbackType::EndpointTest, at, "ep_1", None),
            "{\"type\":\"endpoint.test\",\"timestamp\":\"2023-11-14T22:13:20.128Z\",\"data\":{\"endpoint\":\"ep_1\"}}"
        );
    }
}

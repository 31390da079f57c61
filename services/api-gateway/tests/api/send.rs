//! `POST /messages/send`: what it takes, what it costs, what it leaves behind.

use serde_json::{Value, json};

use crate::support::{Fixture, Gateway, Request, count, list, message, numbers};

pub(crate) async fn an_accepted_message_is_charged_and_stored(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    let sent = json!({
        "customer_id": 1, "text": "hi", "recipients": ["09128582812", "091285284834"], "type": "normal"
    });
    let answer = api.send(&sent).await;
    let identifier = answer.accepted();
    assert!(!answer.is_replay());
    assert_eq!(api.balance(1).await, 8);

    let mut sql = f.sql().await;
    let charge = "SELECT amount FROM user_transactions WHERE user_id = 1 AND transaction_type = 'withdrawal'";
    assert_eq!(sql.number(charge).await, -2);
    let messages = format!(
        "SELECT COUNT(*) FROM message_status WHERE user_id = 1 AND status = 'pending' AND type = 'normal'
            AND provider = '' AND recipient IN ('09128582812', '091285284834') AND message_identifier = '{identifier}'"
    );
    assert_eq!(sql.number(&messages).await, 2);
    let event = format!(
        "FROM outbox_events WHERE aggregate_type = 'message' AND aggregate_id = '{identifier}'
            AND event_type = 'message.send' AND status = 'pending' AND priority = 0 AND attempts = 0"
    );
    assert_eq!(sql.number(&format!("SELECT COUNT(*) {event}")).await, 1);
    let payload = sql.text(&format!("SELECT CAST(payload AS CHAR) {event}")).await;
    let payload: Value = serde_json::from_str(&payload).expect("JSON");
    let transaction =
        sql.text("SELECT transaction_id FROM user_transactions WHERE transaction_type = 'withdrawal'").await;
    let expected = json!({
        "exchange": "message_exchange",
        "routing_key": "message_normal",
        "transaction_id": transaction,
        "message": {
            "customer_id": 1, "text": "hi", "recipients": ["09128582812", "091285284834"], "type": "normal",
            "transaction_id": transaction, "message_identifier": identifier
        }
    });
    assert_eq!(payload, expected);
    sql.close().await;
}

pub(crate) async fn express_goes_its_own_way(f: &Fixture) {
    let settings = [("EXPRESS_QUEUE", "fast"), ("NORMAL_QUEUE", "slow"), ("RABBIT_MESSAGE_EXCHANGE", "sms")];
    let api = f.gateway(&settings).await;
    api.fund(1, 10).await;
    let identifier = api.send(&with(&message(1, &["111"]), "type", json!("express"))).await.accepted();
    let mut sql = f.sql().await;
    let event = format!("FROM outbox_events WHERE aggregate_id = '{identifier}'");
    assert_eq!(sql.number(&format!("SELECT CAST(priority AS SIGNED) {event}")).await, 10);
    let payload = sql.text(&format!("SELECT CAST(payload AS CHAR) {event}")).await;
    let payload: Value = serde_json::from_str(&payload).expect("JSON");
    assert_eq!((&payload["exchange"], &payload["routing_key"]), (&json!("sms"), &json!("fast")));
    assert_eq!(payload["message"]["type"], json!("express"));
    sql.close().await;
}

pub(crate) async fn each_type_has_its_price(f: &Fixture) {
    let api = f.gateway(&[]).await;
    assert_eq!(cost(&api, &message(1, &["111", "222"])).await, 2);
    assert_eq!(cost(&api, &with(&message(1, &["111", "222"]), "type", json!("normal"))).await, 2);
    assert_eq!(cost(&api, &with(&message(1, &["111", "222"]), "type", json!("express"))).await, 6);
    assert_eq!(cost(&api, &with(&message(1, &["111"]), "type", Value::Null)).await, 1);

    let api = f.gateway(&[("PRICE_NORMAL", "7"), ("PRICE_EXPRESS", "11")]).await;
    assert_eq!(cost(&api, &message(1, &["111", "222"])).await, 14);
    assert_eq!(cost(&api, &with(&message(1, &["111", "222", "333"]), "type", json!("express"))).await, 33);
}

pub(crate) async fn repeated_recipients_are_sent_and_charged_once(f: &Fixture) {
    let api = f.gateway(&[]).await;
    assert_eq!(cost(&api, &message(1, &["111", "222", "111", "111", "222"])).await, 2);
    assert_eq!(cost(&api, &message(2, &["111", "+111"])).await, 2, "these are two numbers");
    let sent = api.history("user_id=1").await;
    let mut recipients: Vec<_> = list(&sent, "history").iter().map(|item| &item["recipient"]).collect();
    recipients.sort_by_key(|recipient| recipient.as_str());
    assert_eq!(recipients, [&json!("111"), &json!("222")]);
}

pub(crate) async fn recipients_are_bounded(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 5_000).await;
    for many in [1, 2, 999, 1000] {
        let recipients = numbers(many);
        let body = with(&message(1, &[]), "recipients", json!(recipients));
        assert_eq!(cost(&api, &body).await, count(&recipients));
    }
    for recipients in [json!([]), json!(numbers(1001)), json!(vec!["111"; 1001])] {
        api.send(&with(&message(1, &[]), "recipients", recipients)).await.invalid("recipients");
    }
    for right in ["123", "+123", "123456789012345", "+123456789012345", "000"] {
        api.send(&message(1, &[right])).await.accepted();
    }
    for wrong in
        ["", "12", "+12", "1234567890123456", "++123", "+", "12a", "123 ", " 123", "12-3", "123\n", "١٢٣", "1.23"]
    {
        api.send(&message(1, &["111", wrong])).await.invalid("recipients");
    }
    for wrong in [json!(111), json!(null), json!(["111"]), json!({}), json!(true)] {
        api.send(&with(&message(1, &[]), "recipients", json!(["111", wrong]))).await.invalid("recipients");
    }
}

pub(crate) async fn the_wrong_recipient_is_named_by_its_place(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for (index, recipients) in [
        (0, json!(["0912858281234567", "111"])),
        (2, json!(["111", "222", "091285 82812", "333"])),
        (1, json!(["111", 9_128_582_812_i64, "222"])),
        (3, json!(["111", "222", "333", {"09128582812": 1}])),
    ] {
        let answer = api.send(&with(&message(1, &[]), "recipients", recipients)).await;
        answer.invalid("recipients must");
        answer.invalid(&format!("the one at index {index}, counted from 0, is not"));
        assert!(!answer.text().contains("9128"), "{}", answer.text());
    }
    let last = [numbers(999), vec!["12".to_owned()]].concat();
    api.send(&with(&message(1, &[]), "recipients", json!(last))).await.invalid("index 999");
    api.send(&with(&message(1, &[]), "recipients", json!(numbers(1001)))).await.invalid("not 1001");
    api.send(&message(1, &[])).await.invalid("not 0");
}

pub(crate) async fn texts_are_counted_in_characters(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    for character in ["a", "é", "字", "😀", "\u{301}", "\u{2801}", "\""] {
        let text = |count: usize| with(&message(1, &["111"]), "text", json!(character.repeat(count)));
        api.send(&text(1)).await.accepted();
        api.send(&text(1600)).await.accepted();
        api.send(&text(1601)).await.invalid("text");
    }
    let blanks =
        ["", " ", "\t\r\n", "\u{a0}\u{2003}\u{3000}", "\0", "\u{200b}", "\u{feff}\u{2060}", "\u{3164}\u{2800}"];
    for blank in blanks {
        api.send(&with(&message(1, &["111"]), "text", json!(blank))).await.invalid("text");
        api.send(&with(&message(1, &["111"]), "text", json!(format!("{blank}.")))).await.accepted();
    }
    let padded = with(&message(1, &["111"]), "text", json!("  ' OR 1=1; -- \u{7f}\r\n\\ %s {}  "));
    api.send(&padded).await.accepted();
}

pub(crate) async fn texts_arrive_unchanged(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    let text = "  سلام 👩‍👩‍👧 \"q\" \\ \u{7f}\n end  ";
    let identifier = api.send(&with(&message(1, &["111"]), "text", json!(text))).await.accepted();
    let mut sql = f.sql().await;
    let payload = format!("SELECT CAST(payload AS CHAR) FROM outbox_events WHERE aggregate_id = '{identifier}'");
    let payload: Value = serde_json::from_str(&sql.text(&payload).await).expect("JSON");
    assert_eq!(payload["message"]["text"], json!(text));
    sql.close().await;
}

pub(crate) async fn customers_are_positive_64_bit_numbers(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for right in [1, i64::MAX] {
        assert_eq!(cost(&api, &message(right, &["111"])).await, 1);
    }
    for wrong in [
        "0",
        "-0.0",
        "-1.0",
        "1.5",
        "1e-1",
        "1.00000000000000000001",
        "9223372036854775807.5",
        "9223372036854775808.0",
        "1e19",
        "-1",
        "9223372036854775808",
        "-9223372036854775809",
        "1E400",
        "123456789012345678901",
    ] {
        let body = format!(r#"{{"customer_id":{wrong},"text":"hi","recipients":["111"]}}"#);
        let request = Request::post_bytes("/messages/send", body);
        // A number too large for any type is no longer JSON to the parser.
        let about = if wrong == "1E400" { "number" } else { "customer_id" };
        api.call(request).await.invalid(about);
    }
    // The same numbers, written otherwise; none is rounded.
    for (written, customer) in [
        ("1.0", 1),
        ("1e3", 1_000),
        ("12.5E1", 125),
        ("1000e-3", 1),
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("9.223372036854775807e18", i64::MAX),
    ] {
        api.fund(customer, 10).await;
        let before = api.balance(customer).await;
        let body = format!(r#"{{"customer_id":{written},"text":"hi","recipients":["111"]}}"#);
        api.call(Request::post_bytes("/messages/send", body)).await.accepted();
        assert_eq!(api.balance(customer).await, before - 1, "{written}");
    }
}

pub(crate) async fn every_field_has_its_type(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    let others =
        [json!("1"), json!(true), json!(1), json!(1.5), json!([1]), json!(["111"]), json!({"a": 1}), json!([])];
    let right = |field: &str, value: &Value| match field {
        "customer_id" => value == &json!(1),
        "text" => value.is_string(),
        "recipients" => value == &json!(["111"]),
        _ => false,
    };
    for field in ["customer_id", "text", "recipients", "type"] {
        for value in others.iter().filter(|value| !right(field, value)) {
            api.send(&with(&message(1, &["111"]), field, value.clone())).await.invalid(field);
        }
    }
    for field in ["customer_id", "text", "recipients"] {
        api.send(&with(&message(1, &["111"]), field, Value::Null)).await.invalid(field);
        let mut without = message(1, &["111"]);
        without.as_object_mut().expect("an object").remove(field);
        api.send(&without).await.invalid(field);
    }
    for kind in ["", "Normal", "EXPRESS", "sms", "normal "] {
        api.send(&with(&message(1, &["111"]), "type", json!(kind))).await.invalid("type");
    }
    api.send(&json!({})).await.error(400, "invalid_input");
    assert_eq!(api.balance(1).await, 10, "a refused request costs nothing");
}

pub(crate) async fn other_fields_are_ignored(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let mut body = message(1, &["111"]);
    for (name, value) in [
        ("price", json!(0)),
        ("balance", json!(-5)),
        ("user_id", json!("x")),
        ("message_identifier", json!("mine")),
        ("Type", json!("express")),
        ("", json!([[[]]])),
    ] {
        body[name] = value;
    }
    assert_eq!(cost(&api, &body).await, 1);
}

pub(crate) async fn what_the_balance_does_not_cover_leaves_no_trace(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 5).await;
    for (customer, recipients, kind) in
        [(1, 6, "normal"), (1, 2, "express"), (2, 1, "normal"), (i64::MAX, 1, "express")]
    {
        let body = json!({"customer_id": customer, "text": "hi", "recipients": numbers(recipients), "type": kind});
        api.send(&body).await.error(402, "insufficient_balance");
        api.send_with_key(&body, "k").await.error(402, "insufficient_balance");
    }
    let mut sql = f.sql().await;
    for table in ["message_status", "outbox_events", "idempotency_keys"] {
        assert_eq!(sql.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(sql.number("SELECT COUNT(*) FROM user_transactions").await, 1);
    assert_eq!(sql.number("SELECT COUNT(*) FROM user_balances").await, 1, "nobody is created by asking");
    sql.close().await;
    assert_eq!(api.account(2).await, json!({"balance": 0, "transactions": [], "next_cursor": null}));
    assert_eq!(cost_without_funding(&api, &with(&message(1, &[]), "recipients", json!(numbers(5)))).await, 5);
    assert_eq!(api.balance(1).await, 0, "a balance can be spent to the last credit");
}

/// What sending `body` takes off the balance, topped up well before.
async fn cost(api: &Gateway, body: &Value) -> i64 {
    api.fund(body["customer_id"].as_i64().expect("a customer"), 100_000).await;
    cost_without_funding(api, body).await
}

async fn cost_without_funding(api: &Gateway, body: &Value) -> i64 {
    let customer = body["customer_id"].as_i64().expect("a customer");
    let before = api.balance(customer).await;
    api.send(body).await.accepted();
    before - api.balance(customer).await
}

/// `body` with one member set.
pub(crate) fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

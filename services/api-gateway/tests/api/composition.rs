//! A message as a business means it: sender, reference, encoding, segments, price, numbers.

use serde_json::{Value, json};

use crate::{
    send::with,
    support::{Answer, Fixture, Gateway, Request, list, message},
};

const BY_SEGMENT: (&str, &str) = ("PRICE_UNIT", "segment");

async fn preview(api: Gateway, body: &Value) -> Answer {
    api.call(Request::post("/messages/preview", body)).await
}

fn composed(answer: &Answer) -> Value {
    let mut body = answer.ok();
    assert!(body.as_object_mut().expect("an object").remove("message_identifier").is_some());
    body
}

pub(crate) async fn what_a_message_says_is_kept_and_told(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let body = json!({"customer_id": 1, "text": "hi", "recipients": ["111", "222"], "from": "BANK",
        "client_reference": "order-4711", "encoding": "auto"});
    let answer = api.send(&body).await;
    let id = answer.ok()["message_identifier"].as_str().expect("an id").to_owned();
    let told = json!({"status": "processing", "client_reference": "order-4711", "encoding": "gsm7", "segments": 1, "price": 2});
    assert_eq!(composed(&answer), told);
    let plain = api.send(&message(1, &["333"])).await.accepted();

    let found = api.get(format!("/messages/{id}")).await.ok();
    let of = |member: &str| found[member].clone();
    assert_eq!(
        [of("from"), of("client_reference"), of("encoding")],
        [json!("BANK"), json!("order-4711"), json!("gsm7")]
    );
    assert_eq!(
        [of("segments"), of("price"), of("user_id"), of("type")],
        [json!(1), json!(2), json!(1), json!("normal")]
    );
    let recipients: Vec<_> = list(&found, "recipients").iter().map(|entry| entry["recipient"].clone()).collect();
    assert_eq!(recipients, [json!("222"), json!("111")]);
    let entry = &list(&found, "recipients")[0];
    assert_eq!(
        [&entry["status"], &entry["price"], &entry["operator_messages"]],
        [&json!("pending"), &json!(1), &json!([])]
    );
    let pages = api.walk(&format!("/messages/{id}?limit=1"), "recipients").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    let of_plain = api.get(format!("/messages/{plain}")).await.ok();
    assert!(of_plain.get("encoding").is_none() && of_plain.get("from").is_none() && of_plain["price"] == json!(1));
    api.get("/messages/nothing").await.error(404, "not_found");

    let history = api.history("user_id=1").await;
    let entries = list(&history, "history");
    assert_eq!(entries[0].as_object().expect("an object").len(), 8, "a plain one as ever: {}", entries[0]);
    let extra: Vec<_> =
        ["segments", "price", "from", "client_reference"].iter().map(|name| &entries[1][name]).collect();
    assert_eq!(extra, [&json!(1), &json!(1), &json!("BANK"), &json!("order-4711")]);
    assert!(entries[1].get("delivery_status").is_none());
}

pub(crate) async fn messages_are_found_by_their_reference(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for user in [1, 2] {
        api.fund(user, 100).await;
        for recipients in [&["111", "222", "333"] as &[&str], &["444"], &["555", "666"]] {
            let body = with(&message(user, recipients), "client_reference", json!("order-1"));
            api.send(&body).await.ok();
        }
        api.send(&message(user, &["777"])).await.accepted();
    }
    let all: Vec<_> = list(&api.history("user_id=1&client_reference=order-1").await, "history").to_vec();
    let recipients = |entries: &[Value]| {
        entries.iter().map(|entry| entry["recipient"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(recipients(&all), ["666", "555", "444", "333", "222", "111"], "newest message first");
    for limit in [1, 2, 4, 5, 6] {
        let pages =
            api.walk(&format!("/messages/history?user_id=1&client_reference=order-1&limit={limit}"), "history").await;
        assert_eq!(pages.concat(), all, "limit {limit}");
    }
    assert!(list(&api.history("user_id=1&client_reference=order-2").await, "history").is_empty());
    assert!(list(&api.history("user_id=1&client_reference=order-1&status=done").await, "history").is_empty());
    assert_eq!(list(&api.history("user_id=1&client_reference=order-1&status=pending").await, "history").len(), 6);
    api.get("/messages/history?client_reference=order-1").await.invalid("client_reference needs user_id");
    api.get("/messages/history?user_id=1&client_reference=a%20b")
        .await
        .invalid("client_reference must be 1 to 64 visible ASCII characters");
    api.get("/messages/history?user_id=1&delivery_status=lost").await.invalid("delivery_status must be one of");
    assert!(list(&api.history("user_id=1&delivery_status=delivered").await, "history").is_empty());
    f.sql().await.execute("UPDATE message_status SET delivery_status = 'delivered', error_code = '000' WHERE recipient = '777' AND user_id = 1").await;
    let delivered = api.history("user_id=1&delivery_status=delivered").await;
    let entry = &list(&delivered, "history")[0];
    assert_eq!([&entry["delivery_status"], &entry["error_code"]], [&json!("delivered"), &json!("000")]);
}

pub(crate) async fn what_a_message_may_not_say_is_refused(f: &Fixture) {
    let api = f.gateway(&[("MAX_SEGMENTS", "10")]).await;
    api.fund(1, 10_000).await;
    let from = "from must be 1 to 11 letters, digits, spaces or &+_-. with at least one letter, or an optional + and 3 to 15 digits";
    let elsewhere = "callback_url must start with the origin of one of the customer's callback endpoints";
    for (field, value, says) in [
        ("from", json!(""), from),
        ("from", json!("TwelveLetter"), from),
        ("from", json!(" BANK"), from),
        ("from", json!(1), "from must be a string"),
        ("client_reference", json!("a b"), "client_reference must be 1 to 64 visible ASCII characters"),
        ("client_reference", json!("x".repeat(65)), "client_reference must be 1 to 64 visible ASCII characters"),
        ("encoding", json!("utf8"), "encoding must be auto, gsm7 or ucs2"),
        ("send_at", json!("2026-12-01T08:30:00"), "send_at must be RFC 3339 with an offset"),
        ("send_at", json!("2036-12-01T08:30:00Z"), "send_at must lie between now and 35 days ahead"),
        ("send_at", json!("2020-12-01T08:30:00Z"), "send_at must lie between now and 35 days ahead"),
        ("send_at", json!(1_764_577_800), "send_at must be RFC 3339 with an offset"),
        ("validity_seconds", json!(4), "validity_seconds must be a whole number from 5 to 604800"),
        ("validity_seconds", json!(604_801), "validity_seconds must be a whole number from 5 to 604800"),
        ("validity_seconds", json!("300"), "validity_seconds must be a whole number from 5 to 604800"),
        ("validity_seconds", json!(5.5), "validity_seconds must be a whole number from 5 to 604800"),
        ("callback_url", json!("https://shop.example/sms"), elsewhere),
        ("callback_url", json!("not a url"), elsewhere),
        ("callback_url", json!(1), elsewhere),
        ("text", json!("a".repeat(1_531)), "text comes to 11 segments, but at most 10 are accepted"),
    ] {
        let body = with(&message(1, &["111"]), field, value);
        for target in ["/messages/send", "/messages/preview"] {
            let told = api.call(Request::post(target, &body)).await.error(400, "invalid_input");
            assert_eq!(told, says, "{target}");
        }
    }
    let forced = with(&with(&message(1, &["111"]), "text", json!("Für Çağrı")), "encoding", json!("gsm7"));
    let told = api.send(&forced).await.error(400, "invalid_input");
    assert_eq!(told, "text has characters that gsm7 cannot carry, the first at position 7");
    let null = json!({"customer_id": 1, "text": "hi", "recipients": ["111"], "from": null, "client_reference": null,
        "encoding": null, "send_at": null, "validity_seconds": null, "callback_url": null});
    api.send(&null).await.accepted();
    assert_eq!(api.balance(1).await, 9_999);
}

pub(crate) async fn a_preview_tells_all_and_does_nothing(f: &Fixture) {
    let api = f.gateway(&[BY_SEGMENT]).await;
    api.fund(1, 3).await;
    let body = with(&message(1, &["111", "222", "111"]), "text", json!("a".repeat(161)));
    let told = json!({"encoding": "gsm7", "segments": 2, "units": 161, "units_left_in_last_segment": 145, "recipients": 2,
        "price_per_recipient": 2, "price": 4, "balance": 3, "sufficient": false, "first_not_gsm7": null});
    assert_eq!(preview(api, &body).await.ok(), told);
    let turkish = preview(api, &with(&body, "text", json!("Für Çağrı"))).await.ok();
    assert_eq!(
        [&turkish["encoding"], &turkish["units"], &turkish["first_not_gsm7"]],
        [&json!("ucs2"), &json!(9), &json!(7)]
    );
    assert_eq!(turkish["sufficient"], json!(true));
    preview(api, &with(&body, "recipients", json!([]))).await.invalid("recipients");
    let unknown = preview(api, &with(&body, "customer_id", json!(9))).await.ok();
    assert_eq!([&unknown["balance"], &unknown["sufficient"]], [&json!(0), &json!(false)]);
    assert_eq!(f.sql().await.number("SELECT COUNT(*) FROM message_status").await, 0);
    assert_eq!(api.balance(1).await, 3);
}

pub(crate) async fn segments_are_what_is_paid_for_where_they_are_the_unit(f: &Fixture) {
    let api = f.gateway(&[BY_SEGMENT, ("PRICE_EXPRESS", "5")]).await;
    api.fund(1, 100).await;
    let long = with(&message(1, &["111", "222"]), "text", json!("ا".repeat(135)));
    api.send(&with(&long, "type", json!("express"))).await.accepted();
    assert_eq!(api.balance(1).await, 100 - 5 * 3 * 2);
    let prices = "SELECT COUNT(*) FROM message_status WHERE price = 15 AND segments = 3";
    assert_eq!(f.sql().await.number(prices).await, 2, "each recipient's price, as refunds give it back");
    // Stored with each recipient, but a plain request's entry is what it was.
    let entries = api.history("user_id=1").await;
    assert_eq!(list(&entries, "history")[0].as_object().expect("an object").len(), 8);
    let per_recipient = f.gateway(&[]).await;
    per_recipient.send(&long).await.accepted();
    assert_eq!(api.balance(1).await, 70 - 2);
    assert_eq!(f.sql().await.number("SELECT COUNT(*) FROM message_status WHERE segments IS NULL").await, 2);
}

pub(crate) async fn keys_of_earlier_releases_still_replay(f: &Fixture) {
    let api = f.gateway(&[("DEFAULT_COUNTRY_CODE", "98"), BY_SEGMENT]).await;
    api.fund(1, 100).await;
    let id = "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11";
    // Of `[1,"hi",["111"],"normal"]` and the same with the other number, made with `sha256sum`.
    for (key, recipient, digest) in [
        ("k1", "111", "4701334a3f1ee1f9d7aa574c750cabd06033ec39dba24aa797f2aa8a2b772bdf"),
        ("k2", "09128582812", "36dd3b2af27a73cb57e15596c657254436db2d159325988afedab432f82582c5"),
    ] {
        let row = format!(
            "INSERT INTO idempotency_keys (customer_id, route, idempotency_key, fingerprint, response)
             VALUES (1, 'messages.send', '{key}', '{digest}', '{id}')"
        );
        f.sql().await.execute(&row).await;
        let answer = api.send_with_key(&message(1, &[recipient]), key).await;
        assert!(answer.is_replay(), "{recipient}");
        assert_eq!(answer.accepted(), id);
        let changed = with(&message(1, &[recipient]), "from", json!("BANK"));
        api.send_with_key(&changed, key).await.error(422, "idempotency_mismatch");
    }
    assert_eq!(api.balance(1).await, 100);
}

pub(crate) async fn a_retry_is_told_what_was_charged_then(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    let body =
        json!({"customer_id": 1, "text": "a".repeat(200), "recipients": ["111", "222"], "client_reference": "r"});
    let first = api.send_with_key(&body, "k").await;
    assert_eq!(composed(&first)["price"], json!(2));
    let dearer = f.gateway(&[BY_SEGMENT, ("PRICE_NORMAL", "9")]).await;
    let again = dearer.send_with_key(&body, "k").await;
    assert!(again.is_replay());
    assert_eq!(again.body, first.body);
    for (field, value) in [("client_reference", json!("s")), ("encoding", json!("auto")), ("from", json!("BANK"))] {
        api.send_with_key(&with(&body, field, value), "k").await.error(422, "idempotency_mismatch");
    }
    assert_eq!(api.balance(1).await, 98);
}

pub(crate) async fn one_phone_is_charged_once_however_it_is_written(f: &Fixture) {
    let api = f.gateway(&[("DEFAULT_COUNTRY_CODE", "98")]).await;
    api.fund(1, 100).await;
    let forms = ["+989128582812", "00989128582812", "09128582812", "989128582812", "123"];
    let id = api.send(&message(1, &forms)).await.accepted();
    assert_eq!(api.balance(1).await, 98);
    let found = api.get(format!("/messages/{id}")).await.ok();
    let recipients: Vec<_> = list(&found, "recipients").iter().map(|entry| entry["recipient"].clone()).collect();
    assert_eq!(recipients, [json!("123"), json!("+989128582812")]);
    api.send(&message(1, &["111111", "+1234"])).await.invalid("the one at index 1, counted from 0, does not");
    // What a key stands for is what was sent.
    api.send_with_key(&message(1, &["09128582812"]), "k").await.accepted();
    api.send_with_key(&message(1, &["+989128582812"]), "k").await.error(422, "idempotency_mismatch");
}

pub(crate) async fn senders_may_have_to_be_registered(f: &Fixture) {
    let api = f.gateway(&[("SENDERS", "registered")]).await;
    api.fund(1, 100).await;
    let body = with(&message(1, &["111"]), "from", json!("BANK"));
    api.send(&body).await.invalid("from is not registered for this customer");
    preview(api, &body).await.invalid("from is not registered for this customer");
    api.send(&message(1, &["111"])).await.accepted();
    for (customer, sender) in [(1, "BANK"), (1, "BANK"), (1, "SHOP"), (2, "BANK")] {
        let answer =
            api.call(Request::post("/admin/senders", &json!({"customer_id": customer, "sender": sender}))).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.json()["sender"], json!(sender));
    }
    api.send(&body).await.ok();
    api.send(&with(&body, "from", json!("Bank"))).await.invalid("not registered");
    assert_eq!(list(&api.get("/admin/senders?customer_id=1").await.ok(), "senders").len(), 2);
    assert_eq!(list(&api.get("/admin/senders").await.ok(), "senders").len(), 3);
    let remove = |target: &str| Request::new("DELETE", target);
    for _ in 0..2 {
        let gone = api.call(remove("/admin/senders?customer_id=1&sender=BANK")).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
    }
    let in_body = remove("/admin/senders").header("Content-Type", "application/json");
    let in_body = in_body.body(json!({"customer_id": 1, "sender": "SHOP"}).to_string());
    assert_eq!(api.call(in_body).await.status, 204);
    api.call(remove("/admin/senders?customer_id=1")).await.invalid("sender is missing");
    api.call(remove("/admin/senders?sender=BANK")).await.invalid("customer_id is missing");
    api.call(Request::post("/admin/senders", &json!({"customer_id": 1, "sender": "!"})))
        .await
        .invalid("sender must be 1 to 11");
    api.send(&body).await.invalid("from is not registered for this customer");
}

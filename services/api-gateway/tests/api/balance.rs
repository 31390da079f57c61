//! `GET /balance` and `POST /balance/add`.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    history::{assert_newest_first, rfc3339_utc},
    send::with,
    support::{Fixture, Gateway, Request, list, message},
};

const MAX_TOP_UP: i64 = 1_000_000_000_000;
const MAX_BALANCE: i64 = 1_000_000_000_000_000;

pub(crate) async fn a_customer_never_seen_has_nothing(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for user in [1, 424_242, i64::MAX] {
        assert_eq!(api.account(user).await, json!({"balance": 0, "transactions": [], "next_cursor": null}));
    }
    for target in ["/balance", "/balance?", "/balance?user_id=", "/balance?userid=1"] {
        api.get(target).await.invalid("user_id");
    }
}

pub(crate) async fn a_top_up_answers_with_the_new_balance(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let mut before = 0;
    for (amount, description) in [(100, json!("top-up")), (1, Value::Null), (MAX_TOP_UP, json!("")), (7, json!("😀"))]
    {
        let body = json!({"user_id": 1, "balance": amount, "description": description});
        let answer = api.top_up(&body).await;
        assert!(!answer.is_replay());
        let answer = answer.ok();
        before += amount;
        let transaction = answer["transaction_id"].as_str().expect("an id").to_owned();
        Uuid::parse_str(&transaction).expect("a UUID");
        let expected = json!({"status": "done", "user_id": 1, "balance": before, "transaction_id": transaction});
        assert_eq!(answer, expected);

        let account = api.account(1).await;
        let entry = &account["transactions"][0];
        rfc3339_utc(&entry["created_at"]);
        let expected = json!({
            "transaction_id": transaction, "amount": amount, "transaction_type": "deposit",
            "description": description, "created_at": entry["created_at"],
        });
        assert_eq!((&account["balance"], entry), (&json!(before), &expected));
    }
}

pub(crate) async fn the_account_lists_every_change(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    api.send(&message(1, &["111", "222"])).await.accepted();
    // A refund as a database of the reference holds it.
    let mut sql = f.sql().await;
    sql.execute("UPDATE user_balances SET balance = balance + 1 WHERE user_id = 1").await;
    sql.execute(
        "INSERT INTO user_transactions (user_id, amount, transaction_type, description, transaction_id)
            VALUES (1, 1, 'Corrective', 'refund', 'old-1')",
    )
    .await;
    sql.close().await;
    let account = api.account(1).await;
    assert_eq!((&account["balance"], &account["next_cursor"]), (&json!(9), &Value::Null));
    let entries = account["transactions"].as_array().expect("a list");
    let of = |field: &str| entries.iter().map(|entry| entry[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("transaction_type"), [json!("corrective"), json!("withdrawal"), json!("deposit")]);
    assert_eq!(of("amount"), [json!(1), json!(-2), json!(10)]);
    for entry in entries {
        let fields: Vec<_> = entry.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(fields, ["amount", "created_at", "description", "transaction_id", "transaction_type"]);
    }
}

pub(crate) async fn the_account_is_paged_newest_first(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for amount in 1..=23 {
        api.fund(1, amount).await;
        api.fund(2, 1000 + amount).await;
    }
    for limit in [1, 5, 23, 24, 500] {
        let pages = api.walk(&format!("/balance?user_id=1&limit={limit}"), "transactions").await;
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "only the last page may be short");
        assert!(!pages.last().expect("a page").is_empty(), "no empty page at the end");
        let entries = pages.concat();
        assert_newest_first(&entries);
        let amounts: Vec<_> = entries.iter().map(|entry| entry["amount"].as_i64().expect("a number")).collect();
        assert_eq!(amounts, (1..=23).rev().collect::<Vec<_>>(), "limit {limit}");
    }
    assert_eq!(api.balance(1).await, (1..=23).sum::<i64>());
}

pub(crate) async fn the_default_page_has_a_hundred_entries(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for _ in 0..101 {
        api.fund(1, 1).await;
    }
    let account = api.account(1).await;
    assert_eq!(list(&account, "transactions").len(), 100);
    assert!(account["next_cursor"].is_string());
}

pub(crate) async fn top_ups_are_bounded(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let add = |literal: &str| {
        Request::post_bytes("/balance/add", format!(r#"{{"user_id":1,"balance":{literal},"description":"x"}}"#))
    };
    let wrong = [
        "0",
        "-1",
        "-1000000000000",
        "1000000000001",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "1.5",
        "0.1",
        "1e13",
        "1e-2",
        "1000000000000.5",
        "\"1\"",
        "\"\"",
        "null",
        "true",
        "[1]",
        "{}",
    ];
    for wrong in wrong {
        api.call(add(wrong)).await.invalid("balance");
    }
    let user = |literal: &str| Request::post_bytes("/balance/add", format!(r#"{{"user_id":{literal},"balance":1}}"#));
    for wrong in ["0", "-1", "9223372036854775808", "1.1", "\"1\"", "null", "false", "[]", "{}"] {
        api.call(user(wrong)).await.invalid("user_id");
    }
    api.top_up(&json!({"balance": 1})).await.invalid("user_id");
    api.top_up(&json!({"user_id": 1})).await.invalid("balance");
    assert_eq!(api.account(1).await["transactions"], json!([]));
    for right in ["1", "1000000000000", "1.0", "1e2", "1.00000"] {
        api.call(add(right)).await.ok();
    }
    api.call(user("1.0")).await.ok();
    assert_eq!(api.balance(1).await, MAX_TOP_UP + 104);
}

pub(crate) async fn a_balance_never_passes_its_limit(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 1).await;
    let mut sql = f.sql().await;
    let missing = MAX_BALANCE - 3;
    sql.execute(&format!("UPDATE user_balances SET balance = balance + {missing} WHERE user_id = 1")).await;
    sql.execute(&format!("UPDATE user_transactions SET amount = amount + {missing} WHERE user_id = 1")).await;
    sql.close().await;
    for (amount, right) in [(MAX_TOP_UP, false), (3, false), (2, true), (1, false), (MAX_TOP_UP, false)] {
        let answer = api.top_up(&json!({"user_id": 1, "balance": amount})).await;
        if right {
            assert_eq!(answer.ok()["balance"], json!(MAX_BALANCE));
        } else {
            answer.invalid("balance");
        }
    }
    assert_eq!(api.balance(1).await, MAX_BALANCE);
    assert_eq!(list(&api.account(1).await, "transactions").len(), 2);
    api.send(&message(1, &["111"])).await.accepted();
    assert_eq!(api.balance(1).await, MAX_BALANCE - 1);
}

pub(crate) async fn descriptions_are_texts(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let body = json!({"user_id": 1, "balance": 1});
    for right in
        ["x".repeat(1000), "😀".repeat(1000), "a\u{0}b".to_owned(), "'; DROP TABLE user_balances; --".to_owned()]
    {
        api.top_up(&with(&body, "description", json!(right))).await.ok();
        assert_eq!(api.account(1).await["transactions"][0]["description"], json!(right));
    }
    for wrong in
        [json!("x".repeat(1001)), json!("😀".repeat(1001)), json!(1), json!(true), json!([]), json!({"a": "b"})]
    {
        api.top_up(&with(&body, "description", wrong)).await.invalid("description");
    }
    assert_eq!(api.balance(1).await, 4);
}

pub(crate) async fn first_top_ups_at_once_all_count(f: &Fixture) {
    let gateways: [Gateway; 2] = [f.gateway(&[]).await, f.gateway(&[]).await];
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let api = gateways[number % 2];
        calls.spawn(async move {
            let request = Request::post("/balance/add", &json!({"user_id": 1, "balance": 5})).key(number.to_string());
            api.call_until_available(request).await.ok()["balance"].as_i64().expect("a number")
        });
    }
    let mut balances = calls.join_all().await;
    balances.sort_unstable();
    assert_eq!(balances, (1..=20).map(|count| count * 5).collect::<Vec<_>>(), "each saw a balance of its own");
    assert_eq!(gateways[0].balance(1).await, 100);
}

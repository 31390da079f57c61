//! Many requests at once: not one message beyond the balance, not one credit lost.

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    send::with,
    support::{Fixture, Gateway, Request, count, list, message},
};

pub(crate) async fn exactly_what_the_balance_covers_is_accepted(f: &Fixture) {
    const CREDITS: i64 = 73;
    let api = f.gateway(&[]).await;
    api.fund(1, CREDITS).await;
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let request = Request::post("/messages/send", &message(1, &["111"])).key(format!("n{number}"));
        calls.spawn(async move { api.call_until_available(request).await });
    }
    let answers = calls.join_all().await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    let mut identifiers: Vec<_> = accepted.iter().map(|answer| answer.accepted()).collect();
    identifiers.sort();
    identifiers.dedup();
    assert_eq!(count(&identifiers), CREDITS);
    assert_eq!(count(&accepted), CREDITS);
    for answer in refused {
        answer.error(402, "insufficient_balance");
    }
    assert_eq!(api.balance(1).await, 0);
    let history = api.history("user_id=1&limit=500").await;
    assert_eq!(count(list(&history, "history")), CREDITS);
}

pub(crate) async fn two_gateways_share_the_balances(f: &Fixture) {
    const CUSTOMERS: [i64; 4] = [1, 2, 3, 4];
    let gateways: [Gateway; 2] = [f.gateway(&[]).await, f.gateway(&[]).await];
    for customer in CUSTOMERS {
        gateways[0].fund(customer, 20).await;
    }
    let mut calls = JoinSet::new();
    for number in 0..240 {
        let (api, customer) = (gateways[number / 4 % 2], number % 4);
        let recipients = if number % 3 == 0 { &["111", "222"][..] } else { &["111"] };
        let kind = if number % 5 == 0 { "express" } else { "normal" };
        let body =
            with(&with(&message(CUSTOMERS[customer], &[]), "recipients", json!(recipients)), "type", json!(kind));
        let price = if kind == "express" { 3 } else { 1 } * count(recipients);
        let request = Request::post("/messages/send", &body).key(format!("n{number}"));
        calls.spawn(async move {
            let answer = api.call_until_available(request).await;
            if answer.status == 200 {
                answer.accepted();
                return (customer, price);
            }
            answer.error(402, "insufficient_balance");
            (customer, 0)
        });
    }
    // Top-ups in between.
    for number in 0..20 {
        let api = gateways[number % 2];
        let request = Request::post("/balance/add", &json!({"user_id": CUSTOMERS[number % 4], "balance": 2}));
        let request = request.key(format!("t{number}"));
        calls.spawn(async move {
            api.call_until_available(request).await.ok();
            (0, 0)
        });
    }
    let mut spent = [0; CUSTOMERS.len()];
    for (customer, price) in calls.join_all().await {
        spent[customer] += price;
    }
    for (customer, spent) in CUSTOMERS.into_iter().zip(spent) {
        let balance = gateways[1].balance(customer).await;
        assert!(balance >= 0);
        assert_eq!(balance + spent, 20 + 5 * 2, "customer {customer}");
    }
}

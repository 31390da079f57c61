//! Thousands of odd requests, the same ones each time: each gets the answer that the contract's rules, written down
//! here once more, ask for, and none gets a 5xx.

use domain::invisible::is_invisible;
use proptest::{
    prelude::*,
    strategy::{BoxedStrategy, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Map, Number, Value, json};

use crate::{
    bounds::{conforms, resolve},
    support::{Answer, Connection, Fixture, Gateway, Request, routes::taking_bodies},
};

/// Values one after the other, from a fixed seed.
struct Source<T: std::fmt::Debug> {
    runner: TestRunner,
    strategy: BoxedStrategy<T>,
}

impl<T: std::fmt::Debug> Source<T> {
    fn new(strategy: impl Strategy<Value = T> + 'static) -> Self {
        Self { runner: TestRunner::deterministic(), strategy: strategy.boxed() }
    }

    fn next(&mut self) -> T {
        self.strategy.new_tree(&mut self.runner).expect("a value").current()
    }
}

/// A client that keeps its connection until the gateway closes it.
struct Client {
    api: Gateway,
    connection: Connection,
}

impl Client {
    async fn new(api: Gateway) -> Self {
        Self { api, connection: Connection::open(api.address).await }
    }

    async fn call(&mut self, request: &Request) -> Answer {
        match self.connection.exchange_bytes(&request.bytes(), false).await {
            Some(answer) if !answer.is_unavailable() => answer,
            _ => {
                self.connection = Connection::open(self.api.address).await;
                self.api.call(request.clone()).await
            }
        }
    }
}

#[track_caller]
fn assert_accepted_or_invalid(answer: &Answer, is_right: bool, request: &Request) {
    if answer.status == 200 {
        assert!(is_right, "taken: {request:?}");
    } else {
        assert!(!is_right, "refused: {request:?}: {}", answer.text());
        answer.error(400, "invalid_input");
    }
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        any::<String>().prop_map(Value::String),
        "[ -~]{0,12}".prop_map(Value::String),
    ];
    let nested = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    });
    nested.boxed()
}

fn recipient() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => r"\+?[0-9]{3,15}".prop_map(Value::String),
        1 => r"[+0-9 a-]{0,18}".prop_map(Value::String),
        1 => any_json(),
    ]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => any::<String>().prop_map(Value::String),
        1 => r"\s{0,4}".prop_map(Value::String),
        1 => (1595_usize..1605, any::<char>()).prop_map(|(count, character)| json!(character.to_string().repeat(count))),
        1 => any_json(),
    ]
}

/// A member of a request: right, wrong in its own way, anything at all, or missing.
fn member(own: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![20 => own.prop_map(Some), 2 => any_json().prop_map(Some), 1 => Just(None)].boxed()
}

fn object(members: [(&'static str, BoxedStrategy<Option<Value>>); 5]) -> BoxedStrategy<Value> {
    let members = members.map(|(name, value)| value.prop_map(move |value| Some((name.to_owned(), value?))).boxed());
    let present = |members: Vec<Option<(String, Value)>>| members.into_iter().flatten().collect::<Map<_, _>>();
    members.to_vec().prop_map(move |members| Value::Object(present(members))).boxed()
}

fn identifier() -> impl Strategy<Value = Value> {
    prop_oneof![8 => Just(json!(1)), 1 => any::<i64>().prop_map(Value::from), 1 => (-2..2).prop_map(Value::from)]
}

fn is_positive(value: &Value, most: i64) -> bool {
    value.as_i64().is_some_and(|number| (1..=most).contains(&number))
}

/// The contract's rules for a message, as a reader of it might check them.
fn is_message(body: &Value) -> bool {
    let characters =
        body["text"].as_str().map_or(0, |text| if text.chars().all(is_invisible) { 0 } else { text.chars().count() });
    let is_number = |recipient: &Value| {
        recipient.as_str().is_some_and(|number| {
            let digits = number.strip_prefix('+').unwrap_or(number);
            (3..=15).contains(&digits.chars().count()) && digits.chars().all(|digit| digit.is_ascii_digit())
        })
    };
    is_positive(&body["customer_id"], i64::MAX)
        && (1..=1600).contains(&characters)
        && body["recipients"].as_array().is_some_and(|all| (1..=1000).contains(&all.len()) && all.iter().all(is_number))
        && (body["type"].is_null() || body["type"] == "normal" || body["type"] == "express")
}

fn is_top_up(body: &Value) -> bool {
    let description_fits = match &body["description"] {
        Value::Null => true,
        Value::String(text) => text.chars().count() <= 1000,
        _ => false,
    };
    is_positive(&body["user_id"], i64::MAX) && is_positive(&body["balance"], 1_000_000_000_000) && description_fits
}

pub(crate) async fn any_message_is_accepted_or_refused_by_the_rules(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 1_000_000).await;
    let document = api.get("/openapi.json").await.ok();
    let told = resolve(&document, &document["components"]["schemas"]["SendRequest"]);
    let mut client = Client::new(api).await;
    let recipients = prop::collection::vec(recipient(), 0..4).prop_map(Value::Array);
    let kind =
        prop_oneof![4 => Just(json!("normal")), 4 => Just(json!("express")), 1 => "[a-z]{0,7}".prop_map(Value::String)];
    let mut bodies = Source::new(object([
        ("customer_id", member(identifier())),
        ("text", member(text())),
        ("recipients", member(recipients)),
        ("type", member(kind)),
        ("x", member(any_json())),
    ]));
    let mut right = 0;
    for _ in 0..1_500 {
        let body = bodies.next();
        let request = Request::post("/messages/send", &body);
        assert_eq!(conforms(told, &body), is_message(&body), "the document has other rules: {body}");
        let answer = client.call(&request).await;
        if answer.status == 402 {
            // All is right but the balance: nobody but customer 1 has one.
            assert!(is_message(&body) && body["customer_id"] != json!(1), "{body}");
        } else {
            assert_accepted_or_invalid(&answer, is_message(&body), &request);
            right += usize::from(answer.status == 200);
        }
    }
    assert!((200..1_300).contains(&right), "the bodies are too one-sided: {right} are right");
}

pub(crate) async fn any_top_up_is_accepted_or_refused_by_the_rules(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let document = api.get("/openapi.json").await.ok();
    let told = resolve(&document, &document["components"]["schemas"]["AddBalanceRequest"]);
    let mut client = Client::new(api).await;
    let amount = prop_oneof![
        8 => (1_i64..1_000).prop_map(Value::from),
        1 => (999_999_999_999_i64..1_000_000_000_002).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
    ];
    let description = prop_oneof![4 => any::<String>().prop_map(Value::String), 1 => Just(Value::Null)];
    let mut bodies = Source::new(object([
        ("user_id", member(identifier())),
        ("balance", member(amount)),
        ("description", member(description)),
        ("type", member(any_json())),
        ("x", member(any_json())),
    ]));
    let mut right = 0;
    for _ in 0..1_000 {
        let body = bodies.next();
        let request = Request::post("/balance/add", &body);
        assert_eq!(conforms(told, &body), is_top_up(&body), "the document has other rules: {body}");
        let answer = client.call(&request).await;
        assert_accepted_or_invalid(&answer, is_top_up(&body), &request);
        right += usize::from(answer.status == 200);
    }
    assert!((200..900).contains(&right), "the bodies are too one-sided: {right} are right");
}

pub(crate) async fn any_json_and_any_bytes_are_answered(f: &Fixture) {
    let mut client = Client::new(f.gateway(&[]).await).await;
    let bytes = prop_oneof![
        2 => any_json().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 1..200),
        1 => r#"[\[\]{}",:0-9.eE+\-truefalsn\\ ]{1,60}"#.prop_map(String::into_bytes),
    ];
    let mut bodies = Source::new(bytes);
    let routes = taking_bodies();
    for number in 0..1_500 {
        let request = Request::post_bytes(&routes[number % routes.len()], bodies.next());
        client.call(&request).await.error(400, "invalid_input");
    }
}

pub(crate) async fn any_query_is_answered(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    let mut client = Client::new(api).await;
    let name = prop_oneof![
        8 => prop::sample::select(vec!["user_id", "status", "message_identifier", "limit", "cursor"]).prop_map(str::to_owned),
        1 => "[a-z%0-9=&;]{0,8}",
    ];
    let value = prop_oneof![
        3 => "[0-9]{1,20}",
        2 => "(pending|sending|done|failed)",
        2 => "-?[0-9a-f]{1,17}-[0-9a-f]{1,17}",
        2 => "[!$-;=?-~]{0,20}", // what a target may hold
        2 => "(%[0-9a-f]{2}){0,30}",
    ];
    let mut queries = Source::new(prop::collection::vec((name, value), 0..5));
    for number in 0..2_000 {
        let pairs: Vec<_> = queries.next().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = ["/messages/history", "/balance"][number % 2];
        let request = Request::get(format!("{path}?{}", pairs.join("&")));
        let answer = client.call(&request).await;
        match answer.status {
            200 => drop(answer.json()),
            _ => drop(answer.error(400, "invalid_input")),
        }
    }
}

pub(crate) async fn any_header_is_answered(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100_000).await;
    let mut client = Client::new(api).await;
    let name = prop::sample::select(vec![
        "Idempotency-Key",
        "Content-Type",
        "Accept",
        "Accept-Encoding",
        "Content-Encoding",
        "Authorization",
        "Cookie",
        "Origin",
        "Host",
        "X-Forwarded-For",
        "traceparent",
        "tracestate",
        "baggage",
        "If-None-Match",
        "Range",
    ]);
    // What a header may hold: no control characters but the tab.
    let byte = prop_oneof![8 => 0x20_u8..0x7f, 1 => 0x80_u8..=0xff, 1 => Just(b'\t')];
    let value = prop_oneof![
        4 => prop::collection::vec(byte, 0..60),
        1 => "00-[0-9a-f]{30,34}-[0-9a-f]{14,18}-[0-9a-f]{2}".prop_map(String::into_bytes),
        1 => "(gzip|br|identity|deflate|text/html|bytes=0-)".prop_map(String::into_bytes),
        1 => (200_usize..300).prop_map(|length| vec![b'k'; length]),
    ];
    let mut headers = Source::new(prop::collection::vec((name, value), 1..6));
    let body = json!({"customer_id": 1, "text": "hi", "recipients": ["111"], "user_id": 1, "balance": 1}).to_string();
    for number in 0..1_500 {
        let target = ["/messages/send", "/balance/add", "/balance?user_id=1", "/messages/history?user_id=1&limit=1"];
        let target = target[number % target.len()];
        let base = if target.contains('?') { Request::get(target) } else { Request::post_bytes(target, body.clone()) };
        let request = headers.next().into_iter().fold(base, |request, (name, value)| request.header(name, value));
        let answer = client.call(&request).await;
        match answer.status {
            200 => drop(answer.json()),
            400 if answer.body.is_empty() => {} // HTTP itself was broken, such as a second Host
            400 => drop(answer.error(400, "invalid_input")),
            401 => drop(answer.error(401, "unauthorized")), // an Authorization that is no key
            415 => drop(answer.error(415, "unsupported_media_type")),
            422 => drop(answer.error(422, "idempotency_mismatch")),
            other => panic!("{other} for {request:?}"),
        }
    }
}

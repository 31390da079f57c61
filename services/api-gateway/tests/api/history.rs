//! `GET /messages/history`: shape, filters, pages.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    send::with,
    support::{Fixture, Gateway, list, message, numbers},
};

#[expect(clippy::disallowed_methods, reason = "the database's clock is compared with this machine's")]
pub(crate) async fn an_entry_tells_all_about_a_recipient(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(7, 10).await;
    assert_eq!(api.history("user_id=7").await, json!({"history": [], "next_cursor": null}));
    let before = Utc::now();
    let identifier = api.send(&with(&message(7, &["+49123"]), "type", json!("express"))).await.accepted();
    let answer = api.history("user_id=7").await;
    let entry = &answer["history"][0];
    for field in ["created_at", "updated_at"] {
        // The database's clock is this machine's, or close to it.
        let distance = (rfc3339_utc(&entry[field]) - before).abs();
        assert!(distance < TimeDelta::minutes(10), "{entry}");
    }
    let expected = json!({
        "history": [{
            "user_id": 7, "type": "express", "status": "pending", "recipient": "+49123", "provider": "",
            "message_identifier": identifier, "created_at": entry["created_at"], "updated_at": entry["updated_at"],
        }],
        "next_cursor": null,
    });
    assert_eq!(answer, expected);
}

pub(crate) async fn filters_narrow_the_list(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 10).await;
    api.fund(2, 10).await;
    let first = api.send(&message(1, &["111", "222", "333", "444"])).await.accepted();
    let second = api.send(&message(1, &["111"])).await.accepted();
    let other = api.send(&message(2, &["555"])).await.accepted();
    let mut sql = f.sql().await;
    for (recipient, status) in [("222", "sending"), ("333", "done"), ("444", "failed")] {
        sql.execute(&format!(
            "UPDATE message_status SET status = '{status}', provider = 'operatorA' WHERE recipient = '{recipient}'"
        ))
        .await;
    }
    sql.close().await;
    for (query, expected) in [
        ("", 6),
        ("user_id=1", 5),
        ("user_id=2", 1),
        ("user_id=3", 0),
        ("status=pending", 3),
        ("status=done", 1),
        ("user_id=1&status=pending", 2),
        ("user_id=1&status=sending", 1),
        ("user_id=1&status=failed", 1),
        ("user_id=2&status=done", 0),
        (&format!("message_identifier={first}"), 4),
        (&format!("user_id=1&message_identifier={second}"), 1),
        (&format!("user_id=1&status=pending&message_identifier={first}"), 1),
        (&format!("user_id=1&message_identifier={other}"), 0),
        ("message_identifier=88636fb2-dd01-42a4-a718-1fe200683a45", 0),
        // Empty ones and unknown ones do not narrow.
        ("user_id=&status=&message_identifier=&limit=&cursor=", 6),
        ("user_id=1&recipient=111&x", 5),
    ] {
        let answer = api.history(query).await;
        assert_eq!(list(&answer, "history").len(), expected, "{query}: {answer}");
        assert_eq!(answer["next_cursor"], Value::Null, "{query}");
    }
    let failed = api.history("status=failed").await;
    assert_eq!(
        (&failed["history"][0]["provider"], &failed["history"][0]["status"]),
        (&json!("operatorA"), &json!("failed"))
    );
}

pub(crate) async fn wrong_filters_are_refused(f: &Fixture) {
    let api = f.gateway(&[]).await;
    for status in ["PENDING", "Done", "processing", "queued", "pending%20", "pending,done", "%00", "1"] {
        api.get(format!("/messages/history?status={status}")).await.invalid("status");
    }
    for user in ["0", "-1", "x", "1.5", "1e-3", "0x1", "9223372036854775808", "1%20", "%D9%A1", "1,2", "null"] {
        api.get(format!("/messages/history?user_id={user}")).await.invalid("user_id");
        api.get(format!("/balance?user_id={user}")).await.invalid("user_id");
    }
    for identifier in ["a%20b", "%C3%A9", "%00", &"x".repeat(51), &"x".repeat(5000), "%FF"] {
        api.get(format!("/messages/history?message_identifier={identifier}")).await.invalid("message_identifier");
    }
    for target in ["/messages/history?", "/balance?user_id=1&"] {
        for limit in ["0", "501", "-1", "x", "1.1", "1e3", "18446744073709551616", "%20", "1%201"] {
            api.get(format!("{target}limit={limit}")).await.invalid("limit");
        }
        for cursor in [
            "x",
            "-",
            "--",
            "1",
            "1-",
            "-1",
            "0-",
            "zz-1",
            "1-zz",
            "1-2-3",
            "%00",
            "%F0%9F%98%80",
            "7fffffffffffffff-1",
            "ffffffffffffffff-1",
            "1-ffffffffffffffff",
            &"1".repeat(5000),
        ] {
            api.get(format!("{target}cursor={cursor}")).await.invalid("cursor");
        }
    }
}

pub(crate) async fn pages_are_as_long_as_asked(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 1000).await;
    api.send(&with(&message(1, &[]), "recipients", json!(numbers(600)))).await.accepted();
    for (limit, expected) in [("", 100), ("&limit=1", 1), ("&limit=100", 100), ("&limit=499", 499), ("&limit=500", 500)]
    {
        let page = api.history(&format!("user_id=1{limit}")).await;
        assert_eq!(list(&page, "history").len(), expected, "{limit:?}");
        assert!(page["next_cursor"].is_string(), "{limit:?}");
    }
    let pages = api.walk("/messages/history?user_id=1&limit=300", "history").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [300, 300], "no empty page at the end");
}

pub(crate) async fn pages_follow_each_other_newest_first(f: &Fixture) {
    let api = f.gateway(&[]).await;
    let mut sent = Vec::new();
    for round in 0..9 {
        for customer in [1, 2] {
            if round == 0 {
                api.fund(customer, 100).await;
            }
            let identifier = api.send(&message(customer, &["111", "222", "333"])).await.accepted();
            sent.push((customer, identifier));
        }
    }
    sent.reverse();
    let newest_first = |customer: Option<i64>| -> Vec<String> {
        let mine = sent.iter().filter(|(of, _)| customer.is_none_or(|customer| customer == *of));
        mine.flat_map(|(_, identifier)| std::iter::repeat_n(identifier.clone(), 3)).collect()
    };
    for (query, customer) in
        [("user_id=1", Some(1)), ("user_id=2&status=pending", Some(2)), ("status=pending", None), ("", None)]
    {
        for limit in [4, 27, 500] {
            let pages = api.walk(&format!("/messages/history?{query}&limit={limit}"), "history").await;
            assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "{query}: only the last may be short");
            let entries = pages.concat();
            assert_newest_first(&entries);
            let identifiers: Vec<_> =
                entries.iter().map(|entry| entry["message_identifier"].as_str().expect("an id")).collect();
            assert_eq!(identifiers, newest_first(customer), "{query} limit {limit}");
            let mut seen: Vec<_> =
                entries.iter().map(|entry| format!("{}{}", entry["message_identifier"], entry["recipient"])).collect();
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), entries.len(), "{query}: an entry came twice");
        }
    }
}

pub(crate) async fn what_comes_meanwhile_does_not_shift_the_pages(f: &Fixture) {
    let api = f.gateway(&[]).await;
    api.fund(1, 100).await;
    for _ in 0..6 {
        api.send(&message(1, &["111"])).await.accepted();
    }
    for (target, entries) in [("/messages/history?user_id=1", "history"), ("/balance?user_id=1", "transactions")] {
        let all = api.walk(&format!("{target}&limit=500"), entries).await.concat();
        let first = api.get(format!("{target}&limit=4")).await.ok();
        api.send(&message(1, &["999"])).await.accepted();
        let cursor = first["next_cursor"].as_str().expect("there is more");
        let rest = api.get(format!("{target}&limit=500&cursor={cursor}")).await.ok();
        let mut walked = list(&first, entries).to_vec();
        walked.extend(list(&rest, entries).to_vec());
        assert_eq!(walked, all);
    }
}

pub(crate) async fn a_repeated_parameter_is_refused(f: &Fixture) {
    let api: Gateway = f.gateway(&[]).await;
    for target in ["/messages/history", "/balance"] {
        for query in [
            "user_id=1&user_id=2",
            "user_id=1&user_id=1",
            "user_id=1&user%5fid=2",
            "user_id=1&limit=1&limit=2",
            "user_id=1&limit=1&limit=x",
            "user_id=1&cursor=&cursor=",
            "user_id=1&user_id=",
            "user_id=1&user_id",
            "user_id=1&x=1&x=2",
        ] {
            api.get(format!("{target}?{query}")).await.invalid("more than once");
        }
        for query in [
            "user_id=1&x=user_id",
            "user_id=1&User_id=2",
            "user_id=1&x=1&y=1",
            "user_id=1.0",
            "user_id=007",
            "user_id=1&limit=5.0",
        ] {
            api.get(format!("{target}?{query}")).await.ok();
        }
        for query in [
            "user_id=1.5",
            "user_id=1.",
            "user_id=.1e1",
            "user_id=0x1",
            "user_id=1e19",
            "user_id=1&limit=0.5",
            "user_id=1&limit=1e9",
        ] {
            api.get(format!("{target}?{query}")).await.error(400, "invalid_input");
        }
    }
}

pub(crate) async fn odd_queries_are_answered(f: &Fixture) {
    let api: Gateway = f.gateway(&[]).await;
    for target in ["/messages/history", "/balance"] {
        for query in [
            "?",
            "?&",
            "?=",
            "?&&=&",
            "?%",
            "?%zz=1",
            "?user_id=1;status=done",
            "?user_id[]=1",
            "?user_id=1#x",
            "?a=b=c",
            "?+",
            "?status=%e2%28%a1",
        ] {
            let answer = api.get(format!("{target}{query}")).await;
            match answer.status {
                200 => drop(answer.json()),
                _ => drop(answer.error(400, "invalid_input")),
            }
        }
    }
}

#[track_caller]
pub(crate) fn assert_newest_first(entries: &[Value]) {
    let times: Vec<_> = entries.iter().map(|entry| rfc3339_utc(&entry["created_at"])).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
}

/// Reads a time that must be RFC 3339 in UTC.
#[track_caller]
pub(crate) fn rfc3339_utc(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("not a time: {value}"));
    assert!(text.ends_with('Z') && text.as_bytes()[10] == b'T', "{text}");
    DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_utc()
}

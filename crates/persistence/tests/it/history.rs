//! Listing messages.

use domain::{MessageStatus, MessageType};
use persistence::{HistoryFilter, Outcome, Reader, Settlement, Stored};

use crate::support::{Fixture, customer, message_id, request, typed_request};

pub(crate) async fn filters_narrow_the_list(f: &Fixture) {
    f.fund(1, 100).await;
    f.fund(2, 100).await;
    let first = typed_request(1, &["111", "222"], MessageType::Express, "hi");
    let second = request(1, &["333"]);
    for sent in [&first, &second, &request(2, &["444"])] {
        f.accept_one(sent.clone()).await;
    }
    let claimed = f.begin(&second).await;
    let outcome = Outcome::Done { provider: "operatorA".to_owned() };
    f.db.settle(&[Settlement::new(&claimed[0], outcome)]).await.expect("settles");

    let list = async |filter: HistoryFilter| {
        let page = f.db.history(&filter, 100).await.expect("reads");
        page.entries.into_iter().map(|entry| entry.recipient.to_string()).collect::<Vec<_>>()
    };
    let of = |user| HistoryFilter::of(Reader::Customer(customer(user)));
    assert_eq!(list(HistoryFilter::of(Reader::Staff)).await, ["444", "333", "222", "111"]);
    assert_eq!(list(of(1)).await, ["333", "222", "111"]);
    assert_eq!(list(of(3)).await, [] as [&str; 0]);
    let done = Some(MessageStatus::Done);
    assert_eq!(list(HistoryFilter { status: done, ..HistoryFilter::of(Reader::Staff) }).await, ["333"]);
    assert_eq!(list(HistoryFilter { status: done, ..of(2) }).await, [] as [&str; 0]);
    let message = Some(message_id(&first).clone());
    assert_eq!(
        list(HistoryFilter { message_id: message.clone(), ..HistoryFilter::of(Reader::Staff) }).await,
        ["222", "111"]
    );
    assert_eq!(list(HistoryFilter { message_id: message, ..of(2) }).await, [] as [&str; 0]);

    let page = f.db.history(&HistoryFilter { status: done, ..of(1) }, 1).await.expect("reads");
    let entry = &page.entries[0];
    assert_eq!(entry.provider, "operatorA");
    assert_eq!(
        (&entry.kind, &entry.status),
        (&Stored::Known(MessageType::Normal), &Stored::Known(MessageStatus::Done))
    );
    assert!(entry.updated_at >= entry.created_at);
}

pub(crate) async fn pages_follow_each_other_without_gaps(f: &Fixture) {
    f.fund(1, 100).await;
    for n in 0..9 {
        f.accept_one(request(1, &[&format!("10{n}")])).await;
    }
    // Rows of the same instant, as the whole seconds of the reference have: the id decides.
    f.execute("UPDATE message_status SET created_at = '2026-01-01 00:00:00.000' WHERE recipient < '106'").await;
    let expected = ["108", "107", "106", "105", "104", "103", "102", "101", "100"];
    for user in [Some(customer(1)), None] {
        let mut filter = HistoryFilter::of(reader(user));
        let mut seen = Vec::new();
        loop {
            let page = f.db.history(&filter, 2).await.expect("reads");
            seen.extend(page.entries.into_iter().map(|entry| entry.recipient.to_string()));
            filter.cursor = page.next;
            if filter.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "customer {user:?}");
    }
}

/// Rows of a state that lie far behind others are found by going on, though no page looks at all of these.
pub(crate) async fn a_rare_state_is_found_page_by_page(f: &Fixture) {
    let rows = |from: usize, status: &str| {
        let row = |n| format!("(1, '{status}', 'normal', '{n}', 'm')");
        let rows: Vec<_> = (from..from + 1_000).map(row).collect();
        format!(
            "INSERT INTO message_status (user_id, status, type, recipient, message_identifier) VALUES {}",
            rows.join(",")
        )
    };
    f.execute("INSERT INTO message_status (user_id, status, type, recipient, message_identifier) VALUES (1, 'failed', 'normal', 'x', 'm')").await;
    for thousand in 0..11 {
        f.execute(&rows(thousand * 1_000, "done")).await;
    }
    for user in [Some(customer(1)), None] {
        let status = Some(domain::MessageStatus::Failed);
        let mut filter = HistoryFilter { status, ..HistoryFilter::of(reader(user)) };
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = f.db.history(&filter, 10).await.expect("reads");
            found.extend(page.entries.into_iter().map(|entry| entry.recipient.to_string()));
            pages += 1;
            filter.cursor = page.next;
            if filter.cursor.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (vec!["x".to_owned()], 3), "customer {user:?}");
        let full = HistoryFilter { status: Some(domain::MessageStatus::Done), cursor: None, ..filter };
        let page = f.db.history(&full, 10).await.expect("reads");
        assert_eq!(page.entries.len(), 10);
        let last = page.entries[9].recipient.to_string();
        let next = f.db.history(&HistoryFilter { cursor: page.next, ..full }, 1).await.expect("reads");
        assert_ne!(next.entries[0].recipient.to_string(), last);
    }
}

fn reader(user: Option<domain::CustomerId>) -> Reader {
    user.map_or(Reader::Staff, Reader::Customer)
}

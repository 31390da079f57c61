//! Listing messages.

use domain::{MessageStatus, MessageType};
use persistence::{HistoryFilter, Outcome, Settlement, Stored};

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
    let of = |user| HistoryFilter { customer: Some(customer(user)), ..Default::default() };
    assert_eq!(list(HistoryFilter::default()).await, ["444", "333", "222", "111"]);
    assert_eq!(list(of(1)).await, ["333", "222", "111"]);
    assert_eq!(list(of(3)).await, [] as [&str; 0]);
    let done = Some(MessageStatus::Done);
    assert_eq!(list(HistoryFilter { status: done, ..Default::default() }).await, ["333"]);
    assert_eq!(list(HistoryFilter { status: done, ..of(2) }).await, [] as [&str; 0]);
    let message = Some(message_id(&first).clone());
    assert_eq!(list(HistoryFilter { message_id: message.clone(), ..Default::default() }).await, ["222", "111"]);
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
        let mut filter = HistoryFilter { customer: user, ..Default::default() };
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

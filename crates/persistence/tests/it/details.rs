//! What is kept of a message beyond its text, what operators call it, and refunds of what segments cost.

use domain::{ClientReference, Encoding, Money, Quote, SegmentCount, Sender};
use persistence::{AcceptRequest, OperatorMessage, Outcome, Reader, Settlement};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::support::{Fixture, called, customer, message_id, request};

fn done() -> Outcome {
    Outcome::Done { provider: "operatorA".to_owned() }
}

/// A message whose request said more, at so many credits for each recipient.
fn detailed(recipients: &[&str], price: i64, segments: usize) -> AcceptRequest {
    let mut detailed = request(1, recipients);
    let message = &mut detailed.payload.message;
    message.from = Some(Sender::parse("BANK".to_owned()).expect("a sender"));
    message.encoding = Some(Encoding::Ucs2);
    detailed.quote = Quote::flat(Money::new(price).expect("positive"), &message.recipients);
    detailed.segments = Some(SegmentCount::new(segments, 255).expect("few"));
    detailed.client_reference = Some(ClientReference::parse("order-1".to_owned()).expect("a reference"));
    detailed
}

pub(crate) async fn what_an_operator_calls_a_message_is_kept_with_its_outcome(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = request(1, &["111", "222", "333", "444"]);
    f.accept_one(sent.clone()).await;
    let claimed = f.begin(&sent).await;
    let settlement = |place: usize, outcome, id: &str| Settlement::new(&claimed[place], outcome).called(called(id));
    let failed = Outcome::Failed { provider: "operatorA".to_owned() };
    let settlements = [settlement(0, done(), "X-007"), settlement(1, done(), ""), settlement(2, failed, "x-9")];
    assert_eq!(f.db.settle(&settlements).await.expect("settles"), [true; 3]);
    // What is settled again was somebody else's by then: its id is not kept twice.
    assert_eq!(f.db.settle(&settlements[..1]).await.expect("settles"), [false]);
    f.expire_leases().await;
    let found = f.db.message(Reader::Staff, message_id(&sent), None, 10).await.expect("reads").expect("is there");
    let called: Vec<_> = found.recipients.entries.into_iter().rev().map(|entry| entry.operator_messages).collect();
    let kept = OperatorMessage { operator: "operatorA".to_owned(), provider_message_id: "X-007".to_owned() };
    assert_eq!(called, [vec![kept], vec![], vec![], vec![]]);
    assert_eq!(f.strings("SELECT provider_id FROM operator_messages").await, ["x-007"], "as it is compared");
    assert_eq!(f.db.purge_operator_messages().await.expect("purges"), 0, "it is new");
    f.execute("UPDATE operator_messages SET created_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.db.purge_operator_messages().await.expect("purges"), 1);
}

/// One of two leases was over, and its new owner has recorded the same end.
pub(crate) async fn a_stale_settlement_keeps_the_ids_of_what_was_its_own(f: &Fixture) {
    f.fund(1, 100).await;
    let (stolen, own) = (request(1, &["111"]), request(1, &["222"]));
    for sent in [&stolen, &own] {
        f.accept_one(sent.clone()).await;
    }
    let stale = f.begin(&stolen).await.remove(0);
    f.expire_leases().await;
    let (owner, kept) = (f.begin(&stolen).await.remove(0), f.begin(&own).await.remove(0));
    let settle = async |settlements: &[Settlement]| f.db.settle(settlements).await.expect("settles");
    assert_eq!(settle(&[Settlement::new(&owner, done()).called(called("a2"))]).await, [true]);
    let late = [(&stale, "a1"), (&kept, "b1")].map(|(claim, id)| Settlement::new(claim, done()).called(called(id)));
    assert_eq!(settle(&late).await, [false, true]);
    let ids = "SELECT CONCAT(m.recipient, ' ', o.provider_id) FROM operator_messages o
        JOIN message_status m ON m.id = o.message_row ORDER BY m.recipient";
    assert_eq!(f.strings(ids).await, ["111 a2", "222 b1"]);
}

pub(crate) async fn details_are_stored_where_a_request_has_them(f: &Fixture) {
    f.fund(1, 100).await;
    let batch = [request(1, &["111"]), detailed(&["222", "333"], 6, 3), request(1, &["444"])];
    f.db.accept(&batch).await.expect("accepts");
    assert_eq!(f.number("SELECT COUNT(*) FROM message_details").await, 1);
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE segments = 3 AND price = 6").await, 2);
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE segments IS NULL AND price = 1").await, 2);
    let id = message_id(&batch[1]);
    let read = async |reader| f.db.message(reader, id, None, 10).await.expect("reads");
    let found = read(Reader::Customer(customer(1))).await.expect("its own");
    let details = found.details.expect("it has some");
    assert_eq!(details.sender.map(String::from).as_deref(), Some("BANK"));
    assert_eq!((details.encoding.to_string().as_str(), found.segments, found.price), ("ucs2", Some(3), Some(12)));
    assert_eq!(read(Reader::Customer(customer(2))).await, None, "another's");
    let charged = f.db.charged(Reader::Customer(customer(1)), id).await.expect("reads").expect("its own");
    assert_eq!((charged.price, charged.segments), (12, Some(3)));
    assert_eq!(f.db.charged(Reader::Customer(customer(2)), id).await.expect("reads"), None);
}

pub(crate) async fn a_refund_is_what_that_recipient_cost(f: &Fixture) {
    f.fund(1, 1_000).await;
    let batch = [detailed(&["111", "222"], 15, 3), detailed(&["333"], 255, 255)];
    f.db.accept(&batch).await.expect("accepts");
    assert_eq!(f.balance(1).await, 1_000 - 30 - 255);
    let (first, second) = (f.begin(&batch[0]).await, f.begin(&batch[1]).await);
    let failed = Outcome::Failed { provider: String::new() };
    let settlements = [
        Settlement::new(&first[0], failed.clone()),
        Settlement::new(&first[1], done()),
        Settlement::new(&second[0], failed),
    ];
    for expected in [[true; 3], [false; 3]] {
        assert_eq!(f.db.settle(&settlements).await.expect("settles"), expected);
        assert_eq!(f.balance(1).await, 1_000 - 15);
        f.assert_conserved().await;
    }
}

/// Whatever is sent at whatever price, and whatever becomes of it, told once or twice: what is gone is what was accepted.
pub(crate) async fn whatever_fails_money_is_conserved(f: &Fixture) {
    const CREDITS: i64 = 1_000_000;
    f.fund(1, CREDITS).await;
    let message = (1_usize..6, 1_i64..20, 1_usize..=255, prop::collection::vec(any::<bool>(), 5), any::<bool>());
    let mut runner = TestRunner::deterministic();
    let (mut spent, numbers) = (0, ["111", "222", "333", "444", "555"]);
    for _ in 0..24 {
        let (count, price, segments, accepts, twice) = message.new_tree(&mut runner).expect("a value").current();
        let price = price * i64::try_from(segments).expect("few");
        let sent = detailed(&numbers[..count], price, segments);
        f.accept_one(sent.clone()).await;
        let claimed = f.begin(&sent).await;
        let outcome = |accepts: bool| if accepts { done() } else { Outcome::Failed { provider: String::new() } };
        let settlements: Vec<_> =
            claimed.iter().zip(&accepts).map(|(claim, accepts)| Settlement::new(claim, outcome(*accepts))).collect();
        for _ in 0..=i32::from(twice) {
            f.db.settle(&settlements).await.expect("settles");
        }
        spent += price * i64::try_from(accepts[..count].iter().filter(|accepts| **accepts).count()).expect("few");
        assert_eq!(f.balance(1).await, CREDITS - spent);
        f.assert_conserved().await;
    }
}

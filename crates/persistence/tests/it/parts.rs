//! Messages in parts: what operators call each, and receipts of each.

use domain::{Part, ProviderMessageId};
use persistence::{AcceptRequest, Called, Outcome, Reader, Settlement};

use crate::{
    receipts::{NUMBER, OPERATOR, receipt},
    support::{Fixture, called, message_id, request},
};

/// What an operator calls the parts of a message; nothing of a part without an id.
pub(crate) fn parts(ids: &[&str]) -> Vec<Called> {
    let of = u8::try_from(ids.len()).expect("few");
    let called = |(id, number)| {
        let part = Part::new(number, of).expect("one of them");
        ProviderMessageId::parse(id).map(|id| Called { id, reports: true, part })
    };
    ids.iter().copied().zip(1..).filter_map(called).collect()
}

fn done() -> Outcome {
    Outcome::Done { provider: OPERATOR.to_owned() }
}

/// All orders of these.
fn orders<const N: usize>(of: [usize; N]) -> Vec<Vec<usize>> {
    of.into_iter().fold(vec![Vec::new()], |orders: Vec<Vec<usize>>, one| {
        let with_one = |order: Vec<usize>| {
            (0..=order.len()).map(move |place| [&order[..place], &[one], &order[place..]].concat()).collect::<Vec<_>>()
        };
        orders.into_iter().flat_map(with_one).collect()
    })
}

impl Fixture {
    /// A message whose parts an operator took under these ids.
    async fn taken_in_parts(&self, ids: &[&str]) -> AcceptRequest {
        let (sent, claimed) = self.sending(NUMBER).await;
        let settlement = Settlement::new(&claimed, done()).called(parts(ids));
        assert_eq!(self.db.settle(&[settlement]).await.expect("settles"), [true]);
        sent
    }

    /// As if no receipt that is waited for had come in time.
    async fn give_up(&self) {
        let due =
            "UPDATE operator_messages SET receipt_due_at = '2020-01-01 00:00:00' WHERE receipt_due_at IS NOT NULL";
        self.execute(due).await;
        self.db.give_up_receipts().await.expect("gives up");
    }
}

/// The operator's answer and a receipt of each part, whichever comes first.
pub(crate) async fn a_message_in_parts_ends_with_its_last_part_or_the_first_bad_one(f: &Fixture) {
    f.fund(1, 1_000).await;
    let all = orders([0, 1, 2, 3]);
    assert_eq!(all.len(), 24);
    for (states, end) in [
        (["delivered", "delivered", "delivered"], "done delivered 000"),
        (["delivered", "undelivered", "delivered"], "done undelivered 1B"),
    ] {
        for (round, order) in all.iter().enumerate() {
            let id = |part: usize| format!("{}-{round}-{part}", states[1]);
            let (sent, claimed) = f.sending(NUMBER).await;
            let (mut is_answered, mut heard) = (false, Vec::new());
            for step in order {
                if *step == 0 {
                    let called = parts(&[&id(1), &id(2), &id(3)]);
                    let settlement = Settlement::new(&claimed, done()).called(called);
                    assert_eq!(f.db.settle(&[settlement]).await.expect("settles"), [true]);
                    is_answered = true;
                } else {
                    let joined = u64::from(is_answered);
                    assert_eq!(f.take(&[receipt(&id(*step), states[step - 1])]).await, (1, joined), "{order:?}");
                    heard.push(states[step - 1]);
                }
                let is_over = heard.len() == 3 || heard.contains(&"undelivered");
                let expected = match (is_answered, is_over) {
                    (false, _) => "sending - -",
                    (true, false) => "done - -",
                    (true, true) => end,
                };
                assert_eq!(f.ends(&sent).await, [expected], "{order:?} at {step}");
            }
            assert_eq!(f.waiting().await, 0, "nobody waits any more: {order:?}");
        }
    }
    assert_eq!(f.db.parked_receipts(10).await.expect("counts"), 0);
    assert_eq!(f.balance(1).await, 1_000 - 48, "no receipt moves money");
}

pub(crate) async fn parts_are_reported_one_by_one(f: &Fixture) {
    f.fund(1, 100).await;
    let mut sent = Vec::new();
    for ids in [["a1", "a2", "a3"], ["b1", "b2", "b3"], ["c1", "c2", "c3"], ["d1", "d2", "d3"], ["e1", "", "e3"]] {
        sent.push(f.taken_in_parts(&ids).await);
    }
    let all = async || {
        let mut all = Vec::new();
        for sent in &sent {
            all.extend(f.ends(sent).await);
        }
        all
    };
    let first = ["a2", "a3", "b1", "c1", "c3", "e1"].map(|id| receipt(id, "delivered"));
    assert_eq!(f.take(&first).await, (6, 6));
    assert_eq!(all().await, ["done - -"; 5], "the rest is still to be heard of");
    let soon = f
        .number(if f.backend() == sea_orm::DbBackend::Sqlite {
            "SELECT COUNT(*) FROM operator_messages WHERE receipt_due_at < datetime('now', '+11 minutes')"
        } else {
            "SELECT COUNT(*) FROM operator_messages WHERE receipt_due_at < UTC_TIMESTAMP(6) + INTERVAL 11 MINUTE"
        })
        .await;
    assert_eq!(soon, 11, "and that not for days");
    f.take(&[receipt("a1", "delivered"), receipt("b2", "rejected"), receipt("d1", "unknown")]).await;
    f.take(&[receipt("e3", "delivered")]).await;
    assert_eq!(all().await, ["done delivered 000", "done rejected 1B", "done - -", "done - -", "done - -"]);
    f.give_up().await;
    // Parts speak for the silent one, with or without an id.
    assert_eq!(all().await[2..], ["done delivered -", "done unknown -", "done delivered -"]);
}

pub(crate) async fn ids_of_all_parts_are_kept_with_their_message(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = request(1, &["111", "222", "333", "444"]);
    f.accept_one(sent.clone()).await;
    let claimed = f.begin(&sent).await;
    let silent = |called: Called| Called { reports: false, ..called };
    let of_recipients = [
        called("Whole"),
        parts(&["007", "x-8", "x-9"]),
        parts(&["same", "same"]),
        parts(&["s-1", "s-2"]).into_iter().map(silent).collect(),
    ];
    let settlements: Vec<_> = claimed
        .iter()
        .zip(of_recipients)
        .map(|(claimed, called)| Settlement::new(claimed, done()).called(called))
        .collect();
    assert_eq!(f.db.settle(&settlements).await.expect("settles"), [true; 4]);
    let rows = f
        .strings(
            "SELECT CONCAT(m.recipient, ' ', o.provider_id, ' ', COALESCE(o.given_id, '-'), ' ', part, '/', parts, ' ',
                CASE WHEN receipt_due_at IS NULL THEN 'silent' ELSE 'reports' END)
             FROM operator_messages o JOIN message_status m ON m.id = o.message_row ORDER BY m.recipient, part",
        )
        .await;
    let expected = [
        "111 whole Whole 1/1 reports",
        "222 7 007 1/3 reports",
        "222 x-8 - 2/3 reports",
        "222 x-9 - 3/3 reports",
        "333 same - 1/2 reports",
        "333 same - 2/2 reports",
        "444 s-1 - 1/2 silent",
        "444 s-2 - 2/2 silent",
    ];
    assert_eq!(rows, expected);
    let found = f.db.message(Reader::Staff, message_id(&sent), None, 10).await.expect("reads").expect("is there");
    let listed = found.recipients.entries.into_iter().rev().map(|entry| {
        entry.operator_messages.into_iter().map(|known| known.provider_message_id).collect::<Vec<_>>().join(" ")
    });
    assert_eq!(listed.collect::<Vec<_>>(), ["Whole", "007 x-8 x-9", "same", "s-1 s-2"]);
}

/// More ids than one statement asks for.
pub(crate) async fn many_parts_are_kept_and_joined_at_once(f: &Fixture) {
    f.fund(1, 100).await;
    let numbers: Vec<_> = (0..40).map(|n| format!("+4915112345{n:02}")).collect();
    let sent = request(1, &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    f.accept_one(sent.clone()).await;
    let claimed = f.begin(&sent).await;
    let ids_of = |message: usize| (0..20).map(move |part| format!("{message}-{part}")).collect::<Vec<_>>();
    let receipts = (0..40).flat_map(|message| {
        ids_of(message).into_iter().map(move |id| {
            let mut receipt = receipt(&id, "delivered");
            receipt.receipt.recipient = None;
            receipt
        })
    });
    assert_eq!(f.take(&receipts.collect::<Vec<_>>()).await, (800, 0));
    let settlement = |(message, claimed)| {
        let ids = ids_of(message);
        Settlement::new(claimed, done()).called(parts(&ids.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let settlements: Vec<_> = claimed.iter().enumerate().map(settlement).collect();
    assert_eq!(f.db.settle(&settlements).await.expect("settles"), [true; 40]);
    assert_eq!(f.ends(&sent).await, ["done delivered 000"; 40]);
    assert_eq!(f.db.parked_receipts(10).await.expect("counts"), 0);
}

/// An operator that gave one id for all parts tells of them by their numbers, or of all together.
pub(crate) async fn parts_of_one_id_are_told_apart_by_their_numbers(f: &Fixture) {
    f.fund(1, 100).await;
    let (open, delivered) = ("done - -", "done delivered 000");
    for (id, told) in [
        ("one", &[(Some(1), "delivered", open), (Some(1), "delivered", open), (Some(2), "delivered", delivered)][..]),
        ("late", &[(Some(2), "delivered", open), (Some(1), "undelivered", "done undelivered 1B")]),
        ("all", &[(Some(2), "enroute", open), (None, "delivered", delivered)]),
        ("after", &[(None, "delivered", delivered), (Some(2), "rejected", delivered)]),
        ("none", &[(Some(3), "delivered", delivered)]),
    ] {
        let sent = f.taken_as(id).await;
        f.execute("UPDATE message_status SET segments = 2").await;
        for (part, state, end) in told {
            let mut receipt = receipt(id, state);
            receipt.receipt.part = *part;
            f.take(&[receipt]).await;
            assert_eq!(f.ends(&sent).await, [*end], "{id} {part:?} {state}");
        }
    }
    let parts =
        f.strings("SELECT CONCAT(provider_id, part, parts) FROM operator_messages ORDER BY provider_id, part").await;
    let expected = ["after12", "after22", "all12", "all22", "late12", "late22", "none11", "one12", "one22"];
    assert_eq!(parts, expected);
}

//! Receipts: matched with their messages, in any order, and what they change.

use domain::{ErrorCode, ProviderMessageId, Receipt, ReceiptState, RefundOnReceipt, ReportedNumber};
use persistence::{
    AcceptRequest, Called, ClaimedRecipient, Database, DatabaseConfig, NewReceipt, Outcome, Reader, ReceiptPolicy,
    Received, Settlement,
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::support::{Fixture, called, message_id, request};

pub(crate) const OPERATOR: &str = "operatorA";
/// To whom messages are sent here.
pub(crate) const NUMBER: &str = "+989128582812";

pub(crate) fn receipt(id: &str, state: &str) -> NewReceipt {
    of_operator(OPERATOR, id, state)
}

pub(crate) fn of_operator(operator: &str, id: &str, state: &str) -> NewReceipt {
    let receipt = Receipt {
        id: ProviderMessageId::parse(id).expect("an id"),
        state: ReceiptState::parse(state).expect("a state"),
        recipient: ReportedNumber::parse(NUMBER).ok(),
        error_code: ErrorCode::read(if state == "delivered" { "000" } else { "1B" }),
        part: None,
    };
    NewReceipt { operator: operator.to_owned(), receipt, exact: false }
}

fn to(mut receipt: NewReceipt, number: Option<&str>) -> NewReceipt {
    receipt.receipt.recipient = number.map(|number| ReportedNumber::parse(number).expect("a number"));
    receipt
}

/// Its message may be recorded before or after it.
pub(crate) async fn an_exact_id_names_nothing_in_other_digits(f: &Fixture) {
    f.fund(1, 100).await;
    let exact = |id| NewReceipt { exact: true, ..receipt(id, "delivered") };
    let (sent, claim) = f.sending(NUMBER).await;
    assert_eq!(f.take(&[exact("6699")]).await, (1, 0));
    assert_eq!(f.db.settle(&[done_by(OPERATOR, &claim, "1a2b")]).await.expect("settles"), [true]);
    f.db.join_parked(None).await.expect("looks");
    assert_eq!(f.ends(&sent).await, ["done - -"]);
    assert_eq!(f.take(&[exact("1A2B")]).await, (1, 1));
    assert_eq!(f.ends(&sent).await, ["done delivered 000"]);
    let (in_others, claim) = f.sending(NUMBER).await;
    assert_eq!(f.db.settle(&[done_by(OPERATOR, &claim, "ff")]).await.expect("settles"), [true]);
    assert_eq!(f.take(&[exact("255"), receipt("255", "undelivered")]).await, (2, 1), "the other one is");
    assert_eq!(f.ends(&in_others).await, ["done undelivered 1B"]);
}

pub(crate) fn done_by(operator: &str, claim: &ClaimedRecipient, id: &str) -> Settlement {
    Settlement::new(claim, Outcome::Done { provider: operator.to_owned() }).called(called(id))
}

impl Fixture {
    /// A message to one number that an operator is about to take.
    pub(crate) async fn sending(&self, number: &str) -> (AcceptRequest, ClaimedRecipient) {
        let sent = request(1, &[number]);
        self.accept_one(sent.clone()).await;
        let claimed = self.begin(&sent).await.remove(0);
        (sent, claimed)
    }

    /// A message that an operator took under this id.
    pub(crate) async fn taken_as(&self, id: &str) -> AcceptRequest {
        let (sent, claimed) = self.sending(NUMBER).await;
        assert_eq!(self.db.settle(&[done_by(OPERATOR, &claimed, id)]).await.expect("settles"), [true]);
        sent
    }

    pub(crate) async fn take(&self, receipts: &[NewReceipt]) -> (u64, u64) {
        let Received { new, joined } = self.db.take_receipts(receipts).await.expect("takes");
        (new, joined)
    }

    /// `status delivery_status error_code` of a message's recipients.
    pub(crate) async fn ends(&self, sent: &AcceptRequest) -> Vec<String> {
        self.strings(&format!(
            "SELECT CONCAT(status, ' ', COALESCE(delivery_status, '-'), ' ', COALESCE(error_code, '-'))
             FROM message_status WHERE message_identifier = '{}' ORDER BY id",
            message_id(sent)
        ))
        .await
    }

    /// As if the receipts of this id had been received so many days ago.
    async fn age(&self, id: &str, days: u32) {
        let age = match self.backend() {
            sea_orm::DbBackend::Sqlite => format!("datetime('now', '-{days} days')"),
            _ => format!("UTC_TIMESTAMP(6) - INTERVAL {days} DAY"),
        };
        self.execute(&format!("UPDATE receipts SET received_at = {age} WHERE provider_id = '{id}'")).await;
    }

    pub(crate) async fn waiting(&self) -> i64 {
        self.number("SELECT COUNT(*) FROM operator_messages WHERE receipt_due_at IS NOT NULL").await
    }

    /// The same database by other rules.
    pub(crate) async fn with_policy(&self, receipts: ReceiptPolicy) -> Database {
        let config = DatabaseConfig { receipts, ..DatabaseConfig::new(self.url.clone().into()) };
        let db = Database::open(config).await.expect("opens");
        db.migrate().await.expect("is migrated already");
        db
    }
}

pub(crate) async fn a_receipt_tells_what_became_of_a_message(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = f.taken_as("X-007").await;
    assert_eq!((f.ends(&sent).await, f.waiting().await), (vec!["done - -".to_owned()], 1));
    assert_eq!(f.take(&[receipt("x-007", "enroute")]).await, (1, 1));
    assert_eq!((f.ends(&sent).await, f.waiting().await), (vec!["done - -".to_owned()], 1), "on its way");
    assert_eq!(f.take(&[receipt("x-007", "delivered")]).await, (1, 1));
    let ended = vec!["done delivered 000".to_owned()];
    assert_eq!((f.ends(&sent).await, f.waiting().await), (ended.clone(), 0));
    let delivered = f
        .number(
            "SELECT COUNT(*) FROM message_status m JOIN receipts r ON r.matched_row = m.id
             WHERE m.delivered_at = r.received_at AND r.state = 'delivered'",
        )
        .await;
    assert_eq!(delivered, 1, "when the receipt came");
    // Twice in one batch, and again: nothing changes.
    f.execute("UPDATE message_status SET updated_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.take(&[receipt("X-7", "delivered"), receipt("X-007", "delivered")]).await, (1, 0), "X-7 is no X-007");
    assert_eq!(f.take(&[receipt("x-007", "delivered"), receipt("x-007", "enroute")]).await, (0, 0));
    assert_eq!(f.ends(&sent).await, ended);
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE updated_at > '2020-01-02'").await, 0);
    assert_eq!(f.balance(1).await, 99, "a receipt moves no money");
    let found = f.db.message(Reader::Staff, message_id(&sent), None, 1).await.expect("reads").expect("is there");
    assert_eq!(found.recipients.entries[0].error_code.as_deref(), Some("000"));
}

pub(crate) async fn ids_are_the_same_in_other_forms(f: &Fixture) {
    f.fund(1, 100).await;
    for (answered, reported) in [
        ("000439041048", "439041048"),
        ("439041048", "0000439041048"),
        ("aB-cd", "AB-CD"),
        ("1a2b3c18", "439041048"),
        ("987654321", "3ADE68B1"),
        ("0199F2B4-5D0E-7CC0-8F6E-2F1B0C9A7D11", "0199f2b4-5d0e-7cc0-8f6e-2f1b0c9a7d11"),
    ] {
        f.execute("DELETE FROM operator_messages").await;
        f.execute("DELETE FROM receipts").await;
        let sent = f.taken_as(answered).await;
        assert_eq!(f.take(&[receipt(reported, "delivered")]).await, (1, 1), "{answered} {reported}");
        assert_eq!(f.ends(&sent).await, ["done delivered 000"], "{answered} {reported}");
    }
    // The same digits come before the same number in other ones.
    f.execute("DELETE FROM receipts").await;
    let (decimal, hexadecimal) = (f.taken_as("4660").await, f.taken_as("1234").await);
    assert_eq!(f.take(&[receipt("1234", "expired"), receipt("4660", "delivered")]).await, (2, 2));
    assert_eq!(f.ends(&decimal).await, ["done delivered 000"]);
    assert_eq!(f.ends(&hexadecimal).await, ["done expired 1B"]);
}

pub(crate) async fn ids_that_come_again_are_told_apart_by_the_number(f: &Fixture) {
    f.fund(1, 100).await;
    let numbers = ["+4915111111111", "+4915122222222", "+4915133333333"];
    let mut sent = Vec::new();
    for number in numbers.iter().chain(&numbers[..1]) {
        let (message, claimed) = f.sending(number).await;
        f.db.settle(&[done_by(OPERATOR, &claimed, "17")]).await.expect("settles");
        sent.push(message);
    }
    assert_eq!(f.take(&[to(receipt("17", "delivered"), Some("015122222222"))]).await, (1, 1));
    assert_eq!(f.take(&[to(receipt("17", "expired"), Some("4915111111111"))]).await, (1, 1));
    assert_eq!(f.take(&[to(receipt("17", "rejected"), Some("4915199999999"))]).await, (1, 0), "nobody's");
    assert_eq!(f.take(&[to(receipt("17", "undelivered"), None)]).await, (1, 1), "the newest");
    let ends =
        [f.ends(&sent[0]).await, f.ends(&sent[1]).await, f.ends(&sent[2]).await, f.ends(&sent[3]).await].concat();
    assert_eq!(ends, ["done - -", "done delivered 000", "done - -", "done expired 1B"], "a final one is kept");
    assert_eq!(f.take(&[of_operator("operatorB", "17", "delivered")]).await, (1, 0), "another operator's");
}

/// A counter that starts anew calls the next message as it called the last one, and says the same of it.
pub(crate) async fn a_receipt_that_comes_again_may_be_of_another_message(f: &Fixture) {
    f.fund(1, 100).await;
    for (id, number, states) in
        [("17", Some(NUMBER), &["delivered"][..]), ("18", None, &["accepted", "unknown", "delivered"])]
    {
        let told = |state| to(receipt(id, state), number);
        let first = f.taken_as(id).await;
        for state in states {
            assert_eq!(f.take(&[told(state)]).await, (1, 1), "{id} {state}");
        }
        assert_eq!(f.take(&[told("delivered")]).await, (0, 0), "a repetition changes nothing");
        f.age(id, 1).await;
        let second = f.taken_as(id).await;
        for state in states {
            assert_eq!(f.take(&[told(state)]).await, (0, 1), "{id} {state}");
        }
        assert_eq!(f.take(&[told("delivered"), told("delivered")]).await, (0, 0), "{id}");
        for sent in [first, second] {
            assert_eq!(f.ends(&sent).await, ["done delivered 000"], "{id}");
        }
    }
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE delivered_at < created_at").await, 0);
    // To two numbers under one id, in one request.
    let mut sent = Vec::new();
    for number in ["+4915111111111", "+4915122222222"] {
        let (message, claimed) = f.sending(number).await;
        f.db.settle(&[done_by(OPERATOR, &claimed, "19")]).await.expect("settles");
        sent.push(message);
    }
    let both = ["4915111111111", "4915122222222"].map(|number| to(receipt("19", "delivered"), Some(number)));
    assert_eq!(f.take(&both).await, (2, 2));
    for message in sent {
        assert_eq!(f.ends(&message).await, ["done delivered 000"]);
    }
}

/// An operator that got no answer repeats a receipt after its counter has begun anew: it is still of the message that it was of.
pub(crate) async fn a_receipt_repeated_soon_is_of_no_other_message(f: &Fixture) {
    f.fund(1, 100).await;
    let first = f.taken_as("17").await;
    assert_eq!(f.take(&[receipt("17", "rejected")]).await, (1, 1));
    let second = f.taken_as("17").await;
    assert_eq!(f.take(&[receipt("17", "rejected")]).await, (0, 0));
    assert_eq!(f.ends(&first).await, ["done rejected 1B"]);
    assert_eq!(f.ends(&second).await, ["done - -"]);
}

pub(crate) async fn a_receipt_before_its_message_waits_for_it(f: &Fixture) {
    f.fund(1, 100).await;
    let (sent, claimed) = f.sending(NUMBER).await;
    assert_eq!(f.take(&[receipt("1a2b", "delivered"), receipt("x", "delivered")]).await, (2, 0));
    assert_eq!(f.db.parked_receipts(10).await.expect("counts"), 2);
    assert_eq!(f.db.join_parked(None).await.expect("looks").joined, 0);
    // In other digits than the answer.
    f.db.settle(&[done_by(OPERATOR, &claimed, "6699")]).await.expect("settles");
    assert_eq!((f.ends(&sent).await, f.waiting().await), (vec!["done delivered 000".to_owned()], 0));
    assert_eq!(f.db.parked_receipts(10).await.expect("counts"), 1);
}

/// What may happen to a message while its receipts come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The operator's answer is recorded.
    Answer,
    Receipt(&'static str),
    /// The sweeper looks.
    Sweep,
}

pub(crate) async fn every_order_of_receipts_and_answer_ends_in_the_same_state(f: &Fixture) {
    f.fund(1, 1_000).await;
    let finals = prop::sample::select(vec!["undelivered", "expired", "rejected"]);
    let steps = (finals, any::<[bool; 3]>()).prop_flat_map(|(other, [delivered, with_other, unknown])| {
        let mut steps = vec![Step::Answer, Step::Sweep, Step::Receipt("enroute"), Step::Receipt("enroute")];
        for (state, is_told) in [("delivered", delivered), (other, with_other), ("unknown", unknown)] {
            // Each again: the answer to the first may have been lost with a gateway.
            steps.extend(std::iter::repeat_n(Step::Receipt(state), if is_told { 2 } else { 0 }));
        }
        let end = match (delivered, with_other, unknown) {
            (true, ..) => "done delivered 000".to_owned(),
            (_, true, _) => format!("done {other} 1B"),
            (_, _, true) => "done unknown 1B".to_owned(),
            _ => "done - -".to_owned(),
        };
        (Just(steps).prop_shuffle(), Just(end))
    });
    let mut runner = TestRunner::deterministic();
    for round in 0..40 {
        let (steps, end) = steps.new_tree(&mut runner).expect("a value").current();
        let (sent, claimed) = f.sending(NUMBER).await;
        let id = format!("id-{round}");
        for step in &steps {
            match step {
                Step::Answer => drop(f.db.settle(&[done_by(OPERATOR, &claimed, &id)]).await.expect("settles")),
                Step::Receipt(state) => drop(f.take(&[receipt(&id, state)]).await),
                Step::Sweep => drop(f.db.join_parked(None).await.expect("joins")),
            }
        }
        assert_eq!(f.ends(&sent).await, [end], "{steps:?}");
        let parked = f.db.parked_receipts(10).await.expect("counts");
        assert_eq!(parked, 0, "{steps:?}");
    }
    assert_eq!(f.balance(1).await, 1_000 - 40, "no receipt moves money");
    f.assert_conserved().await;
}

pub(crate) async fn nobody_knows_what_is_not_reported_in_time(f: &Fixture) {
    f.fund(1, 100).await;
    let (silent, reported) = (f.taken_as("a").await, f.taken_as("b").await);
    assert_eq!(f.db.give_up_receipts().await.expect("looks"), 0, "it is too early");
    f.take(&[receipt("b", "expired")]).await;
    f.execute("UPDATE operator_messages SET receipt_due_at = '2020-01-01 00:00:00' WHERE receipt_due_at IS NOT NULL")
        .await;
    assert_eq!(f.db.give_up_receipts().await.expect("gives up"), 1);
    assert_eq!(f.db.give_up_receipts().await.expect("gives up"), 0);
    assert_eq!(f.ends(&silent).await, ["done unknown -"]);
    assert_eq!(f.ends(&reported).await, ["done expired 1B"]);
    f.take(&[receipt("a", "undelivered")]).await;
    assert_eq!(f.ends(&silent).await, ["done undelivered 1B"], "late is better than never");
    let never = f.with_policy(ReceiptPolicy { timeout: None, ..ReceiptPolicy::default() }).await;
    let (sent, claimed) = f.sending(NUMBER).await;
    never.settle(&[done_by(OPERATOR, &claimed, "c")]).await.expect("settles");
    assert_eq!(f.waiting().await, 0, "nobody waits, and all the same it is heard");
    f.take(&[receipt("c", "delivered")]).await;
    assert_eq!(f.ends(&sent).await, ["done delivered 000"]);
    never.close().await;
}

pub(crate) async fn a_receipt_gives_money_back_only_by_the_rule(f: &Fixture) {
    f.fund(1, 100).await;
    let mut spent = 0;
    for (refund, given_back) in
        [(RefundOnReceipt::Never, 0), (RefundOnReceipt::Rejected, 1), (RefundOnReceipt::Undelivered, 3)]
    {
        let db = f.with_policy(ReceiptPolicy { refund, ..ReceiptPolicy::default() }).await;
        for state in ["rejected", "undelivered", "expired", "unknown", "delivered"] {
            let id = format!("{refund:?}-{state}");
            let sent = f.taken_as(&id).await;
            for _ in 0..2 {
                db.take_receipts(&[receipt(&id, state)]).await.expect("takes");
            }
            // A delivery after all: the status changes, and nothing is taken back.
            db.take_receipts(&[receipt(&id, "delivered")]).await.expect("takes");
            assert_eq!(f.ends(&sent).await, ["done delivered 000"]);
        }
        // One whose answer is recorded after its receipt.
        let (_, claimed) = f.sending(NUMBER).await;
        let early = format!("{refund:?}-early");
        db.take_receipts(&[receipt(&early, "rejected")]).await.expect("takes");
        db.settle(&[done_by(OPERATOR, &claimed, &early)]).await.expect("settles");
        let early = i64::from(given_back > 0);
        spent += 6 - given_back - early;
        assert_eq!(f.balance(1).await, 100 - spent, "{refund:?}");
        f.assert_conserved().await;
        db.close().await;
    }
}

pub(crate) async fn a_receipt_after_a_refund_moves_nothing(f: &Fixture) {
    f.fund(1, 100).await;
    let (sent, claimed) = f.sending(NUMBER).await;
    let failed = Settlement::new(&claimed, Outcome::Failed { provider: OPERATOR.to_owned() });
    f.db.settle(&[failed]).await.expect("settles");
    f.execute(
        "INSERT INTO operator_messages (operator, provider_id, message_row) SELECT 'operatorA', 'x', id FROM message_status",
    )
    .await;
    let db = f.with_policy(ReceiptPolicy { refund: RefundOnReceipt::Undelivered, ..ReceiptPolicy::default() }).await;
    for state in ["undelivered", "delivered"] {
        db.take_receipts(&[receipt("x", state)]).await.expect("takes");
        assert_eq!(f.balance(1).await, 100, "{state}");
    }
    assert_eq!(f.ends(&sent).await, ["failed delivered 000"]);
    f.assert_conserved().await;
    db.close().await;
}

pub(crate) async fn old_receipts_are_given_up_and_deleted(f: &Fixture) {
    f.fund(1, 100).await;
    let sent = f.taken_as("a").await;
    f.take(&[receipt("a", "delivered"), receipt("lost", "delivered"), receipt("young", "delivered")]).await;
    f.age("a", 11).await;
    f.age("lost", 4).await;
    assert_eq!(f.db.orphan_receipts().await.expect("gives up"), 1);
    assert_eq!(f.db.orphan_receipts().await.expect("gives up"), 0);
    assert_eq!(f.db.parked_receipts(10).await.expect("counts"), 1);
    assert_eq!(f.db.purge_receipts().await.expect("purges"), 1);
    assert_eq!(f.strings("SELECT provider_id FROM receipts ORDER BY provider_id").await, ["lost", "young"]);
    assert_eq!(f.ends(&sent).await, ["done delivered 000"]);
    // Of what was given up nothing is joined any more.
    f.taken_as("lost").await;
    assert_eq!(f.db.join_parked(None).await.expect("looks").joined, 0);
}

pub(crate) async fn an_operator_that_does_not_report_is_not_waited_for(f: &Fixture) {
    f.fund(1, 100).await;
    let (_, claimed) = f.sending(NUMBER).await;
    let called = Called::whole(ProviderMessageId::parse("x").expect("an id"), false);
    let done = Settlement::new(&claimed, Outcome::Done { provider: OPERATOR.to_owned() }).called(vec![called]);
    f.db.settle(&[done]).await.expect("settles");
    assert_eq!(f.number("SELECT COUNT(*) FROM operator_messages WHERE provider_id = 'x'").await, 1);
    assert_eq!(f.waiting().await, 0);
}

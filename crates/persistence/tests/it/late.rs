//! Answers of operators that come after their worker has stopped waiting.

use std::time::Duration;

use domain::RefundOnReceipt;
use persistence::{
    AcceptRequest, Called, Deferral, Deferred, LateAnswer, Outcome, PutOff, Reader, ReceiptPolicy, Said, Settlement,
};

use crate::{
    parts::parts,
    receipts::{NUMBER, OPERATOR, of_operator, receipt},
    support::{Fixture, begin_request, called, maybe_taken, message_id, request},
};

fn by(operator: &str) -> Outcome {
    Outcome::Done { provider: operator.to_owned() }
}

fn failed() -> Outcome {
    Outcome::Failed { provider: String::new() }
}

/// An operator's answer about the message's first recipient.
fn late_of(operator: &str, sent: &AcceptRequest, called: Vec<Called>) -> LateAnswer {
    let recipient = sent.payload.message.recipients.as_slice()[0].clone();
    LateAnswer {
        message_id: message_id(sent).clone(),
        recipient,
        operator: operator.to_owned(),
        said: Said::Accepted(called),
    }
}

fn late(sent: &AcceptRequest, id: &str) -> LateAnswer {
    late_of(OPERATOR, sent, called(id))
}

impl Fixture {
    async fn settle_late(&self, answers: &[LateAnswer]) -> Vec<bool> {
        self.db.settle_late(answers).await.expect("records")
    }

    /// Lets every event be published.
    async fn publish(&self) {
        self.execute("UPDATE outbox_events SET status = 'processed'").await;
    }

    async fn ids(&self) -> Vec<String> {
        self.strings("SELECT CONCAT(operator, ' ', provider_id) FROM operator_messages ORDER BY id").await
    }
}

pub(crate) async fn an_operator_accepts_after_nobody_waited_for_it(f: &Fixture) {
    f.fund(1, 100).await;
    let (leased, lapsed, put_off) = (f.sending(NUMBER).await, f.sending(NUMBER).await, f.sending(NUMBER).await);
    f.execute(&format!(
        "UPDATE message_status SET claimed_until = '2020-01-01 00:00:00' WHERE message_identifier = '{}'",
        message_id(&lapsed.0)
    ))
    .await;
    f.publish().await;
    let deferral = maybe_taken(std::slice::from_ref(&put_off.1), Duration::from_mins(1));
    assert_eq!(f.db.defer(message_id(&put_off.0), deferral).await.expect("defers"), Deferred::Scheduled);
    let sent = [leased.0, lapsed.0, put_off.0];
    let answers = [late(&sent[0], "X-007"), late_of("operatorB", &sent[1], parts(&["b-1", "b-2"])), late(&sent[2], "")];
    assert_eq!(f.settle_late(&answers).await, [true; 3]);
    for (sent, operator) in sent.iter().zip([OPERATOR, "operatorB", OPERATOR]) {
        assert_eq!(f.statuses(message_id(sent)).await, [format!("{NUMBER} done {operator}")]);
        let again = f.db.begin_sending(&[begin_request(sent)], Duration::from_mins(1)).await.expect("begins").remove(0);
        assert_eq!((again.claimed.len(), again.finished), (0, 1), "nobody is asked any more");
    }
    let held = "SELECT COUNT(*) FROM message_status WHERE claimed_by IS NOT NULL OR claimed_until IS NOT NULL";
    assert_eq!(f.number(held).await, 0);
    assert_eq!(f.ids().await, ["operatorA x-007", "operatorB b-1", "operatorB b-2"]);
    assert_eq!(f.waiting().await, 3, "receipts are waited for");
    let found = f.db.message(Reader::Staff, message_id(&sent[0]), None, 1).await.expect("reads").expect("is there");
    assert_eq!(found.recipients.entries[0].operator_messages[0].provider_message_id, "X-007");
    // What is said again changes nothing.
    f.execute("UPDATE message_status SET updated_at = '2020-01-01 00:00:00'").await;
    assert_eq!(f.settle_late(&answers).await, [false; 3]);
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE updated_at > '2020-01-02'").await, 0);
    assert_eq!((f.ids().await.len(), f.balance(1).await), (3, 97));
}

pub(crate) async fn whoever_had_the_lease_changes_nothing_after_a_late_answer(f: &Fixture) {
    f.fund(1, 100).await;
    let (sent, claim) = f.sending(NUMBER).await;
    f.publish().await;
    assert_eq!(f.settle_late(&[late(&sent, "a-1")]).await, [true]);
    for outcome in [failed(), by("operatorB"), by(OPERATOR), Outcome::NeverKnown] {
        for called in [called("b-1"), Vec::new()] {
            let settlement = Settlement::new(&claim, outcome.clone()).called(called);
            assert_eq!(f.db.settle(&[settlement]).await.expect("answers"), [false], "{outcome:?}");
        }
    }
    let deferral = Deferral {
        maybe_taken: vec![claim.clone()],
        untaken: vec![claim],
        put_off: PutOff::by(Duration::from_mins(1)),
    };
    f.db.defer(message_id(&sent), deferral).await.expect("answers");
    assert_eq!(f.statuses(message_id(&sent)).await, [format!("{NUMBER} done {OPERATOR}")]);
    assert_eq!(f.ends(&sent).await, ["done - -"]);
    assert_eq!(f.ids().await, ["operatorA a-1"]);
    assert_eq!(f.balance(1).await, 99);
    assert_eq!(f.number("SELECT COUNT(*) FROM user_transactions WHERE refund_of IS NOT NULL").await, 0);
    f.assert_conserved().await;
}

pub(crate) async fn what_is_not_being_sent_is_left_alone_by_a_late_answer(f: &Fixture) {
    f.fund(1, 100).await;
    let (taken, refused, untaken) = (f.sending(NUMBER).await, f.sending(NUMBER).await, f.sending(NUMBER).await);
    let settlements =
        [Settlement::new(&taken.1, by("operatorB")).called(called("b-1")), Settlement::new(&refused.1, failed())];
    assert_eq!(f.db.settle(&settlements).await.expect("settles"), [true, true]);
    f.publish().await;
    let deferral =
        Deferral { maybe_taken: Vec::new(), untaken: vec![untaken.1], put_off: PutOff::by(Duration::from_mins(1)) };
    f.db.defer(message_id(&untaken.0), deferral).await.expect("defers");
    let (new, timed, odd) = (request(1, &[NUMBER]), request(1, &[NUMBER]), request(1, &[NUMBER]));
    f.db.accept(&[new.clone(), timed.clone(), odd.clone()]).await.expect("accepts");
    for (sent, status) in [(&timed, "scheduled"), (&odd, "odd")] {
        let id = message_id(sent);
        f.execute(&format!("UPDATE message_status SET status = '{status}' WHERE message_identifier = '{id}'")).await;
    }
    let receipts = f.take(&[receipt("x-0", "delivered")]).await;
    assert_eq!(receipts, (1, 0));

    let never_accepted = request(1, &[NUMBER]);
    let mut of_another_number = late(&new, "x-9");
    of_another_number.recipient = request(1, &["111"]).payload.message.recipients.as_slice()[0].clone();
    let sent = [taken.0, refused.0, untaken.0, new, timed, odd];
    let answers = sent.iter().enumerate().map(|(n, sent)| late(sent, &format!("x-{n}")));
    let answers: Vec<_> = answers.chain([late(&never_accepted, "x-8"), of_another_number]).collect();
    let before = f.strings("SELECT CONCAT(status, provider, updated_at) FROM message_status ORDER BY id").await;
    assert_eq!(f.settle_late(&answers).await, [false; 8]);
    let after = f.strings("SELECT CONCAT(status, provider, updated_at) FROM message_status ORDER BY id").await;
    assert_eq!(after, before);
    let mut statuses = Vec::new();
    for sent in &sent {
        statuses.extend(f.ends(sent).await);
    }
    assert_eq!(statuses, ["done - -", "failed - -", "pending - -", "pending - -", "scheduled - -", "odd - -"]);
    assert_eq!(f.ids().await, ["operatorB b-1"]);
    assert_eq!(f.db.parked_receipts(10).await.expect("counts"), 1, "nothing to join it with");
    assert_eq!(f.balance(1).await, 100 - 6 + 1, "what failed was refunded before");
    f.assert_conserved().await;
    assert_eq!(f.settle_late(&[]).await, [false; 0]);
}

pub(crate) async fn a_receipt_before_a_late_answer_is_joined_with_it(f: &Fixture) {
    f.fund(1, 100).await;
    let ((one, _), (long, _)) = (f.sending(NUMBER).await, f.sending(NUMBER).await);
    let early = ["6699", "p-1", "p-3"].map(|id| receipt(id, "delivered"));
    assert_eq!(f.take(&early).await, (3, 0));
    // In other digits than the receipt; and of another operator than the one that sent it.
    let answers = [late(&one, "1a2b"), late_of(OPERATOR, &long, parts(&["p-1", "p-2", "p-3"]))];
    assert_eq!(f.settle_late(&answers).await, [true, true]);
    assert_eq!(f.ends(&one).await, ["done delivered 000"]);
    assert_eq!(f.ends(&long).await, ["done - -"]);
    assert_eq!(f.db.parked_receipts(10).await.expect("counts"), 0);
    assert_eq!(f.take(&[receipt("p-2", "delivered")]).await, (1, 1));
    assert_eq!(f.ends(&long).await, ["done delivered 000"]);
    let (another, _) = f.sending(NUMBER).await;
    assert_eq!(f.take(&[of_operator("operatorB", "q", "delivered")]).await, (1, 0));
    assert_eq!(f.settle_late(&[late(&another, "q")]).await, [true]);
    assert_eq!(f.ends(&another).await, ["done - -"], "another operator's receipt");
}

/// What a receipt gives back by the rule it gives back whenever its message is recorded; an answer alone never does.
pub(crate) async fn a_late_answer_gives_back_only_what_its_receipt_does(f: &Fixture) {
    f.fund(1, 100).await;
    for (refund, id, left) in [(RefundOnReceipt::Never, "never", 99), (RefundOnReceipt::Rejected, "rejected", 99)] {
        let db = f.with_policy(ReceiptPolicy { refund, ..ReceiptPolicy::default() }).await;
        let (sent, _) = f.sending(NUMBER).await;
        f.take(&[receipt(id, "rejected")]).await;
        assert_eq!(db.settle_late(&[late(&sent, id)]).await.expect("records"), [true]);
        assert_eq!(f.ends(&sent).await, ["done rejected 1B"]);
        assert_eq!(f.balance(1).await, left, "{id}");
        assert_eq!(db.settle_late(&[late(&sent, id)]).await.expect("records"), [false]);
        assert_eq!(f.balance(1).await, left, "{id}");
        f.assert_conserved().await;
        db.close().await;
    }
}

pub(crate) async fn a_late_answer_is_told_once(f: &Fixture) {
    f.fund(1, 100).await;
    f.fund(2, 100).await;
    f.endpoint(1, "https://example.com/").await;
    f.db.refresh_callback_customers().await.expect("looks");
    let told = async || f.strings("SELECT CONCAT(customer_id, ' ', type) FROM callback_events ORDER BY id").await;
    let (sent, claim) = f.sending(NUMBER).await;
    let others = request(2, &[NUMBER]);
    f.accept_one(others.clone()).await;
    f.begin(&others).await;
    f.take(&[receipt("a-1", "delivered")]).await;
    let answers = [late(&sent, "a-1"), late(&others, "a-2")];
    assert_eq!(f.settle_late(&answers).await, [true, true]);
    assert_eq!(told().await, ["1 message.done", "1 message.delivered"]);
    assert_eq!(f.settle_late(&answers).await, [false, false]);
    f.db.settle(&[Settlement::new(&claim, by(OPERATOR)).called(called("a-1"))]).await.expect("answers");
    assert_eq!(told().await.len(), 2);
    let payloads = f.strings("SELECT payload FROM callback_events WHERE type = 'message.done'").await;
    assert!(payloads[0].contains("\"status\":\"done\""), "{payloads:?}");
    assert!(payloads[0].contains("\"provider\":\"operatorA\",\"sequence\":1}}"), "{payloads:?}");
}

pub(crate) async fn of_two_late_answers_the_first_counts(f: &Fixture) {
    f.fund(1, 100).await;
    let (sent, _) = f.sending(NUMBER).await;
    let answers = [
        late_of("operatorB", &sent, called("b-1")),
        late_of("operatorA", &sent, called("a-1")),
        late_of("operatorB", &sent, called("b-1")),
    ];
    assert_eq!(f.settle_late(&answers).await, [true, false, false]);
    assert_eq!(f.statuses(message_id(&sent)).await, [format!("{NUMBER} done operatorB")]);
    assert_eq!(f.ids().await, ["operatorB b-1"]);
}

/// Whoever had the lease, and what it says afterwards.
pub(crate) async fn what_is_refused_late_fails_and_is_refunded_once(f: &Fixture) {
    f.fund(1, 100).await;
    f.endpoint(1, "https://example.com/").await;
    f.db.refresh_callback_customers().await.expect("looks");
    let (put_off, leased) = (f.sending(NUMBER).await, f.sending(NUMBER).await);
    f.publish().await;
    let deferral = maybe_taken(std::slice::from_ref(&put_off.1), Duration::from_mins(1));
    assert_eq!(f.db.defer(message_id(&put_off.0), deferral).await.expect("defers"), Deferred::Scheduled);
    let answers = [&put_off.0, &leased.0].map(|sent| LateAnswer { said: Said::Refused, ..late(sent, "") });
    assert_eq!(f.settle_late(&answers).await, [true; 2]);
    for (sent, _) in [&put_off, &leased] {
        assert_eq!(f.statuses(message_id(sent)).await, [format!("{NUMBER} failed {OPERATOR}")]);
    }
    assert_eq!(f.balance(1).await, 100);
    assert_eq!(f.settle_late(&answers).await, [false; 2], "said again");
    let late = Settlement::new(&leased.1, by("operatorB"));
    assert_eq!(f.db.settle(&[late]).await.expect("answers"), [false], "its lease is over");
    assert_eq!(f.balance(1).await, 100);
    assert_eq!(f.strings("SELECT type FROM callback_events").await, ["message.failed", "message.failed"]);
    f.assert_conserved().await;
}

/// More than one transaction takes, in opposite orders, while the workers that have the leases record failures.
pub(crate) async fn late_answers_at_once_are_each_recorded_once(f: &Fixture) {
    f.fund(1, 1_000).await;
    let numbers: Vec<_> = (0..300).map(|n| format!("+4915112345{n:03}")).collect();
    let batch: Vec<_> =
        numbers.chunks(10).map(|some| request(1, &some.iter().map(String::as_str).collect::<Vec<_>>())).collect();
    f.db.accept(&batch).await.expect("accepts");
    let (mut answers, mut failures) = (Vec::new(), Vec::new());
    for sent in &batch {
        for (place, claim) in f.begin(sent).await.into_iter().enumerate() {
            let operator = format!("operator{}", place % 2);
            let id = format!("id-{}", claim.recipient.as_str());
            let (message_id, recipient) = (message_id(sent).clone(), claim.recipient.clone());
            answers.push(LateAnswer { message_id, recipient, operator, said: Said::Accepted(called(&id)) });
            failures.push(Settlement::new(&claim, failed()));
        }
    }
    let backwards: Vec<_> = answers.iter().rev().cloned().collect();
    let settle_failures = async {
        let mut recorded = Vec::new();
        for failures in failures.chunks(50) {
            recorded.extend(f.db.settle(failures).await.expect("settles"));
        }
        recorded
    };
    let (one, mut other, failed) = tokio::join!(f.settle_late(&answers), f.settle_late(&backwards), settle_failures);
    other.reverse();
    for place in 0..answers.len() {
        let ends = [one[place], other[place], failed[place]];
        assert_eq!(ends.iter().filter(|recorded| **recorded).count(), 1, "{ends:?}");
    }
    let failed = i64::try_from(failed.iter().filter(|recorded| **recorded).count()).expect("few");
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE status = 'failed'").await, failed);
    assert_eq!(f.number("SELECT COUNT(*) FROM message_status WHERE status = 'done'").await, 300 - failed);
    assert_eq!(f.number("SELECT COUNT(*) FROM operator_messages").await, 300 - failed, "ids of what was accepted");
    assert_eq!(f.balance(1).await, 1_000 - 300 + failed);
    f.assert_conserved().await;
}

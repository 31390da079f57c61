use std::time::Duration;

use loadtest::{Reply, SendError};

use super::*;

/// Two messages, both delivered.
fn fine() -> Evidence {
    let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut evidence = Evidence { recipients: 1, submissions: 2, ..Evidence::default() };
    evidence.sent.accepted = vec!["a".to_owned(), "b".to_owned()];
    evidence.stored.recipients = vec![owned("a", "done"), owned("b", "done")];
    evidence.stored.ledger = BTreeMap::from([("deposit".to_owned(), 9), ("withdrawal".to_owned(), 2)]);
    evidence.stored.events = BTreeMap::from([("processed".to_owned(), 2)]);
    evidence
}

fn answer(evidence: &mut Evidence, outcome: Result<u16, SendError>) {
    let outcome = outcome.map(|status| Reply { status, body: "{}".into() });
    evidence.sent.tally.record(&outcome, Duration::ZERO);
}

/// What is said after one change to good evidence.
fn after(change: impl FnOnce(&mut Evidence)) -> String {
    let mut evidence = fine();
    change(&mut evidence);
    evidence.mismatches().join("; ")
}

#[test]
fn good_evidence_passes() {
    assert_eq!(after(|_| ()), "");
    assert_eq!(fine().delivered(), 2);
}

#[test]
fn messages_that_are_lost_unfinished_doubled_or_invented_are_found() {
    assert!(after(|it| drop(it.stored.recipients.remove(0))).contains("accepted message a is lost"));
    assert!(after(|it| it.stored.recipients[1].1 = "sending".into()).contains("accepted message b is sending"));
    assert!(after(|it| it.stored.recipients[1].0 = "a".into()).contains("message a has 2 recipients, not 1"));
    assert!(after(|it| it.stored.recipients.push(("c".into(), "done".into()))).contains("1 messages are stored"));
    assert!(after(|it| it.sent.accepted.push("a".into())).contains("two requests were told message a"));
    assert!(after(|it| it.submissions = 3).contains("3 submissions taken by the operator, 2 recipients delivered to"));
    let open = after(|it| it.stored.events.extend([("pending".to_owned(), 1)]));
    assert_eq!(open, "1 outbox events not published, 0 allowed");
}

#[test]
fn money_that_does_not_add_up_is_found() {
    let ledger = |kind: &str, rows| after(|it| it.stored.ledger.extend([(kind.to_owned(), rows)]));
    assert_eq!(ledger("withdrawal", 3), "3 charges, 2 messages");
    assert_eq!(ledger("corrective", 1), "1 refunds, 0 failed recipients");
    assert!(after(|it| it.unbalanced = 1).contains("1 balances that differ from their ledger"));
}

#[test]
fn a_failed_recipient_needs_its_refund_and_is_no_delivery() {
    let failed = after(|it| {
        it.stored.recipients[1].1 = "failed".into();
        it.submissions = 1;
    });
    assert_eq!(failed, "accepted message b is failed; 0 refunds, 1 failed recipients");
}

#[test]
fn only_a_stopping_change_may_refuse_and_only_with_503() {
    assert_eq!(after(|it| answer(it, Ok(503))), "1 requests were answered 503");
    let stopping = |status| {
        after(|it| {
            it.may_refuse = true;
            answer(it, Ok(status));
        })
    };
    assert_eq!((stopping(503).as_str(), stopping(500).as_str()), ("", "1 requests were answered 500"));
}

#[test]
fn a_request_without_an_answer_is_a_failure_and_may_have_been_accepted() {
    let found = after(|it| {
        answer(it, Err(SendError::Broken));
        it.stored.recipients.push(("c".into(), "done".into()));
        it.stored.ledger.insert("withdrawal".into(), 3);
        it.submissions = 3;
    });
    assert_eq!(found, "1 requests got no answer (broken)");
}

#[test]
fn the_older_releases_status_says_what_kind_of_change_it_is() {
    let of = |code, listing| Kind::of(Some(code), listing).ok();
    assert_eq!(of(0, "applied m0001_a\n"), Some(Kind::Same));
    assert_eq!(of(0, "applied m0001_a\nnewer m0002_b\n"), Some(Kind::Rolling));
    assert_eq!(of(2, "applied m0001_a\ntoo-new m0002_b\n"), Some(Kind::Stopping));
    assert_eq!(of(2, "pending m0001_a\n"), None);
    assert_eq!(of(1, "migrate: reading which migrations are applied\n"), None);
    assert_eq!(Kind::of(None, "").ok(), None);
}

//! What an SMSC may have: silence, answers that come late, and what is said of a second copy.

use super::*;

#[tokio::test]
async fn what_was_written_without_an_answer_is_unknown_and_not_sent_again_at_once() {
    let smsc = smsc();
    let behaviour = SmscBehaviour::default().with_suffix("01", SmscMode::Silent).with_suffix("02", SmscMode::Cut);
    smsc.set_behaviour(behaviour).expect("valid");
    let it = Fixture::new(&format!("a={}?timeout_ms=300,b=simulated:", smsc.url()));
    let sessions = || it.operators.sessions().next().map(|(_, state)| state);
    eventually(|| sessions() == Some(SessionsState::All)).await;
    for recipient in ["+491511201", "+491511202"] {
        assert_eq!(class(&it.send(&hello(recipient)).await), "unknown", "{recipient}");
    }
    assert_eq!(submits(&smsc).len(), 2, "once each, and the other operator is not asked");
    // After the cut there is a session again.
    eventually(|| sessions() == Some(SessionsState::All)).await;
    assert_eq!(class(&it.send(&hello("+491511200")).await), "accepted");
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn a_late_acceptance_is_told() {
    let smsc = smsc();
    let late = SmscMode::Accept { delay: Duration::from_millis(900) };
    smsc.set_behaviour(late).expect("valid");
    let mut it = Fixture::new(&format!("a={}?timeout_ms=300&unknown=hold", smsc.url()));
    it.bound().await;
    let submission = hello("+4915112345");
    assert_eq!(class(&it.send(&submission).await), "unknown");
    let late = timeout(DEADLINE, it.late.recv()).await.expect("in time").expect("told");
    assert_eq!((late.message_id, late.recipient), (submission.message_id.clone(), submission.recipient.clone()));
    assert!(matches!(late.verdict, LateVerdict::Taken(ids) if ids.len() == 1) && late.operator.as_str() == "a");
    assert!(it.operators.hold_unknown());
    for prior in [Prior::Resumed, Prior::Overdue] {
        assert_eq!(class(&it.operators.send(&submission, prior).await), "unknown");
    }
    assert_eq!(submits(&smsc).len(), 1, "it is never sent again");
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn what_one_operator_holds_no_other_is_asked_for() {
    let smsc = smsc();
    smsc.set_behaviour(SmscMode::Silent).expect("valid");
    let held = format!("b={}?unknown=hold&timeout_ms=300", smsc.url());
    let it = Fixture::new(&format!("a=smpp://u:p@{},{held}", ClosedPort::new().address));
    it.bound().await;
    assert_eq!(class(&it.send(&hello("+491511201")).await), "unknown", "b is silent");
    it.end().await;
    let other = self::smsc();
    let it = Fixture::new(&format!("a={},{held}", other.url()));
    eventually(|| other.stats().sessions == 1).await;
    let verdict = it.operators.send(&hello("+491511201"), Prior::Resumed).await;
    assert_eq!(submits(&other).len(), 0, "it is held, but sent again: {verdict:?}");
    it.end().await;
}

#[tokio::test]
async fn a_rejection_says_nothing_of_what_was_taken_before_unless_it_is_about_a_number() {
    let smsc = smsc();
    smsc.set_behaviour(SmscMode::Silent).expect("valid");
    let it = Fixture::new(&format!("a={}?timeout_ms=300", smsc.url()));
    it.bound().await;
    assert_eq!(class(&it.send(&hello("+491511201")).await), "unknown");
    smsc.set_behaviour(SmscMode::refuse(Status(0x66))).expect("valid");
    let again = async || class(&it.operators.send(&hello("+491511201"), Prior::Resumed).await);
    assert_eq!(again().await, "never known", "the second copy was rejected, the first may be on its way");
    smsc.set_behaviour(SmscMode::refuse(Status(0x0B))).expect("valid");
    assert_eq!(again().await, "rejected", "no copy of it can have been taken");
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn what_one_rejects_that_it_may_have_no_other_is_asked_for_at_once() {
    let (first, second) = (smsc(), smsc());
    first.set_behaviour(SmscMode::Silent).expect("valid");
    let it = Fixture::new(&format!("a={}?timeout_ms=300,b={}", first.url(), second.url()));
    it.bound().await;
    eventually(|| second.stats().sessions == 1).await;
    assert_eq!(class(&it.send(&hello("+491511201")).await), "unknown");
    first.set_behaviour(SmscMode::refuse(Status(0x66))).expect("valid");
    let again = async |prior| class(&it.operators.send(&hello("+491511201"), prior).await);
    assert_eq!((again(Prior::Resumed).await, submits(&second).len()), ("unknown", 0), "a may have the first copy");
    assert_eq!((again(Prior::Overdue).await, submits(&second).len()), ("accepted", 1));
    it.end().await;
    first.stop().await;
    second.stop().await;
}

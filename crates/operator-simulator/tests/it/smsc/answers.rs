//! How submits are answered.

use std::time::{Duration, Instant};

use operator_simulator::{SmscBehaviour, SmscDecision, SmscEnd, SmscEvent, SmscMode, SmscRule};
use smpp::{BindMode, Body, Status};

use crate::smsc::{
    esme::{Esme, message},
    events, start, submits, wait_for_stats,
};

#[tokio::test]
async fn an_smsc_accepts_and_remembers_what_it_was_sent() {
    let smsc = start(SmscMode::ACCEPT);
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let mut sm = message("+491511");
    (sm.validity_period, sm.short_message) = ("000000001000000R".to_owned(), b"\x00hi".as_slice().into());
    let sequence = esme.request(Body::SubmitSm(Box::new(sm))).await;
    let (answered, status, id) = esme.answer().await;
    assert_eq!((answered, status, id.as_str()), (sequence, Status::OK, "1a2b3be9"));
    let (_, second) = esme.submit("+491512").await;
    assert_ne!(second, id);

    let submit = submits(&smsc).remove(0);
    assert_eq!((submit.decision, submit.status), (SmscDecision::Accepted, Some(0)));
    assert_eq!((submit.message_id.as_ref(), submit.sequence), (Some(&id), sequence));
    let (source, destination) = (submit.source, submit.destination);
    assert_eq!((source.ton, source.npi, source.address.as_str()), (5, 0, "BANK"));
    assert_eq!((destination.ton, destination.npi, destination.address.as_str()), (1, 1, "491511"));
    assert_eq!((submit.text.as_deref(), submit.validity_period.as_str()), (Some("@hi"), "000000001000000R"));
    assert_eq!((submit.registered_delivery, submit.data_coding, submit.udh), (1, 0, None));
    let stats = smsc.stats();
    assert_eq!((stats.submits, stats.accepted, stats.receipts_sent), (2, 2, 0));
    let journal = smsc.journal();
    assert!(journal.iter().map(|entry| (entry.seq, entry.session)).eq([(1, 1), (2, 1), (3, 1)]), "{journal:?}");
    assert_eq!(smsc.journal_after(2), journal[2..]);
    smsc.clear_journal();
    assert_eq!((smsc.journal(), smsc.stats().submits, smsc.stats().sessions), (Vec::new(), 0, 1));
    smsc.stop().await;
}

#[tokio::test]
async fn every_status_is_answered_by_the_most_specific_rule() {
    let code = Status::INVALID_DESTINATION;
    let behaviour = SmscBehaviour::from(SmscMode::refuse(code))
        .with_suffix("0002", SmscRule::from(SmscMode::THROTTLE).times(2))
        .with_suffix("12", SmscMode::QUEUE_FULL)
        .with_recipient("4912", SmscMode::ACCEPT);
    let smsc = start(behaviour.clone());
    let mut esme = Esme::bound(&smsc, BindMode::Transmitter).await;
    for (recipient, expected) in [
        ("+4911", code),
        ("+4912", Status::OK),
        ("+5512", Status::QUEUE_FULL),
        ("+490002", Status::THROTTLED),
        ("+550002", Status::THROTTLED),
        ("+490002", Status::THROTTLED),
        ("+490002", Status::OK),
        ("+550002", Status::THROTTLED),
        ("+550002", Status::OK),
    ] {
        let (status, id) = esme.submit(recipient).await;
        assert_eq!((status, id.is_empty()), (expected, expected != Status::OK), "{recipient}");
    }
    smsc.set_behaviour(behaviour).expect("valid");
    assert_eq!(esme.submit("+490002").await.0, Status::THROTTLED, "it counts anew");
    let stats = smsc.stats();
    assert_eq!((stats.accepted, stats.refused, stats.throttled, stats.submits), (3, 7, 0, 10));
    assert!(submits(&smsc).iter().all(|submit| submit.message_id.is_some() == submit.decision.is_accepted()));
    smsc.stop().await;
}

#[tokio::test]
async fn answers_are_late_or_never_and_do_not_hold_up_others() {
    let delay = Duration::from_millis(300);
    let behaviour =
        SmscBehaviour::default().with_suffix("4", SmscMode::Silent).with_suffix("5", SmscMode::Accept { delay });
    let smsc = start(behaviour);
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let started = Instant::now();
    let first = esme.submit_all(&["+494", "+495", "+496"]).await;
    assert_eq!(esme.answer().await.0, first + 2);
    assert_eq!(esme.answer().await.0, first + 1);
    assert!(started.elapsed() >= delay);
    let link = esme.request(Body::EnquireLink).await;
    assert_eq!(esme.next().await.sequence, link, "the silent one is not answered");
    let decisions: Vec<_> = submits(&smsc).iter().map(|submit| (submit.decision, submit.status)).collect();
    let expected = [(SmscDecision::Silent, None), (SmscDecision::Accepted, Some(0)), (SmscDecision::Accepted, Some(0))];
    assert_eq!(decisions, expected);
    smsc.stop().await;
}

#[tokio::test]
async fn a_connection_is_cut_instead_of_an_answer() {
    let smsc = start(SmscBehaviour::default().with_suffix("9", SmscRule::from(SmscMode::Cut).times(1)));
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let first = esme.submit_all(&["+491", "+499", "+492"]).await;
    assert_eq!(esme.answer().await.0, first, "what came before it is answered");
    assert_eq!(esme.next_or_end().await, None);
    wait_for_stats(&smsc, |stats| stats.sessions == 0).await;
    let decisions: Vec<_> = submits(&smsc).iter().map(|submit| (submit.decision, submit.status)).collect();
    assert_eq!(decisions, [(SmscDecision::Accepted, Some(0)), (SmscDecision::Cut, None)], "it has both, and no more");
    assert_eq!(events(&smsc).pop(), Some(SmscEvent::Closed { why: SmscEnd::Cut }));

    let mut again = Esme::bound(&smsc, BindMode::Transceiver).await;
    assert_eq!(again.submit("+499").await.0, Status::OK, "only the first one");
    smsc.stop().await;
}

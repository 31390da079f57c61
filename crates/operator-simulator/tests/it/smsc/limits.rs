//! What an SMSC enforces and counts.

use std::time::Duration;

use operator_simulator::{SmscBehaviour, SmscDecision, SmscMode};
use smpp::{BindMode, Status};

use crate::smsc::{esme::Esme, start, submits, wait_for_stats};

#[tokio::test]
async fn what_comes_above_the_rate_is_throttled() {
    let smsc = start(SmscBehaviour { tps: 3, ..SmscBehaviour::default() });
    let mut one = Esme::bound(&smsc, BindMode::Transceiver).await;
    let mut other = Esme::bound(&smsc, BindMode::Transmitter).await;
    for esme in [&mut one, &mut other] {
        assert_eq!(esme.submit("+491").await.0, Status::OK);
    }
    one.submit_all(&["+491", "+492", "+493"]).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(one.answer().await.1);
    }
    // On a machine that is busy a second may be over between any two of them.
    let throttled = statuses.iter().filter(|status| **status == Status::THROTTLED).count();
    let journal = smsc.journal();
    let took = journal[journal.len() - 1].at_ms - journal[0].at_ms;
    assert!(throttled == 2 || took >= 999, "{statuses:?} in {took} ms");
    let stats = smsc.stats();
    assert_eq!((stats.submits, stats.throttled, stats.accepted), (5, throttled as u64, 5 - throttled as u64));
    assert!(stats.max_per_second == 5 || took >= 999, "{stats:?}");
    let decisions = submits(&smsc).into_iter().filter(|submit| submit.decision == SmscDecision::Throttled).count();
    assert_eq!(decisions, throttled);

    let deadline = std::time::Instant::now() + crate::smsc::DEADLINE;
    while one.submit("+491").await.0 != Status::OK {
        assert!(std::time::Instant::now() < deadline, "it is throttled for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    smsc.stop().await;
}

#[tokio::test]
async fn the_largest_window_of_a_session_is_known() {
    let smsc = start(SmscMode::Accept { delay: Duration::from_millis(200) });
    let mut one = Esme::bound(&smsc, BindMode::Transceiver).await;
    let mut other = Esme::bound(&smsc, BindMode::Transceiver).await;
    for _ in 0..3 {
        one.submit_all(&["+491", "+492", "+493"]).await;
        other.submit_all(&["+491", "+492"]).await;
        wait_for_stats(&smsc, |stats| stats.submits.is_multiple_of(5)).await;
        for _ in 0..3 {
            assert_eq!(one.answer().await.1, Status::OK);
        }
        for _ in 0..2 {
            assert_eq!(other.answer().await.1, Status::OK);
        }
    }
    assert_eq!(smsc.stats().max_window, 3);
    smsc.stop().await;
}

#[tokio::test]
async fn what_is_never_answered_stays_in_the_window() {
    let smsc = start(SmscBehaviour::default().with_suffix("4", SmscMode::Silent));
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    esme.submit_all(&["+494", "+494"]).await;
    for _ in 0..3 {
        esme.submit("+491").await;
    }
    assert_eq!(smsc.stats().max_window, 3);
    smsc.clear_journal();
    drop(esme);
    Esme::bound(&smsc, BindMode::Transceiver).await.submit("+491").await;
    assert_eq!(smsc.stats().max_window, 1, "another session has its own");
    smsc.stop().await;
}

//! Receipts, as they reach a client.

use std::time::{Duration, Instant};

use operator_simulator::{
    IdForm, ReceiptForm, Smsc, SmscBehaviour, SmscEvent, SmscMode, SmscOptions, SmscReceipt, SmscRule,
};
use smpp::{BindMode, Body, MessageState, Pdu, Response, Status};

use crate::{
    ANY,
    smsc::{
        esme::{Esme, message},
        events, start, wait_for_stats,
    },
};

fn delivered() -> SmscReceipt {
    SmscReceipt::of(MessageState::Delivered)
}

fn reporting(receipts: Vec<SmscReceipt>) -> SmscBehaviour {
    SmscBehaviour::default().with_receipts(receipts)
}

#[tokio::test]
async fn a_receipt_follows_its_answer_and_its_delay() {
    let delay = Duration::from_millis(200);
    let smsc = start(reporting(vec![delivered().after(delay).error_code("000")]));
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let started = Instant::now();
    let (_, id) = esme.submit("+4911").await;
    let receipt = esme.receipt_answered(Status::OK).await;
    assert!(started.elapsed() >= delay);
    assert_eq!((receipt.id.as_ref(), receipt.state), (Some(&id), MessageState::Delivered));
    assert_eq!((receipt.error.as_deref(), receipt.recipient.as_str()), (Some("000"), "4911"));
    wait_for_stats(&smsc, |stats| (stats.receipts_sent, stats.receipts_taken, stats.receipts_waiting) == (1, 1, 0))
        .await;
    let sent = SmscEvent::DeliverSm {
        message_id: id.clone(),
        receipt_id: id.clone(),
        state: "DELIVRD".to_owned(),
        sequence: 1,
    };
    let answered = SmscEvent::DeliverSmResp { message_id: id, sequence: 1, status: 0 };
    assert_eq!(events(&smsc)[2..], [sent, answered]);
    smsc.stop().await;
}

#[tokio::test]
async fn a_receipt_may_come_before_the_answer_which_waits_for_it() {
    let smsc = start(reporting(vec![delivered().before_answer(), delivered().times(2)]));
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    esme.submit_all(&["+4911"]).await;
    let (sequence, early) = esme.receipt().await;
    let link = esme.request(Body::EnquireLink).await;
    assert_eq!(esme.next().await.sequence, link, "the answer waits");
    esme.send(&[Pdu::response(sequence, Status::OK, Body::DeliverSmResp(Response::default()))]).await;
    let (_, _, id) = esme.answer().await;
    assert_eq!(early.id.as_ref(), Some(&id));
    for _ in 0..2 {
        assert_eq!(esme.receipt_answered(Status::OK).await.id.as_ref(), Some(&id));
    }
    smsc.stop().await;
}

#[tokio::test]
async fn receipts_have_every_form_and_the_order_of_their_times() {
    let later = |state, ms| SmscReceipt::of(state).after(Duration::from_millis(ms));
    let smsc = start(reporting(vec![
        later(MessageState::Enroute, 100).id(IdForm::Padded),
        delivered().id(IdForm::Decimal).form(ReceiptForm::Tlv),
        later(MessageState::Undeliverable, 50).id(IdForm::Upper).form(ReceiptForm::Both).error_code("11"),
    ]));
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let (_, id) = esme.submit("+4911").await;
    for (state, expected, error) in [
        (MessageState::Delivered, "439041001".to_owned(), None),
        (MessageState::Undeliverable, id.to_uppercase(), Some("11")),
        (MessageState::Enroute, format!("000{id}"), Some("000")),
    ] {
        let receipt = esme.receipt_answered(Status::OK).await;
        assert_eq!((receipt.state, receipt.id, receipt.error.as_deref()), (state, Some(expected), error));
    }
    smsc.stop().await;
}

#[tokio::test]
async fn only_what_was_asked_for_comes() {
    let throttle = SmscRule::from(SmscMode::THROTTLE).times(1);
    let smsc = start(
        reporting(vec![delivered(), SmscReceipt::of(MessageState::Rejected)])
            .with_suffix("1", SmscRule::from(SmscMode::ACCEPT).with_receipts(Vec::new()))
            .with_suffix("2", throttle.with_receipts(vec![delivered()])),
    );
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    for (recipient, registered_delivery, expected) in [
        ("+490", 0, vec![]),
        ("+490", 1, vec![MessageState::Delivered, MessageState::Rejected]),
        ("+490", 2, vec![MessageState::Rejected]),
        ("+491", 1, vec![]),
        ("+492", 1, vec![]),
        ("+492", 1, vec![MessageState::Delivered]),
    ] {
        let sm = smpp::Sm { registered_delivery, ..message(recipient) };
        esme.request(Body::SubmitSm(Box::new(sm))).await;
        esme.answer().await;
        for state in expected {
            assert_eq!(esme.receipt_answered(Status::OK).await.state, state, "{recipient}");
        }
        let link = esme.request(Body::EnquireLink).await;
        assert_eq!(esme.next().await.sequence, link, "nothing else came");
    }
    smsc.stop().await;
}

#[tokio::test]
async fn what_a_client_cannot_take_now_comes_again() {
    let smsc = start(reporting(vec![delivered()]));
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let (_, id) = esme.submit("+4911").await;
    let mut times = Vec::new();
    for status in [Status::TEMPORARY_APPLICATION_ERROR, Status::TEMPORARY_APPLICATION_ERROR, Status::OK] {
        assert_eq!(esme.receipt_answered(status).await.id.as_ref(), Some(&id));
        times.push(Instant::now());
    }
    assert!(times[1] - times[0] >= Duration::from_millis(90), "{times:?}");
    assert!(times[2] - times[1] >= Duration::from_millis(190), "{times:?}");
    wait_for_stats(&smsc, |stats| (stats.receipts_sent, stats.receipts_taken) == (3, 1)).await;

    esme.submit("+4911").await;
    esme.receipt_answered(Status::REJECTED_BY_APPLICATION).await;
    wait_for_stats(&smsc, |stats| (stats.receipts_given_up, stats.receipts_waiting) == (1, 0)).await;
    smsc.stop().await;
}

#[tokio::test]
async fn receipts_go_to_whoever_receives_and_wait_until_somebody_does() {
    let smsc = start(reporting(vec![delivered().before_answer(), SmscReceipt::of(MessageState::Expired)]));
    let mut transmitter = Esme::bound(&smsc, BindMode::Transmitter).await;
    let (status, id) = transmitter.submit("+4911").await;
    assert_eq!(status, Status::OK, "the answer waits for nobody");
    assert_eq!(smsc.stats().receipts_waiting, 2);

    let mut receiver = Esme::bound(&smsc, BindMode::Receiver).await;
    for state in [MessageState::Delivered, MessageState::Expired] {
        let (_, receipt) = receiver.receipt().await;
        assert_eq!((receipt.state, receipt.id.as_ref()), (state, Some(&id)));
    }
    drop(receiver);
    wait_for_stats(&smsc, |stats| stats.receipts_waiting == 2).await;
    let mut again = Esme::bound(&smsc, BindMode::Receiver).await;
    for state in [MessageState::Delivered, MessageState::Expired] {
        assert_eq!(again.receipt_answered(Status::OK).await.state, state, "what was not answered comes again");
    }
    transmitter.submit_all(&["+4912"]).await;
    assert_eq!(again.receipt_answered(Status::OK).await.state, MessageState::Delivered);
    transmitter.answer().await;
    assert_eq!(again.receipt_answered(Status::OK).await.state, MessageState::Expired);
    smsc.stop().await;
}

#[tokio::test]
async fn what_was_not_answered_is_reported_too() {
    let smsc = start(
        reporting(vec![delivered()])
            .with_suffix("4", SmscMode::Silent)
            .with_suffix("5", SmscMode::Accept { delay: Duration::from_hours(1) })
            .with_suffix("9", SmscMode::Cut),
    );
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    esme.submit_all(&["+494"]).await;
    assert_eq!(esme.receipt_answered(Status::OK).await.recipient, "494");
    esme.submit_all(&["+495", "+499"]).await;
    assert_eq!(esme.next_or_end().await, None);
    let mut again = Esme::bound(&smsc, BindMode::Transceiver).await;
    let mut recipients = Vec::new();
    for _ in 0..2 {
        recipients.push(again.receipt_answered(Status::OK).await.recipient);
    }
    recipients.sort();
    assert_eq!(recipients, ["495", "499"]);
    smsc.stop().await;
}

#[tokio::test]
async fn more_receipts_than_may_wait_are_given_up() {
    let smsc = Smsc::start(ANY, SmscOptions { capacity: 2, ..SmscOptions::default() }).expect("a free port");
    smsc.set_behaviour(reporting(vec![delivered().times(3)])).expect("valid");
    let mut transmitter = Esme::bound(&smsc, BindMode::Transmitter).await;
    transmitter.submit("+4911").await;
    let stats = smsc.stats();
    assert_eq!((stats.receipts_waiting, stats.receipts_given_up, stats.journal_dropped), (2, 1, 0));
    transmitter.submit("+4912").await;
    assert_eq!(smsc.stats().journal_dropped, 1);
    smsc.stop().await;
}

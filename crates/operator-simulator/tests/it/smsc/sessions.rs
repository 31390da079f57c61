//! How sessions begin and end.

use std::time::Duration;

use operator_simulator::{Smsc, SmscBehaviour, SmscBindMode, SmscDecision, SmscEnd, SmscEvent, SmscMode, SmscOptions};
use smpp::{BindMode, Body, Pdu, Status};
use tokio::net::TcpStream;

use crate::smsc::{
    esme::{Esme, bind_as, message},
    events, start, submits, wait_for_stats, wait_until,
};

#[tokio::test]
async fn who_is_not_known_gets_no_session() {
    let options = SmscOptions { system_id: "a:b".to_owned(), password: "c@d".to_owned(), ..SmscOptions::default() };
    let smsc = Smsc::start(crate::ANY, options).expect("a free port");
    assert_eq!(smsc.url(), format!("smpp://a%3Ab:c%40d@{}", smsc.address()));
    for (system_id, password, expected) in [
        ("esme1", "c@d", Status::INVALID_SYSTEM_ID),
        ("a:b", "secret", Status::INVALID_PASSWORD),
        ("a:b", "c@d", Status::OK),
    ] {
        let mut esme = Esme::connect(smsc.address()).await;
        assert_eq!(esme.bind(BindMode::Transceiver, bind_as(system_id, password)).await, expected);
        if expected != Status::OK {
            assert_eq!(esme.next_or_end().await, None, "it was closed");
        }
    }
    let bind = |system_id: &str, status: Status| SmscEvent::Bind {
        mode: SmscBindMode::Transceiver,
        system_id: system_id.to_owned(),
        version: 0x34,
        status: status.0,
    };
    let refused = SmscEvent::Closed { why: SmscEnd::Refused };
    assert_eq!(events(&smsc)[..2], [bind("esme1", Status::INVALID_SYSTEM_ID), refused]);
    let stats = smsc.stats();
    assert_eq!((stats.binds, stats.binds_refused), (1, 2));
    smsc.stop().await;
}

#[tokio::test]
async fn there_may_be_only_so_many_sessions() {
    let smsc = start(SmscBehaviour { max_binds: Some(2), ..SmscBehaviour::default() });
    let first = Esme::bound(&smsc, BindMode::Transmitter).await;
    let mut second = Esme::bound(&smsc, BindMode::Receiver).await;
    let mut third = Esme::connect(smsc.address()).await;
    assert_eq!(third.bind(BindMode::Transceiver, bind_as("esme1", "secret")).await, Status::ALREADY_BOUND);
    drop(first);
    wait_for_stats(&smsc, |stats| stats.sessions == 1).await;
    let fourth = Esme::bound(&smsc, BindMode::Transceiver).await;
    assert_eq!(second.bind(BindMode::Receiver, bind_as("esme1", "secret")).await, Status::ALREADY_BOUND);
    assert_eq!(smsc.stats().sessions, 2, "a second bind does not end the first");
    drop(fourth);

    let refuse_binds = Some(Status::BIND_FAILED);
    smsc.set_behaviour(SmscBehaviour { refuse_binds, ..SmscBehaviour::default() }).expect("valid");
    let mut refused = Esme::connect(smsc.address()).await;
    assert_eq!(refused.bind(BindMode::Transceiver, bind_as("esme1", "secret")).await, Status::BIND_FAILED);
    smsc.stop().await;
}

#[tokio::test]
async fn messages_need_a_session_that_transmits() {
    let smsc = start(SmscMode::ACCEPT);
    let mut unbound = Esme::connect(smsc.address()).await;
    let mut receiver = Esme::bound(&smsc, BindMode::Receiver).await;
    for esme in [&mut unbound, &mut receiver] {
        assert_eq!(esme.submit("+491").await, (Status::INVALID_BIND_STATUS, String::new()));
    }
    assert_eq!(unbound.bind(BindMode::Transmitter, bind_as("esme1", "secret")).await, Status::OK);
    assert_eq!(unbound.submit("+491").await.0, Status::OK);
    let decisions: Vec<_> = submits(&smsc).iter().map(|submit| submit.decision).collect();
    assert_eq!(decisions, [SmscDecision::NotBound, SmscDecision::NotBound, SmscDecision::Accepted]);
    assert_eq!(smsc.stats().submits, 1);
    smsc.stop().await;
}

#[tokio::test]
async fn what_is_not_understood_costs_only_that() {
    let smsc = start(SmscMode::ACCEPT);
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    // query_sm, which is not known here, and a submit_sm without a body.
    for (command, expected) in [(0x03, Status::INVALID_COMMAND), (0x04, Status::SYSTEM_ERROR)] {
        esme.send_bytes(&[0, 0, 0, 16, 0, 0, 0, command, 0, 0, 0, 0, 0, 0, 0, 77]).await;
        let answer = esme.next().await;
        assert_eq!((answer.status, answer.sequence), (expected, 77));
    }
    esme.request(Body::DeliverSm(Box::new(message("+491")))).await;
    assert_eq!(esme.next().await.body, Body::GenericNack);
    assert_eq!(esme.submit("+491").await.0, Status::OK);
    esme.send_bytes(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(esme.next().await.body, Body::GenericNack);
    assert_eq!(esme.next_or_end().await, None);
    wait_for_stats(&smsc, |stats| stats.sessions == 0).await;
    assert_eq!(events(&smsc).pop(), Some(SmscEvent::Closed { why: SmscEnd::NotSmpp }));
    smsc.stop().await;
}

#[tokio::test]
async fn links_are_enquired_and_answered_unless_it_is_frozen() {
    let smsc = start(SmscMode::ACCEPT);
    let mut esme = Esme::bound(&smsc, BindMode::Transmitter).await;
    let link = esme.request(Body::EnquireLink).await;
    assert_eq!(esme.next().await, Pdu::response(link, Status::OK, Body::EnquireLinkResp));

    let frozen = SmscBehaviour {
        answers_enquire_link: false,
        enquires: Some(Duration::from_millis(20)),
        ..SmscBehaviour::default()
    };
    smsc.set_behaviour(frozen).expect("valid");
    esme.request(Body::EnquireLink).await;
    for _ in 0..2 {
        let asked = esme.next().await;
        assert_eq!(asked.body, Body::EnquireLink, "its own, and no answer");
        esme.send(&[Pdu::response(asked.sequence, Status::OK, Body::EnquireLinkResp)]).await;
    }
    wait_for_stats(&smsc, |stats| stats.enquire_links_answered >= 2).await;
    assert_eq!(smsc.stats().enquire_links, 2);
    smsc.stop().await;
}

#[tokio::test]
async fn an_unbind_is_answered_and_ends_the_session() {
    let smsc = start(SmscMode::ACCEPT);
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let unbind = esme.request(Body::Unbind).await;
    assert_eq!(esme.next().await, Pdu::response(unbind, Status::OK, Body::UnbindResp));
    assert_eq!(esme.next_or_end().await, None);
    wait_for_stats(&smsc, |stats| stats.sessions == 0).await;
    let expected = [SmscEvent::Unbind { by_smsc: false }, SmscEvent::Closed { why: SmscEnd::Unbound }];
    assert_eq!(events(&smsc)[1..], expected);
    smsc.stop().await;
}

#[tokio::test]
async fn a_session_that_the_smsc_unbinds_gets_its_answers_first() {
    let smsc = start(SmscMode::Accept { delay: Duration::from_millis(300) });
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let _unbound = TcpStream::connect(smsc.address()).await.expect("it listens");
    let submit = esme.submit_all(&["+491"]).await;
    wait_for_stats(&smsc, |stats| stats.submits == 1).await;
    smsc.unbind_all();
    let unbind = esme.next().await;
    assert_eq!(unbind.body, Body::Unbind);
    esme.send(&[Pdu::response(unbind.sequence, Status::OK, Body::UnbindResp)]).await;
    assert_eq!(esme.answer().await.0, submit);
    assert_eq!(esme.next_or_end().await, None);
    wait_for_stats(&smsc, |stats| stats.sessions == 0).await;
    let expected = [SmscEvent::Unbind { by_smsc: true }, SmscEvent::Closed { why: SmscEnd::Unbound }];
    assert_eq!(events(&smsc)[2..], expected);
    Esme::bound(&smsc, BindMode::Transceiver).await;
    smsc.stop().await;
}

#[tokio::test]
async fn all_connections_can_be_cut() {
    let smsc = start(SmscMode::Silent);
    let mut bound = Esme::bound(&smsc, BindMode::Transceiver).await;
    bound.submit_all(&["+491"]).await;
    let mut unbound = Esme::connect(smsc.address()).await;
    unbound.request(Body::EnquireLink).await;
    unbound.next().await;
    smsc.cut_all();
    assert_eq!(bound.next_or_end().await, None);
    assert_eq!(unbound.next_or_end().await, None);
    let ends = || events(&smsc).into_iter().filter(|event| *event == SmscEvent::Closed { why: SmscEnd::Cut }).count();
    wait_until(|| ends() == 2, || format!("{:?}", smsc.journal())).await;
    Esme::bound(&smsc, BindMode::Transceiver).await;
    smsc.stop().await;
}

#[tokio::test]
async fn another_starts_where_one_was_stopped() {
    let smsc = start(SmscMode::ACCEPT);
    let address = smsc.address();
    let mut esme = Esme::bound(&smsc, BindMode::Transceiver).await;
    let (_, id) = esme.submit("+491").await;
    smsc.stop().await;
    assert_eq!(esme.next_or_end().await, None);
    assert_eq!(submits(&smsc).len(), 1, "the journal can still be read");

    let first_id = smsc.stats().accepted;
    let again = Smsc::start(address, SmscOptions { first_id, ..SmscOptions::default() }).expect("the port is free");
    let mut esme = Esme::bound(&again, BindMode::Transceiver).await;
    assert_ne!(esme.submit("+491").await.1, id);
    again.stop().await;
}

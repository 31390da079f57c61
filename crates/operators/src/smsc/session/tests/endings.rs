//! How sessions end, and what becomes of what was sent on them.

use tokio::io::AsyncWriteExt as _;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_idle_smsc_is_asked_and_one_that_does_not_answer_is_gone() {
    let mut it = Fixture::new("enquire_s=30&timeout_ms=10000");
    let began = Instant::now();
    let Pdu { sequence, body, .. } = it.next().await;
    assert_eq!((body, began.elapsed().as_secs()), (Body::EnquireLink, 30));
    it.put(Pdu::response(sequence, Status::OK, Body::EnquireLinkResp)).await;
    assert!(it.is_quiet(29).await);
    // Another PDU than the answer shows as well that it is there.
    assert_eq!(it.next().await.body, Body::EnquireLink);
    it.put(Pdu::request(1, Body::EnquireLink)).await;
    assert_eq!(it.next().await, Pdu::response(1, Status::OK, Body::EnquireLinkResp));
    assert!(it.is_quiet(29).await);
    assert_eq!(it.next().await.body, Body::EnquireLink);
    assert!(matches!(it.ended.await.expect("it ended"), Ended::Silent(_)));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_smsc_that_owes_an_answer_is_noticed_sooner() {
    let mut it = Fixture::new("enquire_s=3600&timeout_ms=10000");
    let (_, silent) = it.submit(Lane::Normal, "one");
    it.next_message().await;
    let began = Instant::now();
    assert_eq!(it.next().await.body, Body::EnquireLink);
    assert!(matches!((&mut it.ended).await.expect("it ended"), Ended::Silent(_)));
    assert_eq!(began.elapsed().as_secs(), 20);
    assert_eq!(silent.await.expect("told"), Submitting::NoAnswer);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_when_the_connection_ends_is_unknown() {
    let mut it = Fixture::new("");
    let (_, first) = it.submit(Lane::Normal, "one");
    let (_, second) = it.submit(Lane::Normal, "two");
    it.next_message().await;
    it.next_message().await;
    drop(it.smsc);
    for submit in [first, second] {
        assert_eq!(submit.await.expect("told"), Submitting::Replied(Reply::Lost));
    }
    assert!(matches!(it.ended.await.expect("it ended"), Ended::Broken(Broken::Closed)));
    assert_eq!(it.shared.pool.sessions().borrow().bound, 0);
}

#[tokio::test(start_paused = true)]
async fn an_smsc_that_unbinds_gets_its_answer_and_may_answer_what_it_has() {
    let mut it = Fixture::new("");
    let (_, first) = it.submit(Lane::Normal, "one");
    let (sequence, _) = it.next_message().await;
    it.put(Pdu::request(9, Body::Unbind)).await;
    assert_eq!(it.next().await, Pdu::response(9, Status::OK, Body::UnbindResp));
    let (_, second) = it.submit(Lane::Normal, "two");
    assert!(it.is_quiet(1).await, "nothing more is sent");
    it.answer(sequence, Status::OK, "1").await;
    assert_eq!(first.await.expect("answered"), accepted("1"));
    assert!(matches!(it.ended.await.expect("it ended"), Ended::Unbound));
    assert_eq!(second.await.expect("told"), Submitting::NoSession, "no other session came");
}

#[tokio::test(start_paused = true)]
async fn an_smsc_that_unbinds_may_answer_late() {
    let mut it = Fixture::new("timeout_ms=1000");
    let (submitted, silent) = it.submit(Lane::Normal, "one");
    let (sequence, _) = it.next_message().await;
    it.put(Pdu::request(9, Body::Unbind)).await;
    assert_eq!(it.next().await, Pdu::response(9, Status::OK, Body::UnbindResp));
    assert_eq!(silent.await.expect("told"), Submitting::NoAnswer);
    submitted.leave();
    tokio::time::advance(Duration::from_millis(500)).await;
    it.answer(sequence, Status::OK, "late").await;
    let taken = LateVerdict::Taken(vec![ProviderMessageId::parse("late")]);
    assert_eq!(it.late.recv().await.expect("told").verdict, taken);
    assert!(matches!(it.ended.await.expect("it ended"), Ended::Unbound));
}

#[tokio::test(start_paused = true)]
async fn we_unbind_and_wait_for_the_answer_or_the_end() {
    for closes in [false, true] {
        let mut it = Fixture::new("");
        it.stop.cancel();
        let Pdu { sequence, body, .. } = it.next().await;
        assert_eq!(body, Body::Unbind);
        let began = Instant::now();
        if closes {
            it.smsc.close().await;
            drop(it.smsc);
        } else {
            it.put(Pdu::response(sequence, Status::OK, Body::UnbindResp)).await;
        }
        assert!(matches!(it.ended.await.expect("it ended"), Ended::Stopped));
        assert!(began.elapsed() < Duration::from_secs(1), "closes: {closes}");
    }
    let mut it = Fixture::new("");
    it.stop.cancel();
    it.next().await;
    let began = Instant::now();
    assert!(matches!(it.ended.await.expect("it ended"), Ended::Stopped));
    assert_eq!(began.elapsed().as_secs(), 5, "no longer than that");
}

#[tokio::test(start_paused = true)]
async fn a_status_that_says_that_the_session_is_broken_ends_it() {
    let mut it = Fixture::new("");
    let (_, sent) = it.submit(Lane::Normal, "one");
    let (sequence, _) = it.next_message().await;
    it.answer(sequence, Status::INVALID_BIND_STATUS, "").await;
    assert!(matches!(sent.await.expect("answered"), Submitting::Replied(Reply::Answered(..))));
    let Pdu { sequence, body, .. } = it.next().await;
    assert_eq!(body, Body::Unbind);
    it.put(Pdu::response(sequence, Status::OK, Body::UnbindResp)).await;
    assert!(matches!(it.ended.await.expect("it ended"), Ended::State(Status::INVALID_BIND_STATUS)));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_smpp_ends_the_session_and_is_said() {
    let it = Fixture::new("");
    let Fixture { smsc, ended, .. } = it;
    let mut raw = smsc.into_stream();
    raw.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
    let ended = ended.await.expect("it ended");
    assert!(ended.to_string().contains("HTTP server"), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_answers_before_it_ends() {
    let mut it = Fixture::new("");
    it.put(Pdu::request(9, Body::Unbind)).await;
    let got = timeout(Duration::from_secs(2), it.smsc.receive()).await;
    assert!(matches!(&got, Ok(Ok(frame)) if frame.header.command == 0x8000_0006), "{got:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_behind_a_status_that_breaks_the_session_are_heard() {
    let mut it = Fixture::new("");
    let (_, first) = it.submit(Lane::Normal, "one");
    let (one, _) = it.next_message().await;
    let (_, second) = it.submit(Lane::Normal, "two");
    let (two, _) = it.next_message().await;
    it.smsc.put(&Pdu::response(one, Status::INVALID_BIND_STATUS, Body::SubmitSmResp(Response::default())));
    it.smsc.put(&Pdu::response(two, Status::OK, Body::SubmitSmResp(Response { message_id: "id".to_owned() })));
    while matches!(timeout(Duration::from_millis(1), it.smsc.step()).await, Ok(Ok(()))) {}
    first.await.expect("told");
    assert_eq!(second.await.expect("told"), accepted("id"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_smsc_may_answer_what_it_has_before_a_broken_session_is_made_anew() {
    let mut it = Fixture::new("timeout_ms=10000&enquire_s=3600");
    let (_, first) = it.submit(Lane::Normal, "one");
    let (one, _) = it.next_message().await;
    let (_, second) = it.submit(Lane::Normal, "two");
    let (two, _) = it.next_message().await;
    it.answer(one, Status::INVALID_BIND_STATUS, "").await;
    first.await.expect("told");
    assert!(it.is_quiet(8).await, "an answer is owed");
    it.answer(two, Status::OK, "id").await;
    assert_eq!(second.await.expect("told"), accepted("id"));
    assert_eq!(it.next().await.body, Body::Unbind);
}

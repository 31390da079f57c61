//! Sessions against an SMSC at the other end of a pipe, in time that only moves when everybody waits.

use domain::{Lane, ProviderMessageId};
use smpp::{Sm, Tlv, esm, tag};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    Late, LateVerdict, Report, SessionsState,
    smsc::{
        Pool, Sessions,
        begun::Begun,
        config::tests::parsed,
        meters::{Meters, Shown},
        pool::Submitting,
        room::Room,
        submitted::Submitted,
    },
    testing,
};

mod endings;

/// A session with both of its ends.
struct Fixture {
    shared: Arc<Shared>,
    smsc: Link<DuplexStream>,
    reports: mpsc::Receiver<Report>,
    late: mpsc::Receiver<Late>,
    _late: mpsc::Sender<Late>,
    stop: CancellationToken,
    ended: JoinHandle<Ended>,
    tasks: TaskTracker,
}

impl Fixture {
    fn new(parameters: &str) -> Self {
        Self::with(parameters, false, Vec::new())
    }

    /// One whose SMSC sent these before it answered the bind, alone or beside other operators.
    fn with(parameters: &str, has_others: bool, early: Vec<Pdu>) -> Self {
        let config = parsed(&format!("smpp://u:p@host?{parameters}")).expect("accepted");
        let ((reports, told), (late, told_late)) = (mpsc::channel(10), mpsc::channel(10));
        let operator = testing::name("a");
        let meters = Arc::new(Meters::new(&operator));
        let pool = Pool::new(&config, has_others);
        let room = Arc::new(Room::new(&config));
        let shared = Arc::new(Shared {
            operator,
            config,
            pool,
            begun: Begun::default(),
            room,
            meters,
            reports,
            late: late.downgrade(),
        });
        let (ours, theirs) = duplex(64 * 1024);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let session = Session::new(Link::new(ours), Arc::clone(&shared), true);
        let (stopped, mut shown) = (stop.clone(), Shown::new(&shared.meters, SessionState::Binding));
        let ended = tasks.spawn(async move { session.run(early, &stopped, &mut shown).await.ended });
        Self { shared, smsc: Link::new(theirs), reports: told, late: told_late, _late: late, stop, ended, tasks }
    }

    /// Submits a part of a message of its own.
    fn submit(&self, lane: Lane, text: &'static str) -> (Arc<Submitted>, JoinHandle<Submitting>) {
        let submitted = in_parts(1);
        let submit = self.submit_part(lane, text, &submitted, 0);
        (submitted, submit)
    }

    fn submit_part(
        &self,
        lane: Lane,
        text: &'static str,
        submitted: &Arc<Submitted>,
        part: usize,
    ) -> JoinHandle<Submitting> {
        let (shared, submitted) = (Arc::clone(&self.shared), Arc::clone(submitted));
        let sm = Box::new(Sm { short_message: text.as_bytes().into(), ..Sm::default() });
        self.tasks.spawn(async move { shared.pool.submit(lane, sm, &submitted, part).await })
    }

    /// The next PDU that the SMSC gets.
    async fn next(&mut self) -> Pdu {
        Pdu::read(self.smsc.receive().await.expect("the session is there")).expect("we write what can be read")
    }

    /// The next message that the SMSC gets: its number and its text. That it is there is answered.
    async fn next_message(&mut self) -> (u32, String) {
        loop {
            match self.next().await {
                Pdu { sequence, body: Body::SubmitSm(sm), .. } => {
                    return (sequence, String::from_utf8_lossy(sm.octets()).into_owned());
                }
                Pdu { sequence, body: Body::EnquireLink, .. } => {
                    self.put(Pdu::response(sequence, Status::OK, Body::EnquireLinkResp)).await;
                }
                other => panic!("no message: {other:?}"),
            }
        }
    }

    /// Whether the SMSC gets nothing for a while.
    async fn is_quiet(&mut self, seconds: u64) -> bool {
        timeout(Duration::from_secs(seconds), self.smsc.receive()).await.is_err()
    }

    async fn put(&mut self, pdu: Pdu) {
        self.put_bytes(&pdu.to_bytes()).await;
    }

    async fn put_bytes(&mut self, bytes: &[u8]) {
        self.smsc.put_bytes(bytes);
        // Until nothing is left to write or read; the pipe has room for it.
        while matches!(timeout(Duration::from_millis(1), self.smsc.step()).await, Ok(Ok(()))) {}
    }

    async fn answer(&mut self, sequence: u32, status: Status, id: &str) {
        let response = Response { message_id: id.to_owned() };
        self.put(Pdu::response(sequence, status, Body::SubmitSmResp(response))).await;
    }
}

/// A message in so many parts, whose answers are waited for.
fn in_parts(parts: usize) -> Arc<Submitted> {
    let submission = testing::submission();
    let submitted = Arc::new(Submitted::new(submission.message_id, submission.recipient, parts));
    submitted.begin();
    submitted
}

fn accepted(id: &str) -> Submitting {
    Submitting::Replied(Reply::Answered(Status::OK, id.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_messages_in_any_order() {
    let mut it = Fixture::new("");
    let (_, first) = it.submit(Lane::Normal, "one");
    let (sequence_of_first, text) = it.next_message().await;
    assert_eq!((sequence_of_first, text.as_str()), (2, "one"), "the bind was number one");
    let (_, second) = it.submit(Lane::Normal, "two");
    let (sequence_of_second, _) = it.next_message().await;
    it.answer(sequence_of_second, Status::INVALID_DESTINATION, "").await;
    it.answer(sequence_of_first, Status::OK, "id-1").await;
    assert_eq!(first.await.expect("answered"), accepted("id-1"));
    let refused = Submitting::Replied(Reply::Answered(Status::INVALID_DESTINATION, String::new()));
    assert_eq!(second.await.expect("answered"), refused);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_unanswered_than_the_window_has_and_express_goes_first() {
    let mut it = Fixture::new("window=2&timeout_ms=60000");
    let normal: Vec<_> = (0..4).map(|_| it.submit(Lane::Normal, "normal").1).collect();
    let first = it.next_message().await.0;
    it.next_message().await;
    assert!(it.is_quiet(5).await, "the window is full");
    let (_, express) = it.submit(Lane::Express, "express");
    it.answer(first, Status::OK, "1").await;
    let (sequence, text) = it.next_message().await;
    assert_eq!(text, "express", "it waits for one answer and not for those before it");
    it.answer(sequence, Status::OK, "2").await;
    assert_eq!(express.await.expect("answered"), accepted("2"));
    drop(normal);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_in_time_was_not_sent() {
    let mut it = Fixture::new("window=1&timeout_ms=10000");
    let (_, silent) = it.submit(Lane::Normal, "one");
    it.next_message().await;
    let (_, waiting) = it.submit(Lane::Normal, "two");
    assert_eq!(waiting.await.expect("told"), Submitting::Busy);
    assert_eq!(silent.await.expect("told"), Submitting::NoAnswer);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_message_waits_for_longer_and_goes_first() {
    let mut it = Fixture::new("window=1&timeout_ms=10000&enquire_s=3600");
    let long = in_parts(3);
    let first = it.submit_part(Lane::Normal, "part 1", &long, 0);
    let (sequence, _) = it.next_message().await;
    let second = it.submit_part(Lane::Normal, "part 2", &long, 1);
    let (_, other) = it.submit(Lane::Normal, "other");
    assert_eq!(other.await.expect("told"), Submitting::Busy, "after half of the time for an answer");
    assert!(!second.is_finished(), "a part of it is on its way");
    let (_, other) = it.submit(Lane::Normal, "another");
    it.answer(sequence, Status::OK, "1").await;
    assert_eq!(first.await.expect("answered"), accepted("1"));
    let (sequence, text) = it.next_message().await;
    assert_eq!(text, "part 2");
    let third = it.submit_part(Lane::Normal, "part 3", &long, 2);
    it.answer(sequence, Status::OK, "2").await;
    let (sequence, text) = it.next_message().await;
    assert_eq!(text, "part 3", "half a message is none");
    it.answer(sequence, Status::OK, "3").await;
    assert_eq!(it.next_message().await.1, "another");
    assert_eq!((second.await.expect("answered"), third.await.expect("answered")), (accepted("2"), accepted("3")));
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_is_told() {
    let mut it = Fixture::new("timeout_ms=1000&enquire_s=3600&reject=401");
    for status in [Status::INVALID_DESTINATION, Status(0x401), Status::SYSTEM_ERROR] {
        let (submitted, silent) = it.submit(Lane::Express, "one");
        let (sequence, _) = it.next_message().await;
        assert_eq!(silent.await.expect("told"), Submitting::NoAnswer);
        assert_eq!(submitted.leave().ids(), None);
        it.answer(sequence, status, "").await;
        assert_eq!(it.late.recv().await.expect("told").verdict, LateVerdict::NotTaken, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_told_once_and_frees_its_place() {
    let mut it = Fixture::new("window=1&timeout_ms=1000&enquire_s=3600");
    let (submitted, silent) = it.submit(Lane::Normal, "one");
    let (sequence, _) = it.next_message().await;
    assert_eq!(silent.await.expect("told"), Submitting::NoAnswer);
    assert_eq!(submitted.leave().ids(), None);
    let (_, second) = it.submit(Lane::Normal, "two");
    assert_eq!(second.await.expect("told"), Submitting::Busy, "the SMSC still has the first one");
    it.answer(sequence, Status::OK, "late").await;
    let late = it.late.recv().await.expect("told");
    assert_eq!(late.verdict, LateVerdict::Taken(vec![ProviderMessageId::parse("late")]));
    assert_eq!(late.message_id, testing::submission().message_id);
    let (_, third) = it.submit(Lane::Normal, "three");
    let (sequence, _) = it.next_message().await;
    it.answer(sequence, Status::OK, "3").await;
    assert_eq!(third.await.expect("answered"), accepted("3"));
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_again_when_no_answer_can_be_expected_any_more() {
    let mut it = Fixture::new("window=1&timeout_ms=1000&enquire_s=3600");
    let (_, silent) = it.submit(Lane::Normal, "one");
    it.next_message().await;
    silent.await.expect("told");
    // The SMSC lives, and never answers this one.
    let began = Instant::now();
    let (mut asked, mut sent) = (0, None);
    while sent.is_none() {
        let (_, next) = it.submit(Lane::Normal, "two");
        let pdu = timeout(Duration::from_secs(1), it.next()).await;
        match pdu {
            Ok(Pdu { body: Body::EnquireLink, sequence, .. }) => {
                asked += 1;
                it.put(Pdu::response(sequence, Status::OK, Body::EnquireLinkResp)).await;
            }
            Ok(_) => sent = Some(began.elapsed()),
            Err(_) => {}
        }
        next.abort();
    }
    let after = sent.expect("sent").as_secs();
    assert!((58..=63).contains(&after) && asked > 0, "after {after} s, asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn throttling_stops_the_session_and_not_the_message() {
    let mut it = Fixture::new("window=10&timeout_ms=60000");
    let (_, first) = it.submit(Lane::Normal, "one");
    let (sequence, _) = it.next_message().await;
    it.answer(sequence, Status::THROTTLED, "").await;
    let throttled = Submitting::Replied(Reply::Answered(Status::THROTTLED, String::new()));
    assert_eq!(first.await.expect("answered"), throttled);
    let paused_at = Instant::now();
    let others: Vec<_> = (0..3).map(|_| it.submit(Lane::Normal, "other").1).collect();
    let (sequence, _) = it.next_message().await;
    let paused = paused_at.elapsed();
    assert!(paused >= Duration::from_millis(990) && paused < Duration::from_millis(1_100), "{paused:?}");
    assert!(it.is_quiet(5).await, "one goes first");
    it.answer(sequence, Status::OK, "1").await;
    it.next_message().await;
    it.next_message().await;
    drop(others);
}

#[tokio::test(start_paused = true)]
async fn what_pauses_leaves_its_messages_to_other_operators() {
    for has_others in [true, false] {
        let mut it = Fixture::with("timeout_ms=1900", has_others, Vec::new());
        let (_, first) = it.submit(Lane::Normal, "one");
        let (sequence, _) = it.next_message().await;
        it.answer(sequence, Status::THROTTLED, "").await;
        first.await.expect("answered");
        let (began, (_, second)) = (Instant::now(), it.submit(Lane::Normal, "two"));
        if has_others {
            assert_eq!((second.await.expect("told"), began.elapsed()), (Submitting::Busy, Duration::ZERO));
        } else {
            assert_eq!(second.await.expect("told"), Submitting::Busy);
            assert_eq!(began.elapsed(), Duration::from_millis(950), "there is nobody else");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn segments_keep_to_their_pace() {
    let mut it = Fixture::new("window=100&tps=10&timeout_ms=60000");
    let all: Vec<_> = (0..20).map(|_| it.submit(Lane::Normal, "x").1).collect();
    let began = Instant::now();
    for _ in 0..20 {
        it.next_message().await;
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_900) && took <= Duration::from_millis(2_200), "{took:?}");
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_all_there_with_its_receiver() {
    use SessionsState::{All, None, Some};
    let it = Fixture::new("bind=tx%2Brx&binds=2");
    let sessions = Sessions { shared: Arc::clone(&it.shared) };
    let mut states = Vec::new();
    for (begins, sends) in [(true, false), (true, true), (true, true), (true, false), (false, false)] {
        it.shared.pool.session(begins, sends);
        states.push(sessions.state());
    }
    assert_eq!(states, [None, Some, Some, All, Some]);
}

fn receipt(sequence: u32) -> Pdu {
    let sm = Sm {
        esm_class: esm::RECEIPT,
        tlvs: vec![Tlv::new(tag::RECEIPTED_MESSAGE_ID, &b"id-1\0"[..]), Tlv::new(tag::MESSAGE_STATE, &b"\x02"[..])],
        ..Sm::default()
    };
    Pdu::request(sequence, Body::DeliverSm(Box::new(sm)))
}

fn receipt_answer(sequence: u32, status: Status) -> Pdu {
    Pdu::response(sequence, status, Body::DeliverSmResp(Response::default()))
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_answered_when_it_is_stored_and_not_before() {
    let mut it = Fixture::new("enquire_s=3600");
    // Its numbers are its own: ours begin where its do.
    it.put(receipt(1)).await;
    let Report { operator, receipt: told, exact, stored } = it.reports.recv().await.expect("a receipt");
    assert_eq!((operator.as_str(), told.id.as_str(), exact), ("a", "id-1", false));
    assert!(it.is_quiet(4).await);
    stored.send(()).expect("the session waits");
    assert_eq!(it.next().await, receipt_answer(1, Status::OK));
    // One that is not stored in time, and one that is given up.
    it.put(receipt(2)).await;
    let kept = it.reports.recv().await;
    assert!(it.is_quiet(4).await);
    assert_eq!(it.next().await, receipt_answer(2, Status::TEMPORARY_APPLICATION_ERROR));
    drop(kept);
    it.put(receipt(3)).await;
    drop(it.reports.recv().await);
    assert_eq!(it.next().await, receipt_answer(3, Status::TEMPORARY_APPLICATION_ERROR));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_comes_before_the_bind_is_answered_is_one() {
    let mut it =
        Fixture::with("enquire_s=3600", false, vec![receipt(1), Pdu::request(2, Body::DeliverSm(Box::default()))]);
    assert_eq!(it.next().await, receipt_answer(2, Status::REJECTED_BY_APPLICATION));
    let Report { stored, .. } = it.reports.recv().await.expect("a receipt");
    stored.send(()).expect("the session waits");
    assert_eq!(it.next().await, receipt_answer(1, Status::OK));
}

#[tokio::test(start_paused = true)]
async fn what_an_smsc_is_to_send_again_and_what_cannot_be_read_is_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let mut it = metrics::with_local_recorder(&recorder, || Fixture::new("enquire_s=3600"));
    it.put(receipt(1)).await;
    drop(it.reports.recv().await);
    assert_eq!(it.next().await, receipt_answer(1, Status::TEMPORARY_APPLICATION_ERROR));
    // A deliver_sm of a header and one byte.
    it.put_bytes(&[0, 0, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 65]).await;
    assert_eq!(it.next().await, receipt_answer(2, Status::SYSTEM_ERROR));
    let text = recorder.handle().render();
    for metric in ["smpp_receipts_put_off_total", "smpp_unreadable_pdus_total"] {
        assert!(text.contains(&format!(r#"{metric}{{operator="a"}} 1"#)), "no {metric} in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_answered_and_the_session_goes_on() {
    let mut it = Fixture::new("enquire_s=3600");
    it.put(Pdu::request(5, Body::DeliverSm(Box::default()))).await;
    assert_eq!(it.next().await, receipt_answer(5, Status::REJECTED_BY_APPLICATION));
    let without_id = Sm { esm_class: esm::RECEIPT, ..Sm::default() };
    it.put(Pdu::request(6, Body::DeliverSm(Box::new(without_id)))).await;
    assert_eq!(it.next().await, receipt_answer(6, Status::OK));
    it.put(Pdu::response(77, Status::OK, Body::GenericNack)).await;
    it.put(Pdu::response(78, Status::OK, Body::SubmitSmResp(Response::default()))).await;
    it.put(Pdu::request(7, Body::EnquireLink)).await;
    assert_eq!(it.next().await, Pdu::response(7, Status::OK, Body::EnquireLinkResp));
    let (_, sent) = it.submit(Lane::Express, "one");
    let (sequence, _) = it.next_message().await;
    it.put(Pdu::response(sequence, Status(0x03), Body::GenericNack)).await;
    assert_eq!(sent.await.expect("answered"), Submitting::Replied(Reply::NotUnderstood(Status(0x03))));
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_of_no_use_are_counted() {
    for (parameters, without_id) in [("", 1), ("receipts=none", 0), ("bind=tx", 0)] {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let mut it = metrics::with_local_recorder(&recorder, || Fixture::new(parameters));
        let (_, nameless) = it.submit(Lane::Normal, "one");
        let (sequence, _) = it.next_message().await;
        it.answer(sequence, Status::OK, "").await;
        assert_eq!(nameless.await.expect("answered"), accepted(""));
        let (_, unread) = it.submit(Lane::Normal, "two");
        let (sequence, _) = it.next_message().await;
        it.put(Pdu::response(sequence, Status::INVALID_COMMAND, Body::GenericNack)).await;
        unread.await.expect("answered");
        let text = recorder.handle().render();
        for line in [
            format!(r#"smpp_answers_without_id_total{{operator="a"}} {without_id}"#),
            r#"smpp_responses_total{operator="a",status="generic_nack"} 1"#.to_owned(),
            r#"smpp_submit_seconds_count{operator="a"} 2"#.to_owned(),
        ] {
            assert!(text.contains(&line), "{parameters}: no {line} in\n{text}");
        }
    }
}

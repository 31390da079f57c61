//! Operators over SMPP against SMSCs on loopback.

mod unknown;

use std::time::Duration;

use domain::{MessageId, MessageType, ProviderMessageId, Recipient, Sender};
use futures_util::future::join_all;
use operator_simulator::{
    Smsc, SmscBehaviour, SmscBindMode, SmscEnd, SmscEvent, SmscMode, SmscOptions, SmscReceipt, SmscRule, SmscSubmit,
    local_certificate, local_tls,
};
use operators::{
    Background, Late, LateVerdict, Operators, OperatorsConfig, Prior, Report, SessionsState, Submission, Verdict,
};
use smpp::{MessageState, Status};
use test_support::wait_until;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{ANY, ClosedPort, config};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// Operators with what they tell, and what ends their sessions.
pub(crate) struct Fixture {
    pub(crate) operators: Operators,
    told: mpsc::Receiver<Report>,
    late: mpsc::Receiver<Late>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Fixture {
    pub(crate) fn new(list: &str) -> Self {
        Self::with(OperatorsConfig { max_retries: 2, ..config(list) })
    }

    fn with(config: OperatorsConfig) -> Self {
        let ((reports, told), (late, told_late)) = (mpsc::channel(100), mpsc::channel(100));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let background = Background { tasks: tasks.clone(), stop: stop.clone(), reports, late };
        let operators = Operators::build(config, &background).expect("a valid configuration");
        Self { operators, told, late: told_late, tasks, stop }
    }

    /// Waits until some session can send.
    pub(crate) async fn bound(&self) {
        timeout(DEADLINE, self.operators.reachable()).await.expect("a session is bound");
    }

    pub(crate) async fn send(&self, submission: &Submission) -> Verdict {
        timeout(DEADLINE, self.operators.send(submission, Prior::First)).await.expect("a round has an end")
    }

    /// Ends the sessions as a process that stops does.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        timeout(DEADLINE, self.tasks.wait()).await.expect("sessions end");
    }
}

pub(crate) fn smsc() -> Smsc {
    Smsc::start(ANY, SmscOptions::default()).expect("a free port")
}

fn submission(message: &str, recipient: &str, text: &str) -> Submission {
    let message_id = MessageId::try_from(message.to_owned()).expect("valid");
    let recipient = Recipient::try_from(recipient.to_owned()).expect("valid");
    Submission::plain(message_id, recipient, text.into(), MessageType::Express)
}

pub(crate) fn hello(recipient: &str) -> Submission {
    submission("m", recipient, "hello")
}

fn submits(smsc: &Smsc) -> Vec<SmscSubmit> {
    let of = |what| if let SmscEvent::SubmitSm(submit) = what { Some(*submit) } else { None };
    smsc.journal().into_iter().filter_map(|entry| of(entry.what)).collect()
}

fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted { .. } => "accepted",
        Verdict::Rejected { .. } => "rejected",
        Verdict::Failed { .. } => "failed",
        Verdict::Waiting { .. } => "waiting",
        Verdict::Unknown { .. } => "unknown",
        Verdict::NeverKnown { .. } => "never known",
    }
}

#[tokio::test]
async fn a_message_is_taken_with_its_id_and_its_receipt_comes_back() {
    let smsc = smsc();
    let receipts = vec![SmscReceipt::of(MessageState::Delivered)];
    smsc.set_behaviour(SmscBehaviour::default().with_receipts(receipts)).expect("valid");
    let mut it = Fixture::new(&format!("a={}", smsc.url()));
    it.bound().await;
    let from = Some(Sender::parse("BANK".to_owned()).expect("a sender"));
    let Verdict::Accepted { operator, ids } = it.send(&Submission { from, ..hello("+4915112345") }).await else {
        panic!("not accepted")
    };
    let submit = submits(&smsc).remove(0);
    assert_eq!(
        (operator.as_str(), &ids[..]),
        ("a", &[ProviderMessageId::parse(&submit.message_id.expect("an id"))][..])
    );
    assert_eq!((submit.source.ton, submit.source.address.as_str()), (5, "BANK"));
    assert_eq!((submit.destination.ton, submit.destination.address.as_str()), (1, "4915112345"));
    assert_eq!((submit.text.as_deref(), submit.registered_delivery), (Some("hello"), 1));
    let Report { operator, receipt, stored, .. } =
        timeout(DEADLINE, it.told.recv()).await.expect("in time").expect("a receipt");
    assert_eq!((operator.as_str(), Some(receipt.id)), ("a", ids[0].clone()));
    stored.send(()).expect("the session waits for it");
    it.end().await;
    let taken =
        |entry: &operator_simulator::SmscEntry| matches!(entry.what, SmscEvent::DeliverSmResp { status: 0, .. });
    assert!(smsc.journal().iter().any(taken), "it was answered when it was stored");
    let unbound = |entry: &operator_simulator::SmscEntry| matches!(entry.what, SmscEvent::Unbind { by_smsc: false });
    assert!(smsc.journal().iter().any(unbound), "the session ends in order");
    smsc.stop().await;
}

#[tokio::test]
async fn each_answer_has_its_verdict_and_the_breaker_knows_only_faults() {
    let smsc = smsc();
    let status = |code| SmscRule::from(SmscMode::refuse(Status(code)));
    let behaviour = SmscBehaviour::default()
        .with_suffix("01", status(0x0B))
        .with_suffix("02", SmscRule::from(SmscMode::THROTTLE).times(1))
        .with_suffix("03", status(0x08))
        .with_suffix("04", status(0x401));
    smsc.set_behaviour(behaviour).expect("valid");
    let mut config = config(&format!("a={}?reject=401&timeout_ms=4000", smsc.url()));
    (config.max_retries, config.breaker.failure_threshold) = (1, 3);
    let it = Fixture::with(config);
    it.bound().await;
    for (recipient, expected) in
        [("+491511200", "accepted"), ("+491511201", "rejected"), ("+491511202", "accepted"), ("+491511204", "rejected")]
    {
        assert_eq!(class(&it.send(&hello(recipient)).await), expected, "{recipient}");
    }
    let Verdict::Failed { reason } = it.send(&hello("+491511203")).await else { panic!("it did not fail") };
    assert_eq!(reason, "a answered ESME_RSYSERR (0x08)");
    assert_eq!(class(&it.send(&hello("+491511200")).await), "accepted", "two faults in a row are not three");
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn a_retry_sends_only_the_parts_that_are_missing() {
    let smsc = smsc();
    smsc.set_behaviour(SmscBehaviour { tps: 2, ..SmscBehaviour::default() }).expect("valid");
    let it = Fixture::new(&format!("a={}", smsc.url()));
    it.bound().await;
    let Verdict::Accepted { ids, .. } = it.send(&submission("m", "+4915112345", &"a".repeat(400))).await else {
        panic!("not accepted")
    };
    assert!(ids.len() == 3 && ids.iter().all(Option::is_some), "{ids:?}");
    let accepted: Vec<_> = submits(&smsc).into_iter().filter(|submit| submit.decision.is_accepted()).collect();
    let mut headers: Vec<_> = accepted.iter().filter_map(|submit| submit.udh.clone()).collect();
    headers.sort_unstable();
    headers.dedup();
    assert_eq!((accepted.len(), headers.len()), (3, 3), "each part once");
    it.end().await;
    smsc.stop().await;
}

/// More long messages than a slow account takes in time: some are sent and some are not, and none is in part.
#[tokio::test]
async fn at_a_slow_account_messages_are_sent_as_a_whole_or_not_at_all() {
    let smsc = smsc();
    let mut config = config(&format!("a={}?tps=10&timeout_ms=4000", smsc.url()));
    config.max_retries = 0;
    let it = Fixture::with(config);
    it.bound().await;
    let text = "a".repeat(153 * 5 + 1);
    let messages: Vec<_> = (0..10).map(|number| submission("m", &format!("+4915112345{number:02}"), &text)).collect();
    let verdicts = join_all(messages.iter().map(|message| it.send(message))).await;
    let sent = submits(&smsc);
    let mut whole = 0;
    for (message, verdict) in messages.iter().zip(&verdicts) {
        let number = message.recipient.as_str().trim_start_matches('+');
        let parts = sent.iter().filter(|submit| submit.destination.address == number).count();
        match class(verdict) {
            "accepted" => assert_eq!(parts, 6, "{number}"),
            "waiting" => assert_eq!(parts, 0, "{number}"),
            other => panic!("{number} is {other}"),
        }
        whole += usize::from(parts == 6);
    }
    assert!((1..10).contains(&whole), "{whole} of ten in a second");
    it.end().await;
    smsc.stop().await;
}

/// A round that ends in the middle of a message is gone on with, and not begun anew.
#[tokio::test]
async fn the_next_round_sends_what_the_last_one_left() {
    let smsc = smsc();
    let mut config = config(&format!("a={}?tps=2&timeout_ms=2000", smsc.url()));
    config.max_retries = 0;
    let it = Fixture::with(config);
    it.bound().await;
    let message = submission("m", "+4915112345", &"a".repeat(153 * 9 + 1));
    let mut verdict = it.send(&message).await;
    let mut rounds = 1;
    while class(&verdict) != "accepted" {
        assert_eq!(class(&verdict), "unknown", "some of it is there");
        verdict = timeout(DEADLINE, it.operators.send(&message, Prior::Resumed)).await.expect("a round has an end");
        rounds += 1;
    }
    assert_eq!(submits(&smsc).len(), 10, "each part once");
    assert!(rounds > 1, "one round has not the time for it");
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn a_message_of_which_a_part_is_rejected_is_rejected() {
    let smsc = smsc();
    let first_two = SmscRule::from(SmscMode::refuse(Status(0x0B))).times(1);
    smsc.set_behaviour(first_two).expect("valid");
    let it = Fixture::new(&format!("a={}", smsc.url()));
    it.bound().await;
    assert_eq!(class(&it.send(&submission("m", "+4915112345", &"a".repeat(400))).await), "rejected");
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn where_there_is_no_session_nothing_is_sent_and_the_next_operator_is_asked() {
    let closed = ClosedPort::new();
    let it = Fixture::new(&format!("a=smpp://u:p@{}?timeout_ms=200", closed.address));
    assert_eq!(class(&it.send(&hello("+4915112345")).await), "waiting", "all are over SMPP: it is kept");
    timeout(DEADLINE, it.operators.away()).await.expect("no operator can be asked");
    it.end().await;
    let it = Fixture::new(&format!("a=smpp://u:p@{}?timeout_ms=200,b=simulated:", closed.address));
    let Verdict::Accepted { operator, .. } = it.send(&hello("+4915112345")).await else { panic!("not accepted") };
    assert_eq!(operator.as_str(), "b");
    assert!(timeout(Duration::from_millis(300), it.operators.away()).await.is_err(), "the other one can be asked");
    it.end().await;
}

#[tokio::test]
async fn sessions_are_of_the_kind_that_is_asked_for_and_no_more_than_that() {
    for (parameters, expected) in [
        ("bind=trx&binds=2", vec![SmscBindMode::Transceiver; 2]),
        ("bind=tx", vec![SmscBindMode::Transmitter]),
        ("bind=tx+rx", vec![SmscBindMode::Transmitter, SmscBindMode::Receiver]),
    ] {
        let smsc = smsc();
        smsc.set_behaviour(SmscBehaviour::default().with_receipts(vec![SmscReceipt::of(MessageState::Delivered)]))
            .expect("valid");
        let mut it = Fixture::new(&format!("a={}?{parameters}", smsc.url()));
        eventually(|| smsc.stats().sessions == expected.len()).await;
        it.bound().await;
        assert_eq!(class(&it.send(&hello("+4915112345")).await), "accepted", "{parameters}");
        if parameters == "bind=tx" {
            assert!(!it.operators.reports(it.operators.names().next().expect("one")));
        } else {
            assert!(matches!(timeout(DEADLINE, it.told.recv()).await, Ok(Some(_))), "{parameters}");
        }
        it.end().await;
        let bind = |what| if let SmscEvent::Bind { mode, .. } = what { Some(mode) } else { None };
        let modes: Vec<_> = smsc.journal().into_iter().filter_map(|entry| bind(entry.what)).collect();
        assert!(modes.len() == expected.len() && expected.iter().all(|mode| modes.contains(mode)), "{modes:?}");
        smsc.stop().await;
    }
}

#[tokio::test]
async fn one_bind_too_many_is_refused_and_harms_no_other() {
    let smsc = smsc();
    smsc.set_behaviour(SmscBehaviour { max_binds: Some(1), ..SmscBehaviour::default() }).expect("valid");
    let it = Fixture::new(&format!("a={}?binds=2", smsc.url()));
    eventually(|| smsc.stats().binds_refused == 1 && smsc.stats().sessions == 1).await;
    it.bound().await;
    assert_eq!(it.operators.sessions().next().map(|(_, state)| state), Some(SessionsState::Some));
    assert_eq!(class(&it.send(&hello("+4915112345")).await), "accepted");
    assert_eq!(smsc.stats().binds_refused, 1, "it waits before it tries again");
    it.end().await;
    smsc.stop().await;
}

#[tokio::test]
async fn an_smsc_that_unbinds_or_restarts_has_a_session_again() {
    let smsc = smsc();
    let it = Fixture::new(&format!("a={}", smsc.url()));
    it.bound().await;
    smsc.unbind_all();
    eventually(|| smsc.stats().binds == 2).await;
    assert_eq!(class(&it.send(&hello("+4915112345")).await), "accepted");
    let address = smsc.address();
    smsc.stop().await;
    let again = Smsc::start(address, SmscOptions::default()).expect("the port is free");
    eventually(|| again.stats().sessions == 1).await;
    it.bound().await;
    assert_eq!(class(&it.send(&hello("+4915112345")).await), "accepted");
    it.end().await;
    let ended =
        |entry: &operator_simulator::SmscEntry| matches!(entry.what, SmscEvent::Closed { why: SmscEnd::Unbound });
    assert!(again.journal().iter().any(ended));
    again.stop().await;
}

#[tokio::test]
async fn neither_window_nor_pace_is_exceeded_and_all_is_sent() {
    let smsc = smsc();
    let slow = SmscMode::Accept { delay: Duration::from_millis(20) };
    smsc.set_behaviour(slow).expect("valid");
    let it = Fixture::new(&format!("a={}?binds=2&window=3&tps=40&timeout_ms=20000", smsc.url()));
    it.bound().await;
    let sends = (0..60).map(|number| {
        let it = &it;
        async move { class(&it.send(&submission(&format!("m{number}"), "+4915112345", "hello")).await) }
    });
    let verdicts = futures_util::future::join_all(sends).await;
    assert!(verdicts.iter().all(|class| *class == "accepted"), "{verdicts:?}");
    let stats = smsc.stats();
    // The SMSC counts when it reads: what was on its way for longer comes closer to the next.
    assert!(stats.max_window <= 3 && stats.max_per_second <= 60, "{stats:?}");
    it.end().await;
    smsc.stop().await;
}

/// Waits for what another task brings about.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    wait_until(DEADLINE, "what another task brings about", async || condition().then_some(())).await;
}

/// An SMSC that speaks TLS, and a file with the authority of its certificate.
fn smsc_with_tls() -> (Smsc, tempfile::NamedTempFile) {
    let smsc = Smsc::start(ANY, SmscOptions { tls: Some(local_tls()), ..SmscOptions::default() }).expect("a free port");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), local_certificate()).expect("written");
    (smsc, file)
}

#[tokio::test]
async fn over_tls_the_certificate_decides_who_is_talked_to() {
    let (smsc, ca) = smsc_with_tls();
    let it = Fixture::new(&format!("a={}?ca={}", smsc.url(), ca.path().display()));
    it.bound().await;
    assert_eq!(class(&it.send(&hello("+4915112345")).await), "accepted");
    it.end().await;
    let bound = smsc.stats().binds;
    // Nobody else has signed it; and whoever speaks no TLS is told nothing.
    let plain = smsc.url().replace("smpps:", "smpp:");
    for url in [smsc.url(), plain] {
        let it = Fixture::new(&format!("a={url}?timeout_ms=500"));
        assert_eq!(class(&it.send(&hello("+4915112345")).await), "waiting");
        it.end().await;
    }
    assert_eq!((smsc.stats().binds, smsc.stats().submits), (bound, 1), "nothing was sent there");
    smsc.stop().await;
}

#[tokio::test]
async fn an_authority_that_cannot_be_read_stops_the_start_and_is_said() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for (path, says) in
        [("/nowhere/ca.pem", "could not read certificates"), (&empty.path().display().to_string(), "or none")]
    {
        let list = format!("a=smpps://u:hunter2@localhost?ca={path}");
        let error = Operators::build(config(&list), &Background::none()).expect_err("there is no authority");
        let said = format!("{error}: {}", std::error::Error::source(&error).expect("a cause"));
        assert!(said.contains("TLS for operator a") && said.contains(says) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_password_with_a_question_mark_is_not_shown() {
    let error = operators::parse_operators("a=smpp://user:12?hunter2@host:2775").expect_err("wrong").to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

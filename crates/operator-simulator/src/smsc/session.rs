//! What is said on one connection, without the connection itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::BytesMut;
use smpp::{Bind, BindMode, BindResp, Body, Frame, Pdu, Response, Sm, Status, Tlv, tag};
use tokio::time::Instant;

use crate::smsc::{
    SmscEnd, SmscEvent,
    deliveries::{self, Delivery, Hold},
    outbox::Outbox,
    shared::Shared,
    state::{Decided, Reply},
};

/// Most receipts of one session that are not answered yet.
const DELIVER_WINDOW: usize = 100;
/// How long an answer waits for receipts that come before it.
const LONGEST_HOLD: Duration = Duration::from_secs(5);
/// How long a client that is unbound may take.
const LONGEST_UNBIND: Duration = Duration::from_secs(5);
/// How long the last bytes to a client may take.
const LONGEST_FAREWELL: Duration = Duration::from_secs(1);
/// The largest number of a PDU.
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;
/// The version that it speaks.
const VERSION: u8 = 0x34;

/// An answer that is not given yet, and the receipts that follow it.
#[derive(Debug)]
struct Answer {
    sequence: u32,
    status: Status,
    id: String,
    after: Vec<(Instant, Delivery)>,
}

/// An answer that waits for receipts.
#[derive(Debug)]
struct Held {
    hold: Weak<Hold>,
    until: Instant,
    delay: Duration,
    answer: Answer,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    number: u64,
    /// Once it is bound.
    mode: Option<BindMode>,
    pub(crate) out: Outbox,
    /// Submits that were read and whose answers were not written.
    unanswered: usize,
    /// By the time at which they are given, and the order in which they came.
    answers: BTreeMap<(Instant, u64), Answer>,
    held: Vec<Held>,
    answers_made: u64,
    in_flight: HashMap<u32, Delivery>,
    last_sequence: u32,
    next_work: Option<Instant>,
    enquired: Instant,
    /// Until when the client may take to go, and whether it agreed.
    unbinding: Option<(Instant, bool)>,
    /// Why nothing is read any more, and until when the last bytes may take.
    end: Option<(SmscEnd, Instant)>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, number: u64) -> Self {
        Self {
            shared,
            number,
            mode: None,
            out: Outbox::default(),
            unanswered: 0,
            answers: BTreeMap::new(),
            held: Vec::new(),
            answers_made: 0,
            in_flight: HashMap::new(),
            last_sequence: 0,
            next_work: None,
            enquired: Instant::now(),
            unbinding: None,
            end: None,
        }
    }

    /// Whether more may be read.
    pub(crate) fn reads(&self) -> bool {
        self.end.is_none() && !self.out.is_full()
    }

    /// Why the connection is to be closed now, if it is.
    pub(crate) fn is_over(&self, now: Instant) -> Option<SmscEnd> {
        self.end.filter(|(_, until)| self.out.is_flushed() || now >= *until).map(|(why, _)| why)
    }

    /// When [`tick`](Self::tick) has something to do even if nothing happens.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        let answer = self.answers.first_key_value().map(|((due, _), _)| *due);
        let held = self.held.iter().map(|held| held.until).min();
        let unbinding = self.unbinding.map(|(until, _)| until);
        let end = self.end.map(|(_, until)| until);
        [answer, held, unbinding, end, self.next_work].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.release(now);
        while self.answers.first_key_value().is_some_and(|((due, _), _)| *due <= now) {
            if let Some((_, answer)) = self.answers.pop_first() {
                self.give(answer);
            }
        }
        self.next_work = None;
        if self.end.is_none() && self.mode.is_some() {
            self.work(now);
        }
        if let Some((until, is_agreed)) = self.unbinding
            && (now >= until || is_agreed && self.answers.is_empty() && self.held.is_empty())
        {
            self.end(SmscEnd::Unbound);
        }
    }

    /// Reads all PDUs that are there as a whole.
    pub(crate) fn take(&mut self, input: &mut BytesMut) {
        while self.end.is_none() {
            match Frame::take(input) {
                Ok(Some(frame)) => self.handle(frame),
                Ok(None) => return,
                Err(_) => {
                    const INVALID_LENGTH: Status = Status(0x02);
                    self.out.put(&Pdu::response(0, INVALID_LENGTH, Body::GenericNack));
                    self.end(SmscEnd::NotSmpp);
                }
            }
        }
    }

    /// So many bytes were written.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.unanswered -= self.out.wrote(bytes);
    }

    /// Asks the client to go, if it is bound.
    pub(crate) fn unbind(&mut self) {
        if self.mode.is_none() || self.unbinding.is_some() || self.end.is_some() {
            return;
        }
        self.unbinding = Some((Instant::now() + LONGEST_UNBIND, false));
        self.request(Body::Unbind);
        self.shared.record(self.number, SmscEvent::Unbind { by_smsc: true });
    }

    /// Gives everything back that others may still use. To be called when the connection is closed.
    pub(crate) fn finish(mut self, why: SmscEnd) {
        let now = Instant::now();
        let answers = self.answers.into_values().chain(self.held.into_iter().map(|held| held.answer));
        let mut deliveries: Vec<_> = answers.flat_map(|answer| answer.after).collect();
        let mut unfinished: Vec<_> = self.in_flight.drain().collect();
        unfinished.sort_unstable_by_key(|(sequence, _)| *sequence);
        let is_released = unfinished.iter_mut().any(|(_, delivery)| delivery.release());
        deliveries.extend(unfinished.into_iter().map(|(_, delivery)| (now, delivery)));
        self.shared.disconnect(self.number, self.mode, why);
        self.shared.push(deliveries);
        if is_released {
            self.shared.wake();
        }
    }

    fn handle(&mut self, frame: Frame) {
        let Pdu { status, sequence, body } = match Pdu::read(frame) {
            Ok(pdu) => pdu,
            Err(unreadable) => {
                if let Some(answer) = unreadable.answer() {
                    self.out.put(&answer);
                }
                return;
            }
        };
        match body {
            Body::Bind(mode, bind) => self.bind(sequence, mode, &bind),
            Body::SubmitSm(sm) => self.submit(sequence, &sm),
            Body::EnquireLink => {
                if self.shared.enquired() {
                    self.out.put(&Pdu::response(sequence, Status::OK, Body::EnquireLinkResp));
                }
            }
            Body::Unbind => {
                self.shared.record(self.number, SmscEvent::Unbind { by_smsc: false });
                self.out.put(&Pdu::response(sequence, Status::OK, Body::UnbindResp));
                self.end(SmscEnd::Unbound);
            }
            Body::DeliverSmResp(_) | Body::DataSmResp(_) => self.delivered(sequence, status),
            Body::GenericNack => self.delivered(sequence, Status::REJECTED_BY_APPLICATION),
            Body::EnquireLinkResp => self.shared.enquire_answered(),
            Body::UnbindResp => {
                if let Some((_, is_agreed)) = &mut self.unbinding {
                    *is_agreed = true;
                }
            }
            Body::DeliverSm(_) | Body::DataSm(_) => {
                self.out.put(&Pdu::response(sequence, Status::INVALID_COMMAND, Body::GenericNack));
            }
            // Answers to what was never asked.
            Body::BindResp(..) | Body::SubmitSmResp(_) => {}
        }
    }

    fn bind(&mut self, sequence: u32, mode: BindMode, bind: &Bind) {
        let answer = BindResp {
            system_id: self.shared.options.name.clone(),
            tlvs: vec![Tlv::new(tag::SC_INTERFACE_VERSION, vec![VERSION])],
        };
        if self.mode.is_some() {
            self.out.put(&Pdu::response(sequence, Status::ALREADY_BOUND, Body::BindResp(mode, answer)));
            return;
        }
        let status = self.shared.bind(self.number, mode, bind);
        self.out.put(&Pdu::response(sequence, status, Body::BindResp(mode, answer)));
        if status == Status::OK {
            (self.mode, self.enquired) = (Some(mode), Instant::now());
        } else {
            self.end(SmscEnd::Refused);
        }
    }

    fn submit(&mut self, sequence: u32, sm: &Sm) {
        if !matches!(self.mode, Some(BindMode::Transmitter | BindMode::Transceiver)) {
            self.shared.refuse_submit(self.number, sm, sequence);
            let answer = Body::SubmitSmResp(Response::default());
            self.out.put(&Pdu::response(sequence, Status::INVALID_BIND_STATUS, answer));
            return;
        }
        self.unanswered += 1;
        let Decided { reply, hold, after, .. } = self.shared.submit(self.number, sm, sequence, self.unanswered);
        match reply {
            Reply::Answer { status, id, delay } => {
                self.answer_later(Answer { sequence, status, id, after }, hold, delay);
            }
            Reply::Nothing => self.shared.push(after),
            Reply::Cut => {
                self.shared.push(after);
                self.end(SmscEnd::Cut);
            }
        }
    }

    fn answer_later(&mut self, answer: Answer, hold: Option<Weak<Hold>>, delay: Duration) {
        match hold {
            Some(hold) => {
                let until = Instant::now() + LONGEST_HOLD;
                self.held.push(Held { hold, until, delay, answer });
            }
            None if delay.is_zero() => self.give(answer),
            None => self.schedule(answer, Instant::now() + delay),
        }
    }

    fn schedule(&mut self, answer: Answer, due: Instant) {
        self.answers_made += 1;
        self.answers.insert((due, self.answers_made), answer);
    }

    /// Schedules answers whose receipts were answered.
    fn release(&mut self, now: Instant) {
        let is_free = |held: &mut Held| held.until <= now || deliveries::is_released(&held.hold);
        let free: Vec<_> = self.held.extract_if(.., is_free).collect();
        for Held { delay, answer, .. } in free {
            self.schedule(answer, now + delay);
        }
    }

    fn give(&mut self, answer: Answer) {
        let Answer { sequence, status, id, after } = answer;
        let body = Body::SubmitSmResp(Response { message_id: id });
        self.out.put_answer(&Pdu::response(sequence, status, body));
        self.shared.push(after);
    }

    /// Sends what waits for sessions.
    fn work(&mut self, now: Instant) {
        let receives = self.mode != Some(BindMode::Transmitter) && self.unbinding.is_none();
        let room = if receives { DELIVER_WINDOW.saturating_sub(self.in_flight.len()) } else { 0 };
        let work = self.shared.work(now, room);
        for delivery in work.deliveries {
            let sm = delivery.receipt.deliver_sm(&delivery.message);
            let sequence = self.request(Body::DeliverSm(Box::new(sm)));
            self.shared.sent(self.number, &delivery, sequence);
            self.in_flight.insert(sequence, delivery);
        }
        let mut next = work.next;
        if let Some(pause) = work.enquires {
            if now >= self.enquired + pause {
                self.enquired = now;
                self.request(Body::EnquireLink);
            }
            let enquire = self.enquired + pause;
            next = Some(next.map_or(enquire, |next| next.min(enquire)));
        }
        self.next_work = next;
    }

    fn delivered(&mut self, sequence: u32, status: Status) {
        if let Some(delivery) = self.in_flight.remove(&sequence) {
            self.shared.delivered(self.number, delivery, sequence, status);
        }
    }

    /// Sends a request under the next number that is free.
    fn request(&mut self, body: Body) -> u32 {
        loop {
            self.last_sequence = self.last_sequence % LAST_SEQUENCE + 1;
            if !self.in_flight.contains_key(&self.last_sequence) {
                break;
            }
        }
        self.out.put(&Pdu::request(self.last_sequence, body));
        self.last_sequence
    }

    fn end(&mut self, why: SmscEnd) {
        if self.end.is_none() {
            self.end = Some((why, Instant::now() + LONGEST_FAREWELL));
        }
    }
}

//! Publishing on one channel, by one task: what it sends n-th has delivery tag n.
//!
//! A session begins with test messages that no queue takes. Only when the broker has returned and confirmed them is the
//! session ready: under a memory or disk alarm a broker accepts connections, and stops reading from each after the
//! first message published on it. It says nothing of that, so a session that has nothing to publish sends another test
//! message now and then, and takes silence for a broker that is blocked.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use amqprs::{
    BasicProperties, DELIVERY_MODE_PERSISTENT, FieldTable, FieldValue,
    channel::{BasicPublishArguments, Channel, ConfirmSelectArguments},
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use super::{
    batches::{Batches, Ticket},
    call::Failure,
    callback::ChannelEvent,
    job::{Entrance, Job, WAITING_BATCHES},
    link::Link,
};
use crate::{
    Options, Outgoing, Published, Topology,
    confirm::{ConfirmWindow, Settled},
    series,
};

/// No queue is bound with this key.
const PROBE_ROUTING_KEY: &str = "publisher.probe";

/// One after the other: the first still gets through during an alarm, and makes the broker block the connection.
const PROBES: u8 = 2;

/// How long a session has nothing to publish before it sends a probe.
const PROBE_WHEN_IDLE: Duration = Duration::from_secs(2);

/// A broker that has not confirmed a publish for so long is blocked.
const BLOCKED_AFTER: Duration = Duration::from_secs(5);

/// How a session ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// As asked, with nothing in flight.
    Stopped,
    /// The connection must be rebuilt.
    Lost(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// This many probes are not confirmed yet.
    Probing(u8),
    Publishing,
    /// Takes no more batches; ends when nothing is in flight.
    Draining(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Stop,
    /// A queue of ours takes no messages: someone deleted it. Reconnecting declares it again.
    QueueGone,
}

/// What a publish in flight is.
#[derive(Debug, PartialEq, Eq)]
enum Flight {
    Probe,
    Message(Ticket),
}

impl Flight {
    fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }
}

#[derive(Debug)]
struct Unsent {
    ticket: Ticket,
    message: Outgoing,
    send_until: Instant,
}

pub(super) struct Session<'a> {
    link: &'a Link,
    topology: &'a Topology,
    confirm_timeout: Duration,
    channel: Channel,
    events: mpsc::Receiver<ChannelEvent>,
    blocked: watch::Receiver<bool>,
    phase: Phase,
    unsent: VecDeque<Unsent>,
    window: ConfirmWindow<Flight>,
    batches: Batches,
    /// When the broker last confirmed or refused something.
    heard: Instant,
}

impl<'a> Session<'a> {
    pub(super) async fn open(link: &'a Link, topology: &'a Topology, options: &Options) -> Result<Self, Failure> {
        // A publish causes at most a return and a confirm, so the dispatcher never has to wait for this task.
        let (channel, mut events) = link.open_channel(2 * options.window() + 2).await?;
        let on = channel.clone();
        let select = async move { on.confirm_select(ConfirmSelectArguments::default()).await };
        link.caller()
            .call("turning on confirms", select)
            .await
            .map_err(|failure| link.refusal_behind(failure, &mut events))?;
        Ok(Self {
            link,
            topology,
            confirm_timeout: options.confirm_timeout,
            channel,
            events,
            blocked: link.health().blocked(),
            phase: Phase::Probing(PROBES),
            unsent: VecDeque::new(),
            window: ConfirmWindow::new(options.window()),
            batches: Batches::default(),
            heard: Instant::now(),
        })
    }

    /// Publishes what comes through `entrance` until the channel is lost or `stop` is cancelled. Every batch taken is
    /// answered.
    pub(super) async fn run(mut self, entrance: &Entrance, stop: &CancellationToken) -> Ended {
        let (way_in, mut jobs) = mpsc::channel(WAITING_BATCHES);
        let ended = self.work(entrance, &way_in, &mut jobs, stop).await;
        entrance.close();
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            self.begin(job);
        }
        // A broker that does not answer a probe would not answer this either.
        let answers = self.window.is_empty();
        self.abandon();
        if matches!(ended, Ended::Stopped) && answers {
            let closing = self.link.caller().call("closing the publishing channel", self.channel.close());
            if let Err(failure) = closing.await {
                tracing::debug!(%failure, "the publishing channel was not closed in order");
            }
        }
        ended
    }

    async fn work(
        &mut self,
        entrance: &Entrance,
        way_in: &mpsc::Sender<Job>,
        jobs: &mut mpsc::Receiver<Job>,
        stop: &CancellationToken,
    ) -> Ended {
        loop {
            if let Err(error) = self.send().await {
                return Ended::Lost(format!("publishing failed: {error}"));
            }
            if let Some(ended) = self.drained() {
                return ended;
            }
            self.announce(entrance, way_in);
            let deadline = self.deadline();
            tokio::select! {
                biased;
                event = self.events.recv() => if let Some(reason) = self.apply(event) {
                    return Ended::Lost(reason);
                },
                () = self.link.health().failed() => return Ended::Lost(self.link.health().reason().to_owned()),
                () = at(deadline) => if let Some(reason) = self.expire() {
                    return Ended::Lost(reason);
                },
                () = stop.cancelled(), if self.phase != Phase::Draining(Why::Stop) => {
                    if self.is_probing() {
                        return Ended::Stopped;
                    }
                    self.phase = Phase::Draining(Why::Stop);
                }
                Ok(()) = self.blocked.changed() => {}
                Some(job) = jobs.recv(), if self.phase == Phase::Publishing && self.unsent.is_empty() => self.begin(job),
            }
        }
    }

    fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing(_))
    }

    /// When the next probe is to be sent, if nothing else is.
    fn probe_at(&self) -> Option<Instant> {
        let is_idle = self.window.is_empty() && self.unsent.is_empty();
        match self.phase {
            Phase::Probing(_) if is_idle => Some(self.heard),
            Phase::Publishing if is_idle => Some(self.heard + PROBE_WHEN_IDLE),
            _ => None,
        }
    }

    /// The last of the probes at the start lets publishing begin.
    fn probe_passed(&mut self) {
        self.phase = match self.phase {
            Phase::Probing(left) if left > 1 => Phase::Probing(left - 1),
            Phase::Probing(_) => Phase::Publishing,
            later => later,
        };
    }

    fn begin(&mut self, job: Job) {
        let tickets = self.batches.begin(job.batch.len(), job.reply);
        let unsent =
            tickets.zip(job.batch).map(|(ticket, message)| Unsent { ticket, message, send_until: job.send_until });
        self.unsent.extend(unsent);
    }

    /// Sends as much as the window has room for, or a probe where one is due. Into a broker that is silent nothing is
    /// sent: what is known not to have left can be sent by another.
    async fn send(&mut self) -> Result<(), amqprs::error::Error> {
        if self.probe_at().is_some_and(|due| due <= Instant::now()) {
            publish_probe(&self.channel, self.topology).await?;
            self.window.sent(PROBE_ROUTING_KEY.to_owned(), Flight::Probe, Instant::now());
        }
        while self.window.has_room()
            && !self.is_silent()
            && let Some(Unsent { ticket, message, .. }) = self.unsent.pop_front()
        {
            let message_id = message.message_id.clone();
            if let Err(error) = publish(&self.channel, message).await {
                self.batches.settle(ticket, Published::NotSent);
                return Err(error);
            }
            // Confirms are read by this task only, so none can overtake this line.
            self.window.sent(message_id, Flight::Message(ticket), Instant::now());
        }
        Ok(())
    }

    /// Whether the oldest publish has waited for its confirm too long.
    fn is_silent(&self) -> bool {
        self.window.oldest().is_some_and(|sent_at| sent_at.elapsed() >= BLOCKED_AFTER)
    }

    /// Lets publishers in, or keeps them out.
    fn announce(&mut self, entrance: &Entrance, way_in: &mpsc::Sender<Job>) {
        let is_announced = *self.blocked.borrow_and_update();
        if self.is_silent() || is_announced {
            entrance.block();
        } else if self.phase == Phase::Publishing {
            entrance.open(way_in);
        } else {
            entrance.close();
        }
    }

    fn drained(&self) -> Option<Ended> {
        match self.phase {
            Phase::Draining(why) if self.oldest_message().is_none() && self.unsent.is_empty() => Some(match why {
                Why::Stop => Ended::Stopped,
                Why::QueueGone => Ended::Lost("a queue takes no messages: it or its binding was deleted".to_owned()),
            }),
            _ => None,
        }
    }

    fn oldest_message(&self) -> Option<Instant> {
        self.window.oldest_of(Flight::is_message)
    }

    /// Returns why the channel is lost, if it is.
    fn apply(&mut self, event: Option<ChannelEvent>) -> Option<String> {
        match event {
            None => return Some("the publishing channel ended".to_owned()),
            Some(ChannelEvent::Closed { code, text }) => {
                return Some(format!("the broker closed the publishing channel: {code} {text}"));
            }
            Some(ChannelEvent::Acked { tag, multiple }) => {
                let settled = self.window.ack(tag, multiple);
                return self.settle(settled);
            }
            Some(ChannelEvent::Nacked { tag, multiple }) => {
                let settled = self.window.nack(tag, multiple);
                return self.settle(settled);
            }
            Some(ChannelEvent::Returned { message_id, routing_key, reason }) => {
                self.window.returned(message_id.as_deref().unwrap_or_default(), reason);
                if self.topology.is_queue(&routing_key) && self.phase == Phase::Publishing {
                    self.phase = Phase::Draining(Why::QueueGone);
                }
            }
            Some(ChannelEvent::ConsumerCancelled) => {}
        }
        None
    }

    /// Returns why the channel must be left, if it must.
    fn settle(&mut self, settled: Vec<Settled<Flight>>) -> Option<String> {
        self.heard = Instant::now();
        for Settled { ticket, outcome, sent_at } in settled {
            match (ticket, outcome) {
                (Flight::Message(ticket), outcome) => {
                    if outcome == Published::Confirmed {
                        series::confirmed_after(sent_at.elapsed());
                    }
                    self.batches.settle(ticket, outcome);
                }
                // A nack is an answer too, such as of a full queue that somebody set up to take everything.
                (Flight::Probe, Published::Returned { .. } | Published::Confirmed | Published::Nacked) => {
                    self.probe_passed();
                }
                (Flight::Probe, outcome) => {
                    return Some(format!("the broker did not take a test message: {outcome:?}"));
                }
            }
        }
        None
    }

    /// When the next wait is over: for a confirm, for room to send, until a probe, or until the broker counts as silent.
    fn deadline(&self) -> Option<Instant> {
        let to_send = self.unsent.front().map(|unsent| unsent.send_until);
        let silent = self.window.oldest().filter(|_| !self.is_silent()).map(|sent_at| sent_at + BLOCKED_AFTER);
        [self.confirm_deadline(), to_send, silent, self.probe_at()].into_iter().flatten().min()
    }

    /// Probes have none: they may last as long as an alarm. The connection itself is watched by heartbeats, and replacing
    /// it would only leave blocked ones behind.
    fn confirm_deadline(&self) -> Option<Instant> {
        self.oldest_message().map(|sent_at| sent_at + self.confirm_timeout)
    }

    /// Gives up what has waited too long to be sent. A confirm that does not come is a reason to leave the channel.
    fn expire(&mut self) -> Option<String> {
        let now = Instant::now();
        while let Some(unsent) = self.unsent.pop_front_if(|unsent| unsent.send_until <= now) {
            self.batches.settle(unsent.ticket, Published::NotSent);
        }
        let overdue = self.confirm_deadline().is_some_and(|deadline| deadline <= now);
        overdue.then(|| format!("no confirm within {:?}", self.confirm_timeout))
    }

    /// Answers everything left when the channel is gone.
    fn abandon(&mut self) {
        for unsent in std::mem::take(&mut self.unsent) {
            self.batches.settle(unsent.ticket, Published::NotSent);
        }
        for Settled { ticket, outcome, .. } in self.window.fail_all() {
            if let Flight::Message(ticket) = ticket {
                self.batches.settle(ticket, outcome);
            }
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// No queue of ours takes it. One that somebody set up to take everything (an alternate exchange) lets it expire at once.
async fn publish_probe(channel: &Channel, topology: &Topology) -> Result<(), amqprs::error::Error> {
    let mut properties = BasicProperties::default();
    properties.with_message_id(PROBE_ROUTING_KEY).with_expiration("0");
    let arguments = BasicPublishArguments::new(topology.exchange(), PROBE_ROUTING_KEY).mandatory(true).finish();
    channel.basic_publish(properties, Vec::new(), arguments).await
}

/// Queues one message on the channel; returns before the broker has it.
async fn publish(channel: &Channel, message: Outgoing) -> Result<(), amqprs::error::Error> {
    let mut properties = BasicProperties::default();
    properties
        .with_content_type("application/json")
        .with_delivery_mode(DELIVERY_MODE_PERSISTENT)
        .with_message_id(&message.message_id)
        .with_timestamp(message.timestamp);
    if let Some(traceparent) = message.traceparent {
        let mut headers = FieldTable::new();
        let name = instruments::propagation::TRACEPARENT.try_into().expect("a short name");
        headers.insert(name, FieldValue::from(traceparent));
        properties.with_headers(headers);
    }
    // Mandatory: a message that no queue takes must come back instead of disappearing.
    let arguments = BasicPublishArguments::new(&message.exchange, &message.routing_key).mandatory(true).finish();
    channel.basic_publish(properties, Vec::from(message.body), arguments).await
}

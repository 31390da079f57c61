//! Publishing on one channel, by one task: what it sends n-th has delivery tag n.
//!
//! A session begins with messages that no queue takes. Only when the broker has returned and confirmed them is the
//! session ready: under a memory or disk alarm a broker accepts connections, and stops reading from each after the
//! first message published on it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use amqprs::{
    BasicProperties, DELIVERY_MODE_PERSISTENT, FieldTable, FieldValue,
    channel::{BasicPublishArguments, Channel, ConfirmSelectArguments},
};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use super::{
    batches::{Batches, Ticket},
    call::Failure,
    callback::ChannelEvent,
    link::Link,
    publisher::{Job, Ready, WAITING_BATCHES},
};
use crate::{
    Options, Outgoing, Published, Topology,
    confirm::{ConfirmWindow, Settled},
    metrics,
};

/// No queue is bound with this key.
const PROBE_ROUTING_KEY: &str = "publisher.probe";

/// One after the other: the first still gets through during an alarm, and makes the broker block the connection.
const PROBES: u8 = 2;

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
    /// This many probes are not confirmed yet. It may last as long as an alarm: the connection itself is watched by
    /// heartbeats, and replacing it would only leave blocked ones behind.
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
    window: ConfirmWindow<Ticket>,
    batches: Batches,
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
        })
    }

    /// Publishes what comes through `ready` until the channel is lost or `stop` is cancelled. Every batch taken is
    /// answered.
    pub(super) async fn run(mut self, ready: &Ready, stop: &CancellationToken) -> Ended {
        let (entrance, mut jobs) = mpsc::channel(WAITING_BATCHES);
        let ended = self.work(ready, &entrance, &mut jobs, stop).await;
        ready.send_replace(None);
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            self.begin(job);
        }
        self.abandon();
        // A broker that does not answer a probe would not answer this either.
        if matches!(ended, Ended::Stopped) && !self.is_probing() {
            let closing = self.link.caller().call("closing the publishing channel", self.channel.close());
            if let Err(failure) = closing.await {
                tracing::debug!(%failure, "the publishing channel was not closed in order");
            }
        }
        ended
    }

    async fn work(
        &mut self,
        ready: &Ready,
        entrance: &mpsc::Sender<Job>,
        jobs: &mut mpsc::Receiver<Job>,
        stop: &CancellationToken,
    ) -> Ended {
        let mut probe = self.begin_probe();
        loop {
            if let Err(error) = self.send().await {
                return Ended::Lost(format!("publishing failed: {error}"));
            }
            if let Some(ended) = self.drained() {
                return ended;
            }
            self.announce(ready, entrance);
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
                probed = &mut probe, if self.is_probing() => match probed.as_deref() {
                    Ok([Published::Returned { .. } | Published::Confirmed]) => {
                        if let Some(another) = self.probe_passed() {
                            probe = another;
                        }
                    }
                    outcome => return Ended::Lost(format!("the broker did not take a first message: {outcome:?}")),
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

    /// Begins the next probe, or lets publishing begin.
    fn probe_passed(&mut self) -> Option<oneshot::Receiver<Vec<Published>>> {
        self.phase = match self.phase {
            Phase::Probing(left) if left > 1 => Phase::Probing(left - 1),
            _ => Phase::Publishing,
        };
        self.is_probing().then(|| self.begin_probe())
    }

    fn begin_probe(&mut self) -> oneshot::Receiver<Vec<Published>> {
        let (reply, outcome) = oneshot::channel();
        let probe = Outgoing {
            exchange: self.topology.exchange().to_owned(),
            routing_key: PROBE_ROUTING_KEY.to_owned(),
            message_id: PROBE_ROUTING_KEY.to_owned(),
            body: Bytes::new(),
            traceparent: None,
            timestamp: 0,
        };
        self.begin(Job { batch: vec![probe], reply, send_until: Instant::now() + self.confirm_timeout });
        outcome
    }

    fn begin(&mut self, job: Job) {
        let tickets = self.batches.begin(job.batch.len(), job.reply);
        let unsent =
            tickets.zip(job.batch).map(|(ticket, message)| Unsent { ticket, message, send_until: job.send_until });
        self.unsent.extend(unsent);
    }

    /// Sends as much as the window has room for.
    async fn send(&mut self) -> Result<(), amqprs::error::Error> {
        while self.window.has_room()
            && let Some(Unsent { ticket, message, .. }) = self.unsent.pop_front()
        {
            let message_id = message.message_id.clone();
            if let Err(error) = publish(&self.channel, message).await {
                self.batches.settle(ticket, Published::NotSent);
                return Err(error);
            }
            // Confirms are read by this task only, so none can overtake this line.
            self.window.sent(message_id, ticket, Instant::now());
        }
        Ok(())
    }

    /// Lets publishers in, or keeps them out.
    fn announce(&mut self, ready: &Ready, entrance: &mpsc::Sender<Job>) {
        let open = self.phase == Phase::Publishing && !*self.blocked.borrow_and_update();
        ready.send_if_modified(|current| {
            let changes = current.is_some() != open;
            if changes {
                *current = open.then(|| entrance.clone());
            }
            changes
        });
    }

    fn drained(&self) -> Option<Ended> {
        match self.phase {
            Phase::Draining(why) if self.window.is_empty() && self.unsent.is_empty() => Some(match why {
                Why::Stop => Ended::Stopped,
                Why::QueueGone => Ended::Lost("a queue takes no messages: it or its binding was deleted".to_owned()),
            }),
            _ => None,
        }
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
                self.settle(settled);
            }
            Some(ChannelEvent::Nacked { tag, multiple }) => {
                let settled = self.window.nack(tag, multiple);
                self.settle(settled);
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

    fn settle(&mut self, settled: Vec<Settled<Ticket>>) {
        for Settled { ticket, outcome, sent_at } in settled {
            if outcome == Published::Confirmed {
                metrics::confirmed_after(sent_at.elapsed());
            }
            self.batches.settle(ticket, outcome);
        }
    }

    /// When the next wait is over: for a confirm, or for room to send.
    fn deadline(&self) -> Option<Instant> {
        let to_send = self.unsent.front().map(|unsent| unsent.send_until);
        self.confirm_deadline().into_iter().chain(to_send).min()
    }

    fn confirm_deadline(&self) -> Option<Instant> {
        self.window.oldest().filter(|_| !self.is_probing()).map(|sent_at| sent_at + self.confirm_timeout)
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
        let in_flight = self.window.fail_all();
        self.settle(in_flight);
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
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
        let name = super::TRACEPARENT.try_into().expect("a short name");
        headers.insert(name, FieldValue::from(traceparent));
        properties.with_headers(headers);
    }
    // Mandatory: a message that no queue takes must come back instead of disappearing.
    let arguments = BasicPublishArguments::new(&message.exchange, &message.routing_key).mandatory(true).finish();
    channel.basic_publish(properties, Vec::from(message.body), arguments).await
}

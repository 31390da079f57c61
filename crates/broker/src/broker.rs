//! The handles the services hold; each is the RabbitMQ one or the in-process one.

use std::{sync::Arc, time::Duration};

use domain::PerLane;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Delivery, Error, Options, Outgoing, Published, Topology, amqp, memory, memory::Memory, series};

/// A broker; cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    backend: Backend,
}

#[derive(Debug, Clone)]
enum Backend {
    Amqp(Arc<amqp::Amqp>),
    Memory(Arc<Memory>),
}

impl Broker {
    /// A RabbitMQ broker (3.10 or later) at `uri`, with default [`Options`].
    ///
    /// Returns at once; two connections, one to publish and one to consume, are opened and kept open by tasks on
    /// `tasks` until `stop` is cancelled. Then publishes in flight get their confirms (at most the confirm timeout),
    /// answers already given are sent, and the connections are closed.
    ///
    /// # Errors
    ///
    /// Only for a `uri` that cannot be parsed or a CA file that cannot be read. A broker that is down is no error.
    pub fn amqp(
        uri: SecretString,
        topology: Topology,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        Self::amqp_with(uri, topology, Options::default(), tasks, stop)
    }

    /// The same with other timeouts and bounds.
    #[expect(clippy::needless_pass_by_value, reason = "the secret is given away, so that it is not kept")]
    pub fn amqp_with(
        uri: SecretString,
        topology: Topology,
        options: Options,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let amqp = amqp::Amqp::start(&uri, topology, options, tasks, stop)?;
        Ok(Self { backend: Backend::Amqp(Arc::new(amqp)) })
    }

    /// A broker inside this process, with default [`Options`]. Its messages are gone when the process ends.
    pub fn in_process(topology: Topology) -> Self {
        Self::in_process_with(topology, &Options::default())
    }

    /// The same with another queue capacity.
    pub fn in_process_with(topology: Topology, options: &Options) -> Self {
        for purpose in ["publisher", "consumer"] {
            series::connected(purpose, true);
        }
        Self { backend: Backend::Memory(Arc::new(Memory::new(topology, options.queue_capacity))) }
    }

    /// The exchange and the queues.
    pub fn topology(&self) -> &Topology {
        match &self.backend {
            Backend::Amqp(amqp) => amqp.topology(),
            Backend::Memory(memory) => &memory.topology,
        }
    }

    /// What can be expected of it now; no I/O.
    pub fn condition(&self) -> Condition {
        match &self.backend {
            Backend::Amqp(amqp) if !amqp.is_connected() => Condition::Away,
            Backend::Amqp(amqp) if amqp.is_blocked() => Condition::Blocked,
            Backend::Amqp(_) | Backend::Memory(_) => Condition::Connected,
        }
    }

    /// Whether both connections are up and the topology is declared; no I/O.
    pub fn is_connected(&self) -> bool {
        match &self.backend {
            Backend::Amqp(amqp) => amqp.is_connected(),
            Backend::Memory(_) => true,
        }
    }

    /// Waits until [`is_connected`](Self::is_connected); for ever once the broker was stopped. Cancel safe.
    pub async fn connected(&self) {
        match &self.backend {
            Backend::Amqp(amqp) => amqp.connected().await,
            Backend::Memory(_) => {}
        }
    }

    /// A handle for publishing; all of them share one channel.
    pub fn publisher(&self) -> Publisher {
        Publisher { backend: self.backend.clone() }
    }

    /// How many messages wait in the queues, measured about every `every` from now on.
    pub fn watch_depths(&self, every: Duration) -> DepthWatch {
        DepthWatch {
            source: match &self.backend {
                Backend::Amqp(amqp) => DepthSource::Amqp(amqp.depths(every)),
                Backend::Memory(memory) => DepthSource::Memory(Arc::clone(memory)),
            },
        }
    }

    /// A consumer of `queue` that holds at most `prefetch` unanswered deliveries (at least 1; 0, which RabbitMQ takes
    /// as "no bound", is 1 here). It survives reconnects by itself and ends with [`Consumer::stop`] or when dropped.
    ///
    /// # Panics
    ///
    /// If `queue` is neither a queue of the topology nor a dead-letter queue of one: the server would close the channel
    /// over and over again.
    pub fn consumer(&self, queue: &str, prefetch: u16) -> Consumer {
        assert!(self.topology().is_consumable(queue), "{queue:?} is not a queue of the topology");
        let prefetch = prefetch.max(1);
        let source = match &self.backend {
            Backend::Amqp(amqp) => Source::Amqp(amqp.consumer(queue, prefetch)),
            Backend::Memory(memory) => {
                Source::Memory(memory.consumer(queue, prefetch).expect("queues of the topology exist"))
            }
        };
        Consumer { source }
    }
}

/// What can be expected of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Both connections are up and the topology is declared.
    Connected,
    /// The same, and what is published has not been confirmed for 5 s, as during a memory or disk alarm. Consumers go on.
    Blocked,
    /// A connection is missing.
    Away,
}

impl Condition {
    /// As `/readyz` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "ok",
            Self::Blocked => "blocked",
            Self::Away => "unavailable",
        }
    }
}

/// How many messages wait in the queue of each lane, those given out to consumers left out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DepthWatch {
    source: DepthSource,
}

#[derive(Debug, Clone)]
enum DepthSource {
    Amqp(watch::Receiver<Option<PerLane<u64>>>),
    Memory(Arc<Memory>),
}

impl DepthWatch {
    /// The depths as last measured; `None` while the broker cannot be asked.
    pub fn latest(&self) -> Option<PerLane<u64>> {
        match &self.source {
            DepthSource::Amqp(depths) => *depths.borrow(),
            DepthSource::Memory(memory) => Some(PerLane::from_fn(|lane| memory.depth(memory.topology.queue(lane)))),
        }
    }
}

/// Publishes messages and waits for their confirms; cheap to clone, and used by any number of tasks at once.
#[derive(Debug, Clone)]
pub struct Publisher {
    backend: Backend,
}

impl Publisher {
    /// Whether a publish would be sent now. False while the broker has no connection, does not answer, or has stopped
    /// taking messages (memory or disk alarm: a connection is ready only when test messages, which no queue takes, were
    /// confirmed on it, and while nothing is published another is sent every 2 s).
    pub fn is_ready(&self) -> bool {
        match &self.backend {
            Backend::Amqp(amqp) => amqp.publisher().is_ready(),
            Backend::Memory(_) => true,
        }
    }

    /// Waits until [`is_ready`](Self::is_ready); for ever once the broker was stopped. Cancel safe.
    pub async fn ready(&self) {
        match &self.backend {
            Backend::Amqp(amqp) => amqp.publisher().ready().await,
            Backend::Memory(_) => {}
        }
    }

    /// Publishes `batch` and tells what became of each message, in the same order.
    ///
    /// Takes at most twice the confirm timeout: what cannot be sent within one is [`Published::NotSent`], what is not
    /// confirmed within one of being sent is [`Published::Unknown`]. A caller that stops waiting does not stop the
    /// batch: its messages may still be sent.
    pub async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Published> {
        let outcomes = match &self.backend {
            Backend::Amqp(amqp) => amqp.publisher().publish(batch).await,
            Backend::Memory(memory) => memory.publish(batch),
        };
        series::publishes(&outcomes);
        outcomes
    }
}

/// Takes messages from one queue.
#[derive(Debug)]
pub struct Consumer {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Amqp(amqp::Consumer),
    Memory(memory::Consumer),
}

impl Consumer {
    /// The next delivery; `None` only after [`stop`](Self::stop) or when the broker was stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        match &mut self.source {
            Source::Amqp(consumer) => consumer.next().await.map(Delivery::from),
            Source::Memory(consumer) => consumer.next().await.map(Delivery::from),
        }
    }

    /// Ends the deliveries: those already given out can still be answered, those not yet given out are requeued.
    pub async fn stop(&mut self) {
        match &mut self.source {
            Source::Amqp(consumer) => consumer.stop().await,
            Source::Memory(consumer) => consumer.stop(),
        }
    }
}

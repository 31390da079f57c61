//! RabbitMQ. The only place that knows amqprs.

mod acker;
mod batches;
mod call;
mod callback;
mod consumer;
mod declare;
mod depths;
mod frames;
mod job;
mod link;
mod preflight;
mod publisher;
mod session;
mod subscription;
mod supervisor;

use std::{sync::Arc, time::Duration};

use domain::PerLane;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::{acker::Acker, consumer::Consumer, publisher::Publisher};
use self::{
    call::Caller,
    link::{Links, some},
    supervisor::{Purpose, Supervisor},
};
use crate::{Error, Options, Topology, uri::Server};

/// The two connections, and what is needed to start users of them.
#[derive(Debug)]
pub(crate) struct Amqp {
    topology: Arc<Topology>,
    tasks: TaskTracker,
    stop: CancellationToken,
    publisher_links: Links,
    consumer_links: Links,
    publisher: Publisher,
}

impl Amqp {
    pub(crate) fn start(
        uri: &SecretString,
        topology: Topology,
        options: Options,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let server = Arc::new(Server::parse(uri)?);
        let (topology, options) = (Arc::new(topology), Arc::new(options));
        let supervise = |purpose: Purpose| {
            let (links, receiver) = watch::channel(None);
            let supervisor = Supervisor {
                purpose,
                server: Arc::clone(&server),
                topology: Arc::clone(&topology),
                options: Arc::clone(&options),
                caller: Caller::new(tasks.clone(), options.step_timeout),
                links,
                stop: stop.clone(),
            };
            tasks.spawn(supervisor.run());
            receiver
        };
        let (publisher_links, consumer_links) = (supervise(Purpose::Publisher), supervise(Purpose::Consumer));
        let publisher = Publisher::start(publisher_links.clone(), &topology, &options, tasks, &stop);
        let (tasks, stop) = (tasks.clone(), stop);
        Ok(Self { topology, tasks, stop, publisher_links, consumer_links, publisher })
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.publisher_links.borrow().is_some() && self.consumer_links.borrow().is_some()
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.publisher.is_blocked()
    }

    pub(crate) async fn connected(&self) {
        while !self.is_connected() {
            for mut links in [self.publisher_links.clone(), self.consumer_links.clone()] {
                some(&mut links).await;
            }
        }
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    pub(crate) fn depths(&self, every: Duration) -> watch::Receiver<Option<PerLane<u64>>> {
        let (sender, receiver) = watch::channel(None);
        let (links, topology) = (self.consumer_links.clone(), Arc::clone(&self.topology));
        self.tasks.spawn(depths::watch(links, topology, every, sender, self.stop.clone()));
        receiver
    }

    pub(crate) fn consumer(&self, queue: &str, prefetch: u16) -> Consumer {
        Consumer::start(queue, prefetch, self.consumer_links.clone(), &self.tasks, &self.stop)
    }
}

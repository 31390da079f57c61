//! How many messages wait in the queues, asked again and again on a channel of its own.

use std::{sync::Arc, time::Duration};

use amqprs::channel::Channel;
use domain::{Lane, PerLane};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    call::{Caller, Failure},
    declare,
    link::{Link, Links, next_link},
};
use crate::Topology;

/// Measures on each connection in turn. While nothing is known, the receiver holds `None`.
pub(super) async fn watch(
    mut links: Links,
    topology: Arc<Topology>,
    every: Duration,
    depths: watch::Sender<Option<PerLane<u64>>>,
    stop: CancellationToken,
) {
    while let Some(link) = next_link(&mut links, &stop).await {
        let _in_use = link.in_use();
        let measured = stop.run_until_cancelled(measure(&link, &topology, every, &depths)).await;
        depths.send_replace(None);
        if let Some(failure) = measured {
            link.health().fail(failure.to_string());
        }
    }
}

/// Ends only with a failure.
async fn measure(
    link: &Link,
    topology: &Topology,
    every: Duration,
    depths: &watch::Sender<Option<PerLane<u64>>>,
) -> Failure {
    let channel = match link.open_channel(1).await {
        Ok((channel, _events)) => channel,
        Err(failure) => return failure,
    };
    loop {
        match ask(&channel, link.caller(), topology).await {
            Ok(now) => depths.send_replace(Some(now)),
            Err(failure) => return failure,
        };
        sleep(every).await;
    }
}

async fn ask(channel: &Channel, caller: &Caller, topology: &Topology) -> Result<PerLane<u64>, Failure> {
    Ok(PerLane {
        express: declare::work_queue(channel, caller, topology.queue(Lane::Express)).await?,
        normal: declare::work_queue(channel, caller, topology.queue(Lane::Normal)).await?,
    })
}

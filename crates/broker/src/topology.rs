//! The names of the exchange and the queues: one direct exchange, a queue for each lane, a dead-letter queue
//! for each queue. A queue is bound with its own name as the routing key.

use domain::{Lane, PerLane};
use settings::{SettingError, Source};

use crate::Error;

/// Messages a queue gives out again at most this many times; then they go to its dead-letter queue.
pub(crate) const DELIVERY_LIMIT: u32 = 20;

/// AMQP names are at most 255 bytes, and a queue's name must leave room for [`DEAD_LETTER_SUFFIX`].
const LONGEST_NAME: usize = 251;

const DEAD_LETTER_SUFFIX: &str = ".dlq";

/// The exchange and the queues the platform works with; names that the broker will accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    exchange: String,
    queues: PerLane<String>,
}

/// What [`Topology::new`] takes for a name.
const ACCEPTED_NAME: &str = "a name of 1 to 251 bytes without control characters that does not begin with amq.";

impl Topology {
    /// `RABBIT_MESSAGE_EXCHANGE` (`message_exchange`), `EXPRESS_QUEUE` (`message_express`), `NORMAL_QUEUE` (`message_normal`).
    ///
    /// # Errors
    /// A name that AMQP cannot carry, or one queue for both lanes.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let name = |variable, default: &str| {
            source.parsed_with_default(variable, default, ACCEPTED_NAME, |name| checked(variable, name.to_owned()).ok())
        };
        let exchange = name("RABBIT_MESSAGE_EXCHANGE", "message_exchange")?;
        let queues = PerLane {
            express: name("EXPRESS_QUEUE", "message_express")?,
            normal: name("NORMAL_QUEUE", "message_normal")?,
        };
        let topology = Self { exchange, queues };
        if topology.shares_names() {
            let accepted = "another queue than NORMAL_QUEUE and its dead-letter queue (.dlq), and the other way round";
            return Err(SettingError::new("EXPRESS_QUEUE", topology.queue(Lane::Express), accepted));
        }
        Ok(topology)
    }

    /// Checks the names: 1 to 251 bytes, no control characters, not starting with `amq.` (reserved by the broker), and
    /// the queues with their dead-letter queues all different.
    pub fn new(
        exchange: impl Into<String>,
        express_queue: impl Into<String>,
        normal_queue: impl Into<String>,
    ) -> Result<Self, Error> {
        let topology = Self {
            exchange: checked("exchange", exchange.into())?,
            queues: PerLane {
                express: checked("express queue", express_queue.into())?,
                normal: checked("normal queue", normal_queue.into())?,
            },
        };
        if topology.shares_names() {
            let expected = "the queues and their dead-letter queues (<queue>.dlq) must all be different";
            return Err(Error::Name { of: "normal queue", name: topology.queues.normal, expected });
        }
        Ok(topology)
    }

    /// Whether a queue is called like the other one, or like its dead-letter queue.
    fn shares_names(&self) -> bool {
        let [express, normal] = self.queues();
        express == normal || express == dead_letter_queue(normal) || normal == dead_letter_queue(express)
    }

    /// The direct exchange everything is published to.
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The queue of a lane; its name is also the routing key.
    pub fn queue(&self, lane: Lane) -> &str {
        &self.queues[lane]
    }

    /// Whether `name` is one of the two work queues (dead-letter queues are not).
    pub fn is_queue(&self, name: &str) -> bool {
        self.queues().contains(&name)
    }

    /// Whether a consumer may read `name`: a work queue or a dead-letter queue.
    pub(crate) fn is_consumable(&self, name: &str) -> bool {
        self.is_queue(name) || self.queues().iter().any(|queue| dead_letter_queue(queue) == name)
    }

    /// The two work queues, in the order of [`Lane::ALL`].
    pub fn queues(&self) -> [&str; 2] {
        Lane::ALL.map(|lane| self.queue(lane))
    }
}

/// The name of the queue where `queue`'s rejected messages go: `<queue>.dlq`.
pub fn dead_letter_queue(queue: &str) -> String {
    format!("{queue}{DEAD_LETTER_SUFFIX}")
}

fn checked(of: &'static str, name: String) -> Result<String, Error> {
    let expected = if name.is_empty() || name.len() > LONGEST_NAME {
        "a name has 1 to 251 bytes"
    } else if name.starts_with("amq.") {
        "names starting with amq. are reserved by the broker"
    } else if name.chars().any(char::is_control) {
        "a name has no control characters"
    } else {
        return Ok(name);
    };
    Err(Error::Name { of, name, expected })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queues_are_found_by_lane_and_by_name() {
        let topology = Topology::new("messages", "fast", "slow").expect("valid names");
        assert_eq!(topology.queue(Lane::Express), "fast");
        assert_eq!(topology.queue(Lane::Normal), "slow");
        assert!(topology.is_queue("fast") && topology.is_queue("slow"));
        assert!(!topology.is_queue("fast.dlq") && !topology.is_queue("messages"));
        assert!(topology.is_consumable("slow.dlq") && !topology.is_consumable("messages.dlq"));
    }

    #[test]
    fn unusable_names_are_refused() {
        for name in ["", "amq.topic", "two\nlines", &"x".repeat(252)] {
            assert!(Topology::new(name, "a", "b").is_err(), "exchange {name:?}");
            assert!(Topology::new("e", name, "b").is_err(), "express queue {name:?}");
            assert!(Topology::new("e", "a", name).is_err(), "normal queue {name:?}");
        }
    }

    #[test]
    fn queues_that_would_share_a_name_are_refused() {
        for (express, normal) in [("a", "a"), ("a.dlq", "a"), ("a", "a.dlq")] {
            assert!(Topology::new("e", express, normal).is_err(), "{express} and {normal}");
        }
        assert!(Topology::new("a", "a", "b").is_ok(), "an exchange may be named like a queue");
    }

    proptest! {
        #[test]
        fn accepted_names_fit_the_protocol(name in "\\PC{0,260}") {
            if let Ok(topology) = Topology::new("e", name.clone(), "n") {
                prop_assert!(dead_letter_queue(topology.queue(Lane::Express)).len() <= 255);
                prop_assert!(!name.is_empty() && !name.starts_with("amq."));
            }
        }
    }
}

//! Where the broker is and what its parts are called.

use secrecy::SecretString;
use settings::{SettingError, Source};

use crate::{Topology, uri};

/// The user and port a RabbitMQ on the same machine comes with.
const DEFAULT_URI: &str = "amqp://guest:guest@localhost:5672/%2f";

/// How to reach the broker, and the names on it.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// `RABBIT_URI`: `amqp://user:password@host:port/vhost`, or `amqps://` for TLS.
    pub uri: SecretString,
    /// The exchange and the queues.
    pub topology: Topology,
}

impl BrokerConfig {
    /// Reads the section.
    ///
    /// # Errors
    /// A URI that is not understood, a name that AMQP cannot carry, or one queue for both lanes.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        let uri = source.secret("RABBIT_URI").unwrap_or_else(|| SecretString::from(DEFAULT_URI));
        uri::check(&uri).map_err(|error| SettingError::because("RABBIT_URI", error.to_string()))?;
        Ok(Self { uri, topology: Topology::load(source)? })
    }
}

#[cfg(test)]
mod tests {
    use domain::Lane;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_section_has_its_defaults_and_variables() {
        let broker = BrokerConfig::load(&Source::from_pairs::<&str, &str>([])).expect("accepted");
        assert_eq!(broker.uri.expose_secret(), "amqp://guest:guest@localhost:5672/%2f");
        let topology = &broker.topology;
        assert_eq!(topology.exchange(), "message_exchange");
        assert_eq!(Lane::ALL.map(|lane| topology.queue(lane)), ["message_express", "message_normal"]);

        let source = Source::from_pairs([
            ("RABBIT_URI", "amqps://user:s3cret@rabbit/prod"),
            ("RABBIT_MESSAGE_EXCHANGE", "e"),
            ("EXPRESS_QUEUE", "fast"),
            ("NORMAL_QUEUE", "slow"),
        ]);
        let broker = BrokerConfig::load(&source).expect("accepted");
        assert_eq!(broker.topology, Topology::new("e", "fast", "slow").expect("valid names"));
        assert!(!format!("{broker:?}").contains("s3cret"));
    }

    #[test]
    fn wrong_values_show_no_secret() {
        let (longest, long) = ("q".repeat(251), "q".repeat(252));
        let table = [
            (
                "RABBIT_URI",
                "http://user:s3cret@rabbit",
                "RABBIT_URI=[hidden] is not accepted: cannot parse the broker uri",
            ),
            ("NORMAL_QUEUE", long.as_str(), "NORMAL_QUEUE=qqq"),
            (
                "RABBIT_MESSAGE_EXCHANGE",
                "a\nb",
                "RABBIT_MESSAGE_EXCHANGE=a\\nb is not accepted: it must be a name of 1 to 251",
            ),
            (
                "EXPRESS_QUEUE",
                "message_normal",
                "EXPRESS_QUEUE=message_normal is not accepted: it must be another queue",
            ),
        ];
        for (name, value, expected) in table {
            let error = BrokerConfig::load(&Source::from_pairs([(name, value)])).expect_err(value);
            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(!format!("{error:?}{error}").contains("s3cret"), "{error}");
        }
        BrokerConfig::load(&Source::from_pairs([("NORMAL_QUEUE", longest.as_str())]))
            .expect("the limit of the topology");
    }
}

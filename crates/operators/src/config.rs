//! What [`Operators`](crate::Operators) are built from.

use std::time::Duration;

use crate::{OperatorName, OperatorSpec};

/// The operators and how they are called.
#[derive(Debug, Clone)]
pub struct OperatorsConfig {
    /// In the order in which they are asked; at least one, with different names.
    pub operators: Vec<OperatorSpec>,
    /// How long one attempt may take, from connecting to the answer's last byte; more than zero.
    pub timeout: Duration,
    /// How often one operator is asked again before the next one is.
    pub max_retries: u32,
    /// The wait before the first retry; it doubles up to 2 s, half of it is random.
    pub retry_backoff: Duration,
    /// When an operator is given a rest.
    pub breaker: BreakerConfig,
}

/// When one operator is skipped, and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// How many failed attempts in a row open the breaker; at least 1.
    pub failure_threshold: u32,
    /// How many successful probes close it again, and how many may run at once; at least 1.
    pub success_threshold: u32,
    /// How long it stays open before probes are let through; more than zero.
    pub open_timeout: Duration,
}

/// Why operators could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The list is empty.
    #[error("no operator is configured; list at least one")]
    NoOperators,
    /// Two operators have one name.
    #[error("operator {name} is configured twice; give each operator a name of its own")]
    Repeated {
        /// The name.
        name: OperatorName,
    },
    /// A setting is zero that must not be.
    #[error("{setting} must be more than 0")]
    Zero {
        /// The field's name.
        setting: &'static str,
    },
    /// An operator's HTTP client could not be made.
    #[error("could not make the http client of operator {name}; https needs the system's root certificates")]
    Client {
        /// Whose client.
        name: OperatorName,
        /// What the client library said.
        #[source]
        source: reqwest::Error,
    },
}

impl OperatorsConfig {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.operators.is_empty() {
            return Err(BuildError::NoOperators);
        }
        for (index, spec) in self.operators.iter().enumerate() {
            if self.operators[..index].iter().any(|other| other.name == spec.name) {
                return Err(BuildError::Repeated { name: spec.name.clone() });
            }
        }
        let settings = [
            ("timeout", self.timeout.is_zero()),
            ("failure_threshold", self.breaker.failure_threshold == 0),
            ("success_threshold", self.breaker.success_threshold == 0),
            ("open_timeout", self.breaker.open_timeout.is_zero()),
        ];
        match settings.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((setting, _)) => Err(BuildError::Zero { setting }),
            None => Ok(()),
        }
    }
}

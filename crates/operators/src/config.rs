//! What [`Operators`](crate::Operators) are built from.

use std::time::Duration;

use settings::{SettingError, Source};

use crate::{
    OperatorName, OperatorSpec,
    smsc::TlsError,
    spec::{ACCEPTED_URLS, parse_operators},
};

/// The operators and how they are called.
#[derive(Debug, Clone)]
pub struct OperatorsConfig {
    /// In the order in which they are asked; at least one, with different names.
    pub operators: Vec<OperatorSpec>,
    /// How long one attempt over HTTP may take, from connecting to the answer's last byte; more than zero. SMPP operators have their own.
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
    /// TLS for an SMPP operator's sessions could not be set up.
    #[error("could not set up TLS for operator {name}")]
    Tls {
        /// Whose sessions.
        name: OperatorName,
        /// What is wrong.
        #[source]
        source: TlsError,
    },
}

impl OperatorsConfig {
    /// Reads the operators and what is tried before one is given up.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        // URLs may hold credentials, so the value is not shown; the parser says what is wrong with which operator.
        let accepted = format!("an ordered list name=url,name=url with URLs {ACCEPTED_URLS}");
        let default = "operatorA=simulated:,operatorB=simulated:";
        let operators = source.hidden_with_default("OPERATORS", default, &accepted, parse_operators)?;
        Ok(Self {
            operators,
            timeout: source.duration_ms("OPERATOR_TIMEOUT_MS", 2_000, 1..=60_000)?,
            max_retries: source.integer("OPERATOR_MAX_RETRIES", 2, 0..=10)?,
            retry_backoff: source.duration_ms("OPERATOR_RETRY_BACKOFF_MS", 200, 0..=10_000)?,
            breaker: BreakerConfig {
                failure_threshold: source.integer("BREAKER_FAILURE_THRESHOLD", 3, 1..=1_000)?,
                success_threshold: source.integer("BREAKER_SUCCESS_THRESHOLD", 2, 1..=1_000)?,
                open_timeout: source.duration_ms("BREAKER_OPEN_TIMEOUT_MS", 5_000, 1..=3_600_000)?,
            },
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_operators_are_named_but_not_shown() {
        let source = Source::from_pairs([("OPERATORS", "a=ftp://me:secret@host")]);
        let error = OperatorsConfig::load(&source).expect_err("refused").to_string();
        assert!(error.contains("OPERATORS") && !error.contains("secret"), "{error}");
    }
}

//! The ordered operators: build them, send through them.

use std::{sync::Arc, time::Duration};

use crate::{
    BuildError, Endpoint, OperatorName, OperatorSpec, OperatorsConfig, Prior, Submission, Verdict,
    http::HttpOperator,
    outcome::{Answer, Failure, Outcome},
    retry::MAX_DELAY,
    round::Round,
    simulated::SimulatedOperator,
    stack::Stack,
    verdict,
};

/// All operators in their order; clones share breakers and connections.
#[derive(Debug, Clone)]
pub struct Operators {
    stacks: Arc<[Stack]>,
    longest_round: Duration,
}

impl Operators {
    /// Builds the operators. Install the metrics recorder before: metrics go to the one found here.
    ///
    /// An `https` operator makes ring the process's default TLS provider, unless there is one already.
    ///
    /// # Errors
    /// When the configuration breaks a rule of [`OperatorsConfig`], or an HTTP client cannot be made.
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is used up by what is built from it")]
    pub fn build(config: OperatorsConfig) -> Result<Self, BuildError> {
        config.check()?;
        let stacks: Result<Vec<_>, _> = config.operators.iter().map(|spec| build_stack(spec, &config)).collect();
        Ok(Self { stacks: stacks?.into(), longest_round: longest_round(&config) })
    }

    /// One round: asks each operator in order, with its retries, until one accepts or rejects for good.
    ///
    /// Dropping the future abandons the round; an operator may have the submission then, so the next round
    /// must be [`Prior::Resumed`].
    pub async fn send(&self, submission: &Submission, prior: Prior) -> Verdict {
        let round = Round::new(submission.clone());
        for stack in self.stacks.iter() {
            let outcome = stack.ask(&round).await;
            if !asks_on(prior, &outcome, &round, stack.name()) {
                break;
            }
        }
        let verdict = verdict::decide(prior, self.names(), &round.take_attempts());
        if let Verdict::Failed { reason } | Verdict::Unknown { reason } | Verdict::Rejected { reason, .. } = &verdict {
            tracing::debug!(message_identifier = %submission.message_id, reason, "no operator accepted the message");
        }
        verdict
    }

    /// Their names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &OperatorName> {
        self.stacks.iter().map(Stack::name)
    }

    /// The longest that one [`send`](Self::send) can take: every try at every operator times out, and every
    /// wait between is the longest an operator may ask for.
    pub fn longest_round(&self) -> Duration {
        self.longest_round
    }
}

/// Whether the next operator is asked.
///
/// One that may have the message is asked again first, under the same key: going on at once could deliver twice. Only
/// when that has led nowhere for long is the next one tried. A rejection ends a first round; a later one goes on,
/// because another operator may have accepted before the crash, and then a refund would be wrong.
fn asks_on(prior: Prior, last: &Outcome, round: &Round, operator: &OperatorName) -> bool {
    match (prior, last) {
        (_, Ok(Answer::Accepted { .. })) | (Prior::First, Ok(Answer::Rejected { .. })) => false,
        (Prior::Overdue, _) => true,
        // An open breaker says nothing about what its operator took before, but an answer from before it opened does.
        (Prior::Resumed, Err(Failure::BreakerOpen)) => !round.has_unknown() && round.has_answer_of(operator),
        (Prior::First | Prior::Resumed, _) => !round.has_unknown(),
    }
}

fn build_stack(spec: &OperatorSpec, config: &OperatorsConfig) -> Result<Stack, BuildError> {
    let OperatorSpec { name, endpoint } = spec;
    Ok(match endpoint {
        Endpoint::Simulated => Stack::new(name, config, SimulatedOperator::new(name.clone())),
        Endpoint::Http(url) => {
            let operator = HttpOperator::new(url.clone(), config.timeout)
                .map_err(|source| BuildError::Client { name: name.clone(), source })?;
            Stack::new(name, config, operator)
        }
    })
}

fn longest_round(config: &OperatorsConfig) -> Duration {
    let tries = config.timeout.saturating_mul(config.max_retries.saturating_add(1));
    let waits = MAX_DELAY.saturating_mul(config.max_retries);
    let count = u32::try_from(config.operators.len()).unwrap_or(u32::MAX);
    tries.saturating_add(waits).saturating_mul(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse_operators, testing};

    fn config(list: &str) -> OperatorsConfig {
        OperatorsConfig { operators: parse_operators(list).expect("valid"), ..testing::patient_config() }
    }

    #[tokio::test]
    async fn the_first_simulated_operator_accepts_at_once() {
        let operators = Operators::build(config("operatorA=simulated:,operatorB=simulated:")).expect("valid");
        match operators.send(&testing::submission(), Prior::First).await {
            Verdict::Accepted { operator, provider_message_id } => {
                assert_eq!(operator.as_str(), "operatorA");
                assert_eq!(provider_message_id, None);
            }
            other => panic!("not accepted: {other:?}"),
        }
    }

    #[test]
    fn the_longest_round_counts_every_try_and_every_wait() {
        let config =
            OperatorsConfig { timeout: Duration::from_secs(2), max_retries: 2, ..config("a=simulated:,b=simulated:") };
        assert_eq!(Operators::build(config).expect("valid").longest_round(), 2 * Duration::from_secs(3 * 2 + 2 * 2));
        let endless = OperatorsConfig { max_retries: u32::MAX, timeout: Duration::MAX, ..self::config("a=simulated:") };
        assert_eq!(Operators::build(endless).expect("valid").longest_round(), Duration::MAX);
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let mut repeated = config("a=simulated:");
        repeated.operators.extend(repeated.operators.clone());
        assert!(matches!(Operators::build(repeated), Err(BuildError::Repeated { .. })));
        let none = OperatorsConfig { operators: vec![], ..config("a=simulated:") };
        assert!(matches!(Operators::build(none), Err(BuildError::NoOperators)));
        let hasty = OperatorsConfig { timeout: Duration::ZERO, ..config("a=simulated:") };
        assert!(matches!(Operators::build(hasty), Err(BuildError::Zero { setting: "timeout" })));
        let mut eager = config("a=simulated:");
        eager.breaker.success_threshold = 0;
        assert!(matches!(Operators::build(eager), Err(BuildError::Zero { setting: "success_threshold" })));
    }
}

//! The ordered operators: build them, send through them.

use std::{sync::Arc, time::Duration};

use domain::Lane;
use futures_util::future::{join_all, select_all};

use crate::{
    Background, BuildError, Endpoint, OperatorName, OperatorSpec, OperatorsConfig, Prior, SessionsState, Submission,
    UnknownRule, Verdict,
    http::HttpOperator,
    outcome::{Answer, Failure, Outcome},
    retry::MAX_DELAY,
    round::Round,
    simulated::SimulatedOperator,
    smsc::{Places, Sessions},
    stack::{Manners, Stack},
    verdict::{self, Configured},
};

/// All operators in their order; clones share breakers, connections and sessions.
#[derive(Debug, Clone)]
pub struct Operators {
    stacks: Arc<[Stack]>,
    /// Of those that are reached over SMPP.
    sessions: Arc<[(OperatorName, Sessions)]>,
    longest_round: Duration,
}

/// Room for messages at an operator.
pub struct Room {
    _places: Option<Places>,
}

impl Operators {
    /// Builds the operators. Install the metrics recorder before: metrics go to the one found here.
    ///
    /// An `https` operator makes ring the process's default TLS provider, unless there is one already. SMPP operators begin to make their
    /// sessions in the `background`, and keep at that.
    ///
    /// # Errors
    /// When the configuration breaks a rule of [`OperatorsConfig`], or an HTTP client or TLS cannot be set up.
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is used up by what is built from it")]
    pub fn build(config: OperatorsConfig, background: &Background) -> Result<Self, BuildError> {
        config.check()?;
        let (mut stacks, mut sessions) = (Vec::new(), Vec::new());
        for spec in &config.operators {
            stacks.push(build_stack(spec, &config, background, &mut sessions)?);
        }
        let longest_round = longest_round(&config, &stacks);
        Ok(Self { stacks: stacks.into(), sessions: sessions.into(), longest_round })
    }

    /// One round: asks each operator in order, with its retries, until one accepts or rejects for good.
    ///
    /// Dropping the future abandons the round; an operator may have the submission then, so the next round
    /// must be [`Prior::Resumed`].
    pub async fn send(&self, submission: &Submission, prior: Prior) -> Verdict {
        if prior != Prior::First && self.hold_unknown() {
            return Verdict::Unknown { reason: "it is not sent twice (unknown=hold)".to_owned() };
        }
        let round = Round::new(submission.clone(), prior);
        for stack in self.stacks.iter() {
            let outcome = stack.ask(&round).await;
            if !asks_on(&outcome, &round, stack) {
                break;
            }
        }
        let configured =
            self.stacks.iter().map(|stack| Configured { name: stack.name(), recognises: stack.manners().recognises });
        let verdict = verdict::decide(prior, configured, &round.take_attempts(), &round.partly_taken_by());
        if let Verdict::Failed { reason }
        | Verdict::Waiting { reason }
        | Verdict::NeverKnown { reason }
        | Verdict::Unknown { reason }
        | Verdict::Rejected { reason, .. } = &verdict
        {
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

    /// Whether this operator tells by itself what becomes of what it took.
    pub fn reports(&self, operator: &OperatorName) -> bool {
        self.sessions.iter().any(|(name, sessions)| name == operator && sessions.config().reports())
    }

    /// Whether what an operator may have is never sent again: at one of them at least, and nobody knows which one it was.
    pub fn hold_unknown(&self) -> bool {
        self.stacks.iter().any(|stack| stack.manners().holds)
    }

    /// Whether every operator knows a submission that comes again. To another one each repetition may be one more message.
    pub fn recognise_repetitions(&self) -> bool {
        self.stacks.iter().all(|stack| stack.manners().recognises)
    }

    /// The operators with sessions, and how these are.
    pub fn sessions(&self) -> impl Iterator<Item = (&OperatorName, SessionsState)> {
        self.sessions.iter().map(|(name, sessions)| (name, sessions.state()))
    }

    /// Waits until an operator can be asked: at once where one has no sessions.
    pub async fn reachable(&self) {
        if self.sessions.len() == self.stacks.len() {
            select_all(self.sessions.iter().map(|(_, sessions)| Box::pin(sessions.bound()))).await;
        }
    }

    /// For how many segments there is room at once at one operator, where all have a bound to what they take.
    pub fn most_at_once(&self) -> Option<usize> {
        if self.sessions.len() < self.stacks.len() {
            return None;
        }
        self.sessions.iter().map(|(_, sessions)| sessions.most()).max()
    }

    /// Waits until there is room for so many segments, where all operators have a bound to what they take at once; they have it until what is
    /// returned is dropped. Where one has none, there is room at once. Without any session there is none.
    pub async fn room(&self, lane: Lane, segments: usize) -> Room {
        if self.sessions.len() < self.stacks.len() {
            return Room { _places: None };
        }
        let rooms = self.sessions.iter().map(|(_, sessions)| Box::pin(sessions.room(lane, segments)));
        let (places, ..) = select_all(rooms).await;
        Room { _places: Some(places) }
    }

    /// Waits until no operator can be asked: all have sessions, and none was there for as long as anything waits for one.
    pub async fn away(&self) {
        if self.sessions.len() < self.stacks.len() {
            return std::future::pending().await;
        }
        loop {
            join_all(self.sessions.iter().map(|(_, sessions)| sessions.away())).await;
            // Another one may be back while the last was waited for.
            if self.sessions().all(|(_, state)| state == SessionsState::None) {
                return;
            }
        }
    }
}

/// Whether the next operator is asked.
///
/// One that may have the message is asked again first, under the same key: going on at once could deliver twice. Only
/// when that has led nowhere for long is the next one tried. A rejection ends a first round; a later one goes on,
/// because another operator may have accepted before the crash, and then a refund would be wrong. A rejection of a copy by an
/// operator that does not know what it was sent before is no reason to go on either, until that has led nowhere for long.
fn asks_on(last: &Outcome, round: &Round, stack: &Stack) -> bool {
    let (operator, Manners { recognises, .. }) = (stack.name(), stack.manners());
    match (round.prior, last) {
        (_, Ok(Answer::Accepted { .. })) | (Prior::First, Ok(Answer::Rejected { .. })) => false,
        (Prior::Overdue, _) => true,
        // One that does not know what comes again says nothing about what it took before; nor does an open breaker, but an answer from
        // before it opened does.
        (Prior::Resumed, Err(_) | Ok(Answer::Rejected { of_every_copy: false, .. })) if !recognises => false,
        (Prior::Resumed, Err(Failure::BreakerOpen)) => {
            !round.may_be_taken() && round.has_answer_of(operator, recognises)
        }
        (Prior::First | Prior::Resumed, _) => !round.may_be_taken(),
    }
}

fn build_stack(
    spec: &OperatorSpec,
    config: &OperatorsConfig,
    background: &Background,
    all_sessions: &mut Vec<(OperatorName, Sessions)>,
) -> Result<Stack, BuildError> {
    let OperatorSpec { name, endpoint } = spec;
    let by_key = Manners { attempt: config.timeout, recognises: true, holds: false };
    Ok(match endpoint {
        Endpoint::Simulated => Stack::new(name, by_key, config, SimulatedOperator::new(name.clone())),
        Endpoint::Http(url) => {
            let operator = HttpOperator::new(url.clone(), config.timeout)
                .map_err(|source| BuildError::Client { name: name.clone(), source })?;
            Stack::new(name, by_key, config, operator)
        }
        Endpoint::Smpp(smpp) => {
            let sessions = Sessions::start(name, smpp, config.operators.len() > 1, background)
                .map_err(|source| BuildError::Tls { name: name.clone(), source })?;
            let manners =
                Manners { attempt: smpp.attempt(), recognises: false, holds: smpp.unknown == UnknownRule::Hold };
            let stack = Stack::new(name, manners, config, sessions.operator());
            all_sessions.push((name.clone(), sessions));
            stack
        }
    })
}

/// Each operator has its own time for an attempt.
fn longest_round(config: &OperatorsConfig, stacks: &[Stack]) -> Duration {
    let waits = MAX_DELAY.saturating_mul(config.max_retries);
    let of_stack = |stack: &Stack| {
        stack.manners().attempt.saturating_mul(config.max_retries.saturating_add(1)).saturating_add(waits)
    };
    stacks.iter().map(of_stack).fold(Duration::ZERO, Duration::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse_operators, testing};

    fn config(list: &str) -> OperatorsConfig {
        OperatorsConfig { operators: parse_operators(list).expect("valid"), ..testing::patient_config() }
    }

    fn built(config: OperatorsConfig) -> Result<Operators, BuildError> {
        Operators::build(config, &Background::none())
    }

    #[tokio::test]
    async fn the_first_simulated_operator_accepts_at_once() {
        let operators = built(config("operatorA=simulated:,operatorB=simulated:")).expect("valid");
        match operators.send(&testing::submission(), Prior::First).await {
            Verdict::Accepted { operator, ids } => {
                assert_eq!(operator.as_str(), "operatorA");
                assert_eq!(ids, [None]);
            }
            other => panic!("not accepted: {other:?}"),
        }
    }

    #[test]
    fn the_longest_round_counts_every_try_and_every_wait() {
        let config =
            OperatorsConfig { timeout: Duration::from_secs(2), max_retries: 2, ..config("a=simulated:,b=simulated:") };
        assert_eq!(built(config).expect("valid").longest_round(), 2 * Duration::from_secs(3 * 2 + 2 * 2));
        let endless = OperatorsConfig { max_retries: u32::MAX, timeout: Duration::MAX, ..self::config("a=simulated:") };
        assert_eq!(built(endless).expect("valid").longest_round(), Duration::MAX);
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let mut repeated = config("a=simulated:");
        repeated.operators.extend(repeated.operators.clone());
        assert!(matches!(built(repeated), Err(BuildError::Repeated { .. })));
        let none = OperatorsConfig { operators: vec![], ..config("a=simulated:") };
        assert!(matches!(built(none), Err(BuildError::NoOperators)));
        let hasty = OperatorsConfig { timeout: Duration::ZERO, ..config("a=simulated:") };
        assert!(matches!(built(hasty), Err(BuildError::Zero { setting: "timeout" })));
        let mut eager = config("a=simulated:");
        eager.breaker.success_threshold = 0;
        assert!(matches!(built(eager), Err(BuildError::Zero { setting: "success_threshold" })));
    }
}

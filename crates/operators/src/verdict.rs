//! What the attempts of one round add up to.

use std::fmt::Write as _;

use crate::{
    History, OperatorName,
    outcome::{Answer, Failure},
    round::Attempt,
};

/// The result of one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// An operator has it.
    Accepted {
        /// Which one.
        operator: OperatorName,
        /// What the operator calls it, if it said so.
        provider_message_id: Option<String>,
    },
    /// An operator refused it for good, and none may have taken it in this round.
    Rejected {
        /// Which one.
        operator: OperatorName,
        /// What it answered.
        reason: String,
    },
    /// No operator took it: it may be marked as failed and refunded.
    Failed {
        /// What each operator last came to.
        reason: String,
    },
    /// An operator may have taken it: ask again later, with [`History::Resumed`]. Never to be refunded.
    Unknown {
        /// What each operator last came to.
        reason: String,
    },
}

/// Decides a round. The first rule that fits counts:
///
/// 1. an operator accepted: accepted;
/// 2. an attempt's outcome is unknown: unknown, even if another operator rejected, for a rejection by one says
///    nothing about what another took. A later round without an unknown attempt settles it;
/// 3. an earlier round may have left it with an operator that was tried in this one and gave no answer: unknown;
/// 4. an operator rejected: rejected (in a later round the others were asked too, and none has it);
/// 5. failed. After an earlier unknown round this means that every operator answered for the same key.
pub(crate) fn decide(history: History, attempts: &[Attempt]) -> Verdict {
    let mut rejected = None;
    let mut has_unknown = false;
    for Attempt { operator, outcome } in attempts {
        match outcome {
            Ok(Answer::Accepted { provider_message_id }) => {
                let provider_message_id = provider_message_id.clone();
                return Verdict::Accepted { operator: operator.clone(), provider_message_id };
            }
            Ok(Answer::Rejected { reason }) => rejected = Some((operator.clone(), reason.clone())),
            Err(Failure::Unknown { .. }) => has_unknown = true,
            Err(Failure::Temporary { .. } | Failure::NotSent { .. } | Failure::BreakerOpen) => {}
        }
    }
    let may_be_taken = has_unknown || (history != History::First && !all_answered(attempts));
    match rejected {
        _ if may_be_taken => Verdict::Unknown { reason: describe(attempts) },
        Some((operator, reason)) => Verdict::Rejected { operator, reason },
        None => Verdict::Failed { reason: describe(attempts) },
    }
}

/// Whether each operator in `attempts` answered at least once.
fn all_answered(attempts: &[Attempt]) -> bool {
    let answered = |operator: &OperatorName| {
        attempts
            .iter()
            .any(|other| other.operator == *operator && matches!(other.outcome, Ok(_) | Err(Failure::Temporary { .. })))
    };
    attempts.iter().all(|attempt| answered(&attempt.operator))
}

/// `operatorA answered 503; operatorB was skipped, its breaker is open`: the last outcome of each operator.
fn describe(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    for (index, Attempt { operator, outcome }) in attempts.iter().enumerate() {
        let is_last_of_operator = attempts.get(index + 1).is_none_or(|next| next.operator != *operator);
        if !is_last_of_operator {
            continue;
        }
        let separator = if text.is_empty() { "" } else { "; " };
        let written = match outcome {
            Ok(Answer::Accepted { .. }) => write!(text, "{separator}{operator} accepted it"),
            Ok(Answer::Rejected { reason }) => write!(text, "{separator}{operator} rejected it: {reason}"),
            Err(failure) => write!(text, "{separator}{operator} {failure}"),
        };
        written.expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::name;

    /// One attempt as a word: the operator's letter, a dash and the class of its outcome.
    fn attempt(word: &str) -> Attempt {
        let (operator, class) = word.split_once('-').expect("operator-class");
        let outcome = match class {
            "accept" => Ok(Answer::Accepted { provider_message_id: Some("id".into()) }),
            "reject" => Ok(Answer::Rejected { reason: "answered 422".into() }),
            "503" => Err(Failure::Temporary { status: 503, retry_after: None }),
            "refuse" => Err(Failure::NotSent { reason: "connection refused".into() }),
            "unknown" => Err(Failure::Unknown { reason: "no answer".into() }),
            "open" => Err(Failure::BreakerOpen),
            other => panic!("no class {other}"),
        };
        Attempt { operator: name(operator), outcome }
    }

    fn class(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Accepted { .. } => "accepted",
            Verdict::Rejected { .. } => "rejected",
            Verdict::Failed { .. } => "failed",
            Verdict::Unknown { .. } => "unknown",
        }
    }

    #[test]
    fn every_rule_in_a_table() {
        // attempts, verdict of a first round, verdict of a resumed round
        let table = [
            ("a-accept", "accepted", "accepted"),
            ("a-503 a-accept", "accepted", "accepted"),
            ("a-unknown a-accept", "accepted", "accepted"),
            ("a-unknown b-accept", "accepted", "accepted"),
            ("a-open b-accept", "accepted", "accepted"),
            ("a-reject", "rejected", "rejected"),
            ("a-503 a-reject", "rejected", "rejected"),
            ("a-refuse b-reject", "rejected", "unknown"),
            ("a-open b-reject", "rejected", "unknown"),
            ("a-unknown a-reject", "unknown", "unknown"),
            ("a-unknown b-reject", "unknown", "unknown"),
            ("a-unknown", "unknown", "unknown"),
            ("a-503 a-unknown b-503", "unknown", "unknown"),
            ("a-unknown a-503 b-refuse", "unknown", "unknown"),
            ("a-503 b-unknown", "unknown", "unknown"),
            ("a-503 b-503", "failed", "failed"),
            ("a-503 a-open b-503", "failed", "failed"),
            ("a-refuse a-503 b-503", "failed", "failed"),
            ("a-refuse b-503", "failed", "unknown"),
            ("a-503 b-refuse b-refuse", "failed", "unknown"),
            ("a-open b-503", "failed", "unknown"),
            ("a-refuse a-open", "failed", "unknown"),
            ("a-open b-open", "failed", "unknown"),
            ("a-refuse b-refuse", "failed", "unknown"),
        ];
        for (words, first, resumed) in table {
            let attempts: Vec<_> = words.split(' ').map(attempt).collect();
            assert_eq!(class(&decide(History::First, &attempts)), first, "first round: {words}");
            assert_eq!(class(&decide(History::Resumed, &attempts)), resumed, "resumed round: {words}");
        }
    }

    #[test]
    fn verdicts_name_who_decided_and_why() {
        let accepted = decide(History::First, &[attempt("a-503"), attempt("b-accept")]);
        assert_eq!(accepted, Verdict::Accepted { operator: name("b"), provider_message_id: Some("id".into()) });
        let rejected = decide(History::First, &[attempt("a-open"), attempt("b-reject")]);
        assert_eq!(rejected, Verdict::Rejected { operator: name("b"), reason: "answered 422".into() });
        let failed = decide(History::First, &[attempt("a-refuse"), attempt("a-503"), attempt("b-open")]);
        assert_eq!(failed, Verdict::Failed { reason: "a answered 503; b was skipped, its breaker is open".into() });
    }
}

//! What the attempts of one round add up to.

use std::fmt::Write as _;

use crate::{
    OperatorName, Prior,
    outcome::{Answer, Failure},
    round::{Attempt, answered},
    smsc::PartIds,
};

/// The result of one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// An operator has it.
    Accepted {
        /// Which one.
        operator: OperatorName,
        /// What the operator calls each part that it was sent in, if it said so; one for all where it was sent as a whole.
        ids: PartIds,
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
    /// No operator took it, and one has no room for it now, or none can be reached: it is not the message's fault, and may be sent later.
    Waiting {
        /// What each operator last came to.
        reason: String,
    },
    /// An operator may have taken it before, and rejects what is sent again: to ask once more would tell nothing. Never to be refunded.
    NeverKnown {
        /// What each operator last came to.
        reason: String,
    },
    /// An operator may have taken it: ask again later, with [`Prior::Resumed`]. Never to be refunded.
    Unknown {
        /// What each operator last came to.
        reason: String,
    },
}

/// An operator that could be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Configured<'a> {
    pub(crate) name: &'a OperatorName,
    /// Whether it knows what it was sent before, so that its answer speaks for that too.
    pub(crate) recognises: bool,
}

/// Decides a round of the operators in `configured`. The first rule that fits counts:
///
/// 1. an operator accepted: accepted;
/// 2. an attempt's outcome is unknown: unknown, even if another operator rejected, for a rejection by one says
///    nothing about what another took. A later round without an unknown attempt settles it;
/// 3. an operator has some of the message's parts and did not reject another one: unknown;
/// 4. an earlier round may have left it with any of the configured operators, and not every one of them answered in this
///    round: unknown, whether the silent one was asked in vain, skipped or never reached in the order;
///    Where all rejected it, and some may have taken a copy before, that is never known: nothing more can be found out;
/// 5. an operator rejected: rejected (in a later round all the others answered too, and none has it);
/// 6. an operator has no room for it now, or none has a session: waiting;
/// 7. failed. After an earlier unknown round this means that every operator answered for the same key.
pub(crate) fn decide<'a>(
    prior: Prior,
    configured: impl IntoIterator<Item = Configured<'a>>,
    attempts: &[Attempt],
    partly_taken_by: &[OperatorName],
) -> Verdict {
    let mut rejected = None;
    let mut has_unknown = false;
    for Attempt { operator, outcome } in attempts {
        match outcome {
            Ok(Answer::Accepted { ids }) => {
                return Verdict::Accepted { operator: operator.clone(), ids: ids.clone() };
            }
            Ok(Answer::Rejected { reason, .. }) => rejected = Some((operator.clone(), reason.clone())),
            Err(failure) => has_unknown |= failure.is_unknown(),
        }
    }
    let (mut all_answered, mut all_judged) = (true, true);
    for Configured { name, recognises } in configured {
        let judges = |attempt: &Attempt| attempt.operator == *name && attempt.outcome.is_ok();
        all_answered &= answered(name, recognises, attempts);
        all_judged &= attempts.iter().any(judges);
    }
    let is_rejected_by = |operator: &OperatorName| {
        attempts.iter().any(|it| it.operator == *operator && matches!(it.outcome, Ok(Answer::Rejected { .. })))
    };
    let may_be_taken = has_unknown || partly_taken_by.iter().any(|operator| !is_rejected_by(operator));
    let may_be_from_before = prior != Prior::First && !all_answered;
    match rejected {
        Some(_) if may_be_from_before && all_judged && !may_be_taken => {
            Verdict::NeverKnown { reason: describe(attempts) }
        }
        _ if may_be_taken || may_be_from_before => Verdict::Unknown { reason: describe(attempts) },
        Some((operator, reason)) => Verdict::Rejected { operator, reason },
        None if may_be_sent_later(attempts) => Verdict::Waiting { reason: describe(attempts) },
        None => Verdict::Failed { reason: describe(attempts) },
    }
}

/// Whether some operator works and has no room, or none could be reached at all. What one without a session cannot take and another one
/// refuses has failed.
fn may_be_sent_later(attempts: &[Attempt]) -> bool {
    let has_no_room = |attempt: &Attempt| matches!(attempt.outcome, Err(Failure::Busy | Failure::Throttled { .. }));
    let has_no_session = |attempt: &Attempt| matches!(attempt.outcome, Err(Failure::NoSession));
    !attempts.is_empty() && (attempts.iter().any(has_no_room) || attempts.iter().all(has_no_session))
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
            Ok(Answer::Rejected { reason, .. }) => write!(text, "{separator}{operator} rejected it: {reason}"),
            Err(failure) => write!(text, "{separator}{operator} {failure}"),
        };
        written.expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::name;

    /// One attempt as a word: the operator's letter, a dash and the class of its outcome.
    fn attempt(word: &str) -> Attempt {
        let (operator, class) = word.split_once('-').expect("operator-class");
        let outcome = match class {
            "accept" => Ok(Answer::Accepted { ids: ids() }),
            "reject" => Ok(Answer::Rejected { reason: "answered 422".into(), of_every_copy: false }),
            "wrong" => Ok(Answer::Rejected { reason: "no such number".into(), of_every_copy: true }),
            "503" => Err(Failure::Temporary { answer: "503".into(), retry_after: None }),
            "refuse" => Err(Failure::NotSent { reason: "connection refused".into() }),
            "lost" => Err(Failure::Unanswered { reason: "the session ended" }),
            "unknown" => Err(Failure::Unknown { reason: "no answer".into() }),
            "open" => Err(Failure::BreakerOpen),
            "throttled" => Err(Failure::Throttled { answer: "ESME_RTHROTTLED".into() }),
            "busy" => Err(Failure::Busy),
            "away" => Err(Failure::NoSession),
            other => panic!("no class {other}"),
        };
        Attempt { operator: name(operator), outcome }
    }

    fn class(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Accepted { .. } => "accepted",
            Verdict::Rejected { .. } => "rejected",
            Verdict::Failed { .. } => "failed",
            Verdict::Waiting { .. } => "waiting",
            Verdict::NeverKnown { .. } => "never known",
            Verdict::Unknown { .. } => "unknown",
        }
    }

    fn names(letters: &str) -> Vec<OperatorName> {
        letters.chars().map(|letter| name(&letter.to_string())).collect()
    }

    fn ids() -> PartIds {
        vec![domain::ProviderMessageId::parse("id")]
    }

    /// Decides over operators that recognise what comes again, or do not.
    fn decided(prior: Prior, recognises: bool, configured: &[OperatorName], attempts: &[Attempt]) -> Verdict {
        let configured = configured.iter().map(|name| Configured { name, recognises });
        decide(prior, configured, attempts, &[])
    }

    #[test]
    fn every_rule_in_a_table() {
        // configured operators, attempts, verdict of a first round, verdict of a later round
        let table = [
            ("a", "a-accept", "accepted", "accepted"),
            ("ab", "a-accept", "accepted", "accepted"),
            ("a", "a-503 a-accept", "accepted", "accepted"),
            ("a", "a-unknown a-accept", "accepted", "accepted"),
            ("ab", "a-unknown b-accept", "accepted", "accepted"),
            ("ab", "a-open b-accept", "accepted", "accepted"),
            ("a", "a-reject", "rejected", "rejected"),
            ("a", "a-503 a-reject", "rejected", "rejected"),
            ("ab", "a-503 b-reject", "rejected", "rejected"),
            ("ab", "a-503 a-open b-reject", "rejected", "rejected"),
            ("ab", "a-reject b-reject", "rejected", "rejected"),
            ("ab", "a-reject b-503", "rejected", "rejected"),
            ("ab", "a-refuse b-reject", "rejected", "unknown"),
            ("ab", "a-open b-reject", "rejected", "unknown"),
            ("a", "a-unknown a-reject", "unknown", "unknown"),
            ("ab", "a-unknown b-reject", "unknown", "unknown"),
            ("a", "a-unknown", "unknown", "unknown"),
            ("ab", "a-503 a-unknown b-503", "unknown", "unknown"),
            ("ab", "a-unknown a-503 b-refuse", "unknown", "unknown"),
            ("ab", "a-503 b-unknown", "unknown", "unknown"),
            ("a", "a-503 a-open", "failed", "failed"),
            ("ab", "a-503 b-503", "failed", "failed"),
            ("ab", "a-503 a-open b-503", "failed", "failed"),
            ("ab", "a-503 b-503 b-open", "failed", "failed"),
            ("ab", "a-refuse a-503 b-503", "failed", "failed"),
            ("ab", "a-refuse b-503", "failed", "unknown"),
            ("ab", "a-503 b-refuse b-refuse", "failed", "unknown"),
            ("ab", "a-open b-503", "failed", "unknown"),
            ("ab", "a-503 b-open", "failed", "unknown"),
            ("a", "a-refuse a-open", "failed", "unknown"),
            ("ab", "a-open b-open", "failed", "unknown"),
            ("ab", "a-refuse b-refuse", "failed", "unknown"),
            // Who was not reached in the order gave no answer: b may have it from before.
            ("ab", "a-503", "failed", "unknown"),
            ("ab", "a-503 a-open", "failed", "unknown"),
            ("ab", "a-503 a-503", "failed", "unknown"),
            ("ab", "a-reject", "rejected", "unknown"),
            ("ab", "a-open", "failed", "unknown"),
            ("ab", "b-503", "failed", "unknown"),
            ("ab", "b-reject", "rejected", "unknown"),
            ("abc", "a-503 b-503 b-open", "failed", "unknown"),
            ("abc", "a-503 b-reject", "rejected", "unknown"),
            ("abc", "a-503 b-503 c-503", "failed", "failed"),
            ("a", "", "failed", "unknown"),
        ];
        for (configured, words, first, later) in table {
            let configured = names(configured);
            let attempts: Vec<_> = words.split_whitespace().map(attempt).collect();
            let verdict_of = |prior| class(&decided(prior, true, &configured, &attempts));
            assert_eq!(verdict_of(Prior::First), first, "first round of {configured:?}: {words}");
            for prior in [Prior::Resumed, Prior::Overdue] {
                assert_eq!(verdict_of(prior), later, "{prior:?} round of {configured:?}: {words}");
            }
        }
    }

    /// An operator that does not know what comes again speaks of what it was sent now.
    #[test]
    fn what_an_smsc_may_have_from_before_is_settled_by_a_yes_or_by_what_is_true_of_every_copy() {
        let table = [
            ("a", "a-accept", "accepted", "accepted"),
            ("a", "a-wrong", "rejected", "rejected"),
            ("a", "a-reject", "rejected", "never known"),
            ("ab", "a-reject b-reject", "rejected", "never known"),
            ("ab", "a-wrong b-wrong", "rejected", "rejected"),
            ("ab", "a-wrong b-reject", "rejected", "never known"),
            ("ab", "a-wrong", "rejected", "unknown"),
            ("a", "a-503", "failed", "unknown"),
            ("a", "a-throttled", "waiting", "unknown"),
            ("a", "a-throttled a-throttled a-reject", "rejected", "never known"),
            ("a", "a-busy", "waiting", "unknown"),
            ("a", "a-away", "waiting", "unknown"),
            ("ab", "a-away b-away", "waiting", "unknown"),
            ("ab", "a-away b-503", "failed", "unknown"),
            ("ab", "a-away b-refuse", "failed", "unknown"),
            ("ab", "a-busy b-503", "waiting", "unknown"),
            ("ab", "a-throttled b-accept", "accepted", "accepted"),
            ("ab", "a-busy b-reject", "rejected", "unknown"),
            ("a", "a-unknown", "unknown", "unknown"),
            ("ab", "a-lost b-reject", "unknown", "unknown"),
        ];
        for (configured, words, first, later) in table {
            let configured = names(configured);
            let attempts: Vec<_> = words.split_whitespace().map(attempt).collect();
            for (prior, expected) in [(Prior::First, first), (Prior::Resumed, later), (Prior::Overdue, later)] {
                let verdict = decided(prior, false, &configured, &attempts);
                assert_eq!(class(&verdict), expected, "{prior:?} round of {configured:?}: {words}");
            }
        }
    }

    #[test]
    fn what_was_partly_taken_is_unknown_until_the_same_operator_rejects_the_rest() {
        let (a, b) = (name("a"), name("b"));
        for (words, partly, expected) in [
            ("a-busy", &a, "unknown"),
            ("a-throttled a-throttled", &a, "unknown"),
            ("a-503 a-reject", &a, "rejected"),
            ("a-busy b-reject", &a, "unknown"),
            ("a-busy b-reject", &b, "rejected"),
            ("a-reject b-reject", &a, "rejected"),
            ("a-busy b-accept", &a, "accepted"),
        ] {
            let attempts: Vec<_> = words.split_whitespace().map(attempt).collect();
            let configured = [&a, &b].map(|name| Configured { name, recognises: false });
            let verdict = decide(Prior::First, configured, &attempts, std::slice::from_ref(partly));
            assert_eq!(class(&verdict), expected, "{words}, partly taken by {partly}");
        }
    }

    proptest! {
        /// Whatever was asked in whatever order: a later round gives back only what every operator answered for.
        #[test]
        fn a_later_round_refunds_only_after_an_answer_of_every_operator(
            attempted in proptest::collection::vec(("[abc]", "reject|503|refuse|unknown|open"), 0..8)
        ) {
            let attempts: Vec<_> =
                attempted.iter().map(|(operator, class)| attempt(&format!("{operator}-{class}"))).collect();
            let verdict = decided(Prior::Resumed, true, &names("abc"), &attempts);
            let refunds = matches!(verdict, Verdict::Failed { .. } | Verdict::Rejected { .. });
            let answers = |operator: &str| {
                attempted.iter().any(|(asked, class)| asked == operator && ["reject", "503"].contains(&class.as_str()))
            };
            let has_unknown = attempted.iter().any(|(_, class)| class == "unknown");
            prop_assert_eq!(refunds, ["a", "b", "c"].into_iter().all(answers) && !has_unknown);
        }
    }

    #[test]
    fn verdicts_name_who_decided_and_why() {
        let accepted = decided(Prior::First, true, &names("ab"), &[attempt("a-503"), attempt("b-accept")]);
        assert_eq!(accepted, Verdict::Accepted { operator: name("b"), ids: ids() });
        let rejected = decided(Prior::First, true, &names("ab"), &[attempt("a-open"), attempt("b-reject")]);
        assert_eq!(rejected, Verdict::Rejected { operator: name("b"), reason: "answered 422".into() });
        let failed =
            decided(Prior::First, true, &names("ab"), &[attempt("a-refuse"), attempt("a-503"), attempt("b-open")]);
        assert_eq!(failed, Verdict::Failed { reason: "a answered 503; b was skipped, its breaker is open".into() });
    }
}

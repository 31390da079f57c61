//! The rules that hold whatever was killed, when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use operator_simulator::{Decision, Entry};

use crate::{
    client::{Account, Answer, HistoryRow, LedgerRow, Submission},
    journal::Journal,
    snapshot::Snapshot,
};

/// What is compared: the client's side, the platform's and the operators'.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// What was asked for and answered.
    pub(crate) journal: Journal,
    /// Accounts and messages.
    pub(crate) snapshot: Snapshot,
    /// Message and recipient of every refund, where the tables can be read.
    pub(crate) refunds: Option<Vec<(String, String)>>,
    /// Every submission that reached an operator.
    pub(crate) operators: Vec<Entry>,
}

/// Every broken rule, in words; empty when all is well.
pub(crate) fn violations(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(unclear_requests(&evidence.journal));
    for (user, account) in &evidence.snapshot.accounts {
        found.extend(unbalanced(*user, account));
        found.extend(wrong_ledger(*user, account, evidence));
    }
    found.extend(wrong_messages(evidence));
    found.extend(wrong_refunds(evidence));
    found.extend(wrong_submissions(evidence));
    found
}

/// The keys that were accepted more than once, over all operators.
pub(crate) fn repeated_keys(operators: &[Entry]) -> BTreeSet<&str> {
    let mut seen = HashSet::new();
    accepted(operators).map(|entry| entry.key.as_str()).filter(|key| !seen.insert(*key)).collect()
}

fn accepted(operators: &[Entry]) -> impl Iterator<Item = &Entry> {
    operators.iter().filter(|entry| entry.decision == Decision::Accepted)
}

fn unclear_requests(journal: &Journal) -> Option<String> {
    let unknown = journal.unknown();
    (unknown > 0).then(|| format!("{unknown} requests never got a clear answer"))
}

fn unbalanced(user: i64, account: &Account) -> Option<String> {
    let sum: i64 = account.transactions.iter().map(|transaction| transaction.amount).sum();
    let balance = account.balance;
    (balance != sum || balance < 0).then(|| format!("the balance of {user} is {balance}, the sum of its ledger {sum}"))
}

/// Each accepted request is in the ledger once, each failed recipient is given back once, and nothing else is there.
fn wrong_ledger(user: i64, account: &Account, Evidence { journal, snapshot, .. }: &Evidence) -> Vec<String> {
    let sends = journal.accepted().filter(|(_, submission)| submission.user == user);
    let prices: HashMap<&str, i64> = sends.map(|(id, submission)| (id, submission.unit_price())).collect();
    let charges = journal.accepted().filter(|(_, submission)| submission.user == user);
    let charges = charges.map(|(_, submission)| -submission.price()).collect();
    let deposits = journal
        .top_ups
        .iter()
        .filter(|(top_up, answer)| top_up.user == user && matches!(answer, Answer::Accepted { .. }));
    let deposits = deposits.map(|(top_up, _)| top_up.amount).collect();
    let failed = snapshot.history.iter().filter(|row| row.user_id == user && row.status == "failed");
    let refunds = failed.filter_map(|row| prices.get(row.message_identifier.as_str()).copied()).collect();
    let expected: [(&str, Vec<i64>); 3] = [("deposit", deposits), ("withdrawal", charges), ("corrective", refunds)];
    let mut found: Vec<_> = expected
        .into_iter()
        .filter_map(|(kind, mut expected)| {
            let mut amounts: Vec<i64> = of_type(&account.transactions, kind).map(|row| row.amount).collect();
            expected.sort_unstable();
            amounts.sort_unstable();
            (amounts != expected).then(|| format!("the {kind}s of {user} are {amounts:?} and should be {expected:?}"))
        })
        .collect();
    let known = |row: &&LedgerRow| ["deposit", "withdrawal", "corrective"].contains(&row.kind.as_str());
    let odd = account.transactions.iter().filter(|row| !known(row));
    found.extend(odd.map(|row| format!("{user} has a transaction of type {}", row.kind)));
    found
}

fn of_type<'a>(transactions: &'a [LedgerRow], kind: &str) -> impl Iterator<Item = &'a LedgerRow> {
    transactions.iter().filter(move |row| row.kind == kind)
}

/// The history holds every recipient of every accepted message, final, and nothing else.
fn wrong_messages(Evidence { journal, snapshot, .. }: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    let mut expected: BTreeMap<(&str, &str), &Submission> = BTreeMap::new();
    for (id, submission) in journal.accepted() {
        for recipient in &submission.recipients {
            if expected.insert((id, recipient), submission).is_some() {
                found.push(format!("two requests were told message {id}"));
            }
        }
    }
    for row in &snapshot.history {
        let HistoryRow { message_identifier: id, recipient, status, .. } = row;
        match expected.remove(&(id.as_str(), recipient.as_str())) {
            None => found.push(format!("message {id} to {recipient} was never asked for, or is there twice")),
            Some(submission) if submission.user != row.user_id || submission.kind.as_str() != row.kind => {
                found.push(format!("message {id} is {row:?} and was asked for as {submission:?}"));
            }
            Some(_) if status != "done" && status != "failed" => {
                found.push(format!("message {id} to {recipient} is still {status}"));
            }
            Some(_) => {}
        }
    }
    found.extend(expected.keys().map(|(id, recipient)| format!("accepted message {id} to {recipient} is lost")));
    found
}

fn wrong_refunds(Evidence { snapshot, refunds, .. }: &Evidence) -> Vec<String> {
    let Some(refunds) = refunds else { return Vec::new() };
    let mut expected: BTreeSet<(&str, &str)> = snapshot
        .history
        .iter()
        .filter(|row| row.status == "failed")
        .map(|row| (row.message_identifier.as_str(), row.recipient.as_str()))
        .collect();
    let mut found: Vec<_> = refunds
        .iter()
        .filter(|(id, recipient)| !expected.remove(&(id, recipient)))
        .map(|(id, recipient)| format!("message {id} to {recipient} was refunded twice or did not fail"))
        .collect();
    found.extend(expected.iter().map(|(id, recipient)| format!("message {id} to {recipient} failed without a refund")));
    found
}

/// Nothing reached an operator that was not charged, nothing under another key, and the recorded outcomes are true.
fn wrong_submissions(Evidence { snapshot, operators, .. }: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    let rows: HashMap<(&str, &str), &HistoryRow> =
        snapshot.history.iter().map(|row| ((row.message_identifier.as_str(), row.recipient.as_str()), row)).collect();
    for entry in operators {
        let Entry { operator, key, message_id, recipient, .. } = entry;
        if *key != format!("{message_id}:{recipient}") {
            found.push(format!("{operator} was given message {message_id} to {recipient} under the key {key}"));
        }
        match rows.get(&(message_id.as_str(), recipient.as_str())) {
            None => found.push(format!("{operator} was given {key}, which was never charged")),
            Some(row) if row.kind != entry.r#type => found.push(format!("{operator} was given {key} as {entry:?}")),
            Some(_) => {}
        }
    }
    let taken: HashSet<(&str, &str)> =
        accepted(operators).map(|entry| (entry.operator.as_str(), entry.key.as_str())).collect();
    let taken_by_any: HashSet<&str> = taken.iter().map(|(_, key)| *key).collect();
    for row in &snapshot.history {
        let HistoryRow { message_identifier: id, recipient, provider, .. } = row;
        let key = format!("{id}:{recipient}");
        match row.status.as_str() {
            "done" if !taken.contains(&(provider.as_str(), key.as_str())) => {
                found.push(format!("{key} is done by {provider:?}, which never accepted it"));
            }
            "failed" if taken_by_any.contains(key.as_str()) => {
                found.push(format!("{key} has failed and was refunded, yet an operator accepted it"));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Kind, TopUp};

    const AT: &str = "2026-01-31T12:00:00.000Z";

    fn row(id: &str, recipient: &str, status: &str, provider: &str) -> HistoryRow {
        HistoryRow {
            message_identifier: id.into(),
            recipient: recipient.into(),
            user_id: 1,
            kind: "normal".into(),
            status: status.into(),
            provider: provider.into(),
            created_at: AT.into(),
            updated_at: AT.into(),
        }
    }

    fn transaction(id: &str, kind: &str, amount: i64) -> LedgerRow {
        LedgerRow { id: id.into(), amount, kind: kind.into(), created_at: AT.into() }
    }

    fn entry(seq: u64, recipient: &str, decision: Decision) -> Entry {
        Entry {
            seq,
            operator: "operatorA".into(),
            key: format!("m:{recipient}"),
            message_id: "m".into(),
            recipient: recipient.into(),
            r#type: "normal".into(),
            from: None,
            encoding: None,
            segments: None,
            decision,
            duplicate: false,
            traceparent: None,
            at_ms: 0,
        }
    }

    /// One message to 111, which arrived, and 222, which was rejected.
    fn fine() -> Evidence {
        let accepted = |id: &str| Answer::Accepted { id: id.into(), replayed: false };
        let journal = Journal {
            sends: vec![(Submission::new(1, Kind::Normal, &["111", "222"]), accepted("m"))],
            top_ups: vec![(TopUp::new(1, 100), accepted("t"))],
        };
        let transactions = vec![
            transaction("t", "deposit", 100),
            transaction("c", "withdrawal", -4),
            transaction("r", "corrective", 2),
        ];
        let history = vec![row("m", "111", "done", "operatorA"), row("m", "222", "failed", "operatorA")];
        Evidence {
            journal,
            snapshot: Snapshot { accounts: BTreeMap::from([(1, Account { balance: 98, transactions })]), history },
            refunds: Some(vec![("m".into(), "222".into())]),
            operators: vec![entry(1, "111", Decision::Accepted), entry(2, "222", Decision::Rejected)],
        }
    }

    fn account(evidence: &mut Evidence) -> &mut Account {
        evidence.snapshot.accounts.get_mut(&1).expect("one account")
    }

    /// What the checker says after one change to good evidence.
    fn after(change: impl FnOnce(&mut Evidence)) -> String {
        let mut evidence = fine();
        change(&mut evidence);
        violations(&evidence).join("; ")
    }

    #[test]
    fn good_evidence_passes() {
        assert_eq!(violations(&fine()), Vec::<String>::new());
        assert!(repeated_keys(&fine().operators).is_empty());
    }

    #[test]
    fn money_that_does_not_add_up_is_found() {
        assert!(after(|it| account(it).balance = 99).contains("the sum of its ledger 98"));
        let double_refund = after(|it| {
            account(it).transactions.push(transaction("r2", "corrective", 2));
            account(it).balance += 2;
        });
        assert!(double_refund.contains("correctives of 1"), "{double_refund}");
        let free = after(|it| {
            account(it).transactions.remove(1);
            account(it).balance += 4;
        });
        assert!(free.contains("withdrawals of 1"), "{free}");
        let double_deposit = after(|it| {
            account(it).transactions.push(transaction("t2", "deposit", 100));
            account(it).balance += 100;
        });
        assert!(double_deposit.contains("deposits of 1"), "{double_deposit}");
    }

    #[test]
    fn messages_that_are_lost_unfinished_or_invented_are_found() {
        assert!(after(|it| drop(it.snapshot.history.remove(0))).contains("accepted message m to 111 is lost"));
        assert!(after(|it| it.snapshot.history[0].status = "sending".into()).contains("still sending"));
        assert!(after(|it| it.snapshot.history.push(row("x", "111", "done", "operatorA"))).contains("never asked for"));
        assert!(after(|it| it.journal.sends[0].1 = Answer::Unknown { reason: String::new() }).contains("clear answer"));
    }

    #[test]
    fn refunds_of_the_wrong_recipient_are_found() {
        let wrong = after(|it| it.refunds = Some(vec![("m".into(), "111".into())]));
        assert!(wrong.contains("m to 111 was refunded twice or did not fail"), "{wrong}");
        assert!(wrong.contains("m to 222 failed without a refund"), "{wrong}");
    }

    #[test]
    fn submissions_that_do_not_match_are_found() {
        assert!(after(|it| it.operators[0].key = "other".into()).contains("under the key other"));
        assert!(after(|it| it.operators.push(entry(3, "333", Decision::Accepted))).contains("never charged"));
        assert!(after(|it| it.operators[0].decision = Decision::Stalled).contains("which never accepted it"));
        assert!(after(|it| it.operators[1].decision = Decision::Accepted).contains("yet an operator accepted it"));
        let twice = [entry(1, "111", Decision::Accepted), entry(2, "111", Decision::Accepted)];
        assert_eq!(repeated_keys(&twice), BTreeSet::from(["m:111"]));
    }
}

//! The three services of one scenario with their operators, database and queues.

mod observed;
mod setup;
mod standalone;

use std::time::Duration;

use operator_simulator::{Behaviour, Entry, Mode, Rule, Simulator};
use test_support::{FaultProxy, Names, ServiceProcess, TestDatabase, wait_until};

use crate::{
    checker::{Evidence, violations},
    client::{Answer, Client, HistoryRow, Kind, Submission, TopUp},
    journal::{Journal, clear},
    snapshot::Snapshot,
    tables::Tables,
    traffic::{Traffic, USERS},
};

pub(crate) use observed::Observed;
pub(crate) use setup::Setup;
pub(crate) use standalone::Standalone;

/// How long messages may take to become final once everything runs: a lease of at most 30 s, and 60 s.
pub(crate) const SETTLED: Duration = Duration::from_secs(90);

/// The proxies a relay's connections go through, where the scenario asked for them.
pub(crate) struct Proxies {
    pub(crate) database: FaultProxy,
    pub(crate) rabbit: FaultProxy,
}

/// Everything of one scenario. Fields are dropped in order: processes end before their database goes.
pub(crate) struct Platform {
    pub(crate) gateway: ServiceProcess,
    pub(crate) relays: Vec<ServiceProcess>,
    pub(crate) workers: Vec<ServiceProcess>,
    /// One that only sends callbacks, where the scenario asked for it.
    pub(crate) callback_relay: Option<ServiceProcess>,
    pub(crate) client: Client,
    pub(crate) simulator: Simulator,
    pub(crate) tables: Tables,
    pub(crate) names: Names,
    pub(crate) proxies: Option<Proxies>,
    journal: Journal,
    _database: TestDatabase,
}

impl Platform {
    /// Adds credits.
    pub(crate) async fn top_up(&mut self, user: i64, amount: i64) {
        top_up(&self.client, &mut self.journal, user, amount).await;
    }

    /// Sends; gives the message's identifier.
    pub(crate) async fn send(&mut self, user: i64, kind: Kind, recipients: &[&str]) -> String {
        self.send_as(Submission::new(user, kind, recipients)).await
    }

    /// Sends under this submission's key; gives the message's identifier.
    pub(crate) async fn send_as(&mut self, submission: Submission) -> String {
        // On a machine that stands still for a second the gateway says 503: that is not what scenarios are about.
        let answer = clear(async || self.client.send(&submission).await).await;
        let Answer::Accepted { id, .. } = &answer else { panic!("a message was not accepted: {answer:?}") };
        let id = id.clone();
        self.journal.sends.push((submission, answer));
        id
    }

    /// Sends once, whatever the answer.
    pub(crate) async fn submit(&mut self, submission: Submission) -> Answer {
        let answer = self.client.send(&submission).await;
        self.journal.sends.push((submission, answer.clone()));
        answer
    }

    /// Credits for the customers of the traffic: enough for all but the last, so that some requests are refused.
    pub(crate) async fn fund_traffic(&mut self) {
        for user in 1..USERS {
            self.top_up(user, 10_000).await;
        }
        self.top_up(USERS, 20).await;
    }

    /// Starts traffic; give its end to [`Platform::absorb`].
    pub(crate) fn traffic(&self, rate: u32, count: usize) -> Traffic {
        Traffic::start(&self.client, rate, count)
    }

    /// Waits for the end of traffic and asks again for what has no clear answer.
    pub(crate) async fn absorb(&mut self, traffic: Traffic) -> Journal {
        let first_answers = traffic.finish().await;
        self.journal.extend(first_answers.clone());
        self.journal.resolve(&self.client).await;
        first_answers
    }

    /// Makes operator A fail, reject and lose answers for some recipients, by their last digit.
    pub(crate) fn mix_operators(&self) {
        mix_operators(&self.simulator);
    }

    /// What reached the operators for this message.
    pub(crate) fn entries_of(&self, message: &str) -> Vec<Entry> {
        self.simulator.journal().into_iter().filter(|entry| entry.message_id == message).collect()
    }

    /// Where each recipient of this message is.
    pub(crate) async fn history_of(&self, message: &str) -> Vec<HistoryRow> {
        let mut rows = self.client.history(&format!("message_identifier={message}")).await;
        rows.sort_unstable_by(|one, other| one.recipient.cmp(&other.recipient));
        rows
    }

    /// Waits until every process is ready.
    pub(crate) async fn ready(&mut self) {
        let services = [&mut self.gateway].into_iter().chain(&mut self.relays).chain(&mut self.workers);
        let services = services.chain(&mut self.callback_relay);
        for service in services {
            service.ready().await;
        }
    }

    /// Waits until no recipient is left to be worked on.
    pub(crate) async fn wait_all_terminal(&self) {
        wait_all_terminal(&self.client).await;
    }

    /// Waits until no event is left to be published.
    pub(crate) async fn wait_outbox_empty(&self) {
        let count = async || self.tables.unpublished_events().await;
        wait_until(SETTLED, "an outbox with nothing to do", async || (count().await == 0).then_some(())).await;
    }

    /// The end of every scenario: all messages become final, and all rules hold.
    pub(crate) async fn finish(self) {
        self.finish_with(Vec::new()).await;
    }

    /// The same where other operators than the simulated ones were given messages too.
    pub(crate) async fn finish_with(mut self, others: Vec<Entry>) {
        self.journal.resolve(&self.client).await;
        self.wait_all_terminal().await;
        let tables = self.tables.snapshot().await;
        let users = tables.accounts.keys().copied().collect();
        let snapshot = Snapshot::from_api(&self.client, &users).await;
        assert!(snapshot == tables, "the API and the tables differ:\n{snapshot:#?}\n{tables:#?}");
        assert!(users.is_superset(&self.journal.users_with_money()), "an account is missing: {users:?}");
        let refunds = Some(self.tables.refunds().await);
        let operators = self.simulator.journal().into_iter().chain(others).collect();
        let evidence = Evidence { journal: self.journal.clone(), snapshot, refunds, operators };
        assert_fine(&evidence);
        self.simulator.stop().await;
    }
}

async fn top_up(client: &Client, journal: &mut Journal, user: i64, amount: i64) {
    let top_up = TopUp::new(user, amount);
    let answer = clear(async || client.top_up(&top_up).await).await;
    assert!(matches!(answer, Answer::Accepted { .. }), "a top-up was not accepted: {answer:?}");
    journal.top_ups.push((top_up, answer));
}

async fn wait_all_terminal(client: &Client) {
    wait_until(SETTLED, "every message done or failed", async || {
        // What is put off goes from sending back to pending: looked at once each, it could be missed.
        for status in ["pending", "sending", "pending"] {
            let (code, page) = client.get(&format!("/messages/history?status={status}&limit=1")).await?;
            if code != 200 || !page["history"].as_array()?.is_empty() {
                return None;
            }
        }
        Some(())
    })
    .await;
}

fn mix_operators(simulator: &Simulator) {
    let once = |mode| Rule { mode, times: Some(1) };
    let mixed = Behaviour::default()
        .with_suffix("1", once(Mode::Status { code: 503 }))
        .with_suffix("2", Mode::Reject { code: 422 })
        .with_suffix("3", once(Mode::AcceptThenReset));
    simulator.set_behaviour("operatorA", mixed).expect("a valid behaviour");
}

fn assert_fine(evidence: &Evidence) {
    let violations = violations(evidence);
    assert!(violations.is_empty(), "{} rules are broken:\n{}", violations.len(), violations.join("\n"));
}

//! Everything the platform says about accounts and messages, through its API or from its tables.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Account, Client, HistoryRow};

/// The state of the platform; two of the same state are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// By customer.
    pub(crate) accounts: BTreeMap<i64, Account>,
    /// One row for each recipient of each message.
    pub(crate) history: Vec<HistoryRow>,
}

impl Snapshot {
    /// Asks the API for these users' accounts and for everybody's messages.
    pub(crate) async fn from_api(client: &Client, users: &BTreeSet<i64>) -> Self {
        let mut accounts = BTreeMap::new();
        for user in users {
            accounts.insert(*user, client.balance(*user).await);
        }
        Self { accounts, history: client.history("").await }.sorted()
    }

    /// In an order that does not depend on where it comes from.
    pub(crate) fn sorted(mut self) -> Self {
        self.history.sort_unstable();
        for account in self.accounts.values_mut() {
            account.transactions.sort_unstable();
        }
        self
    }
}

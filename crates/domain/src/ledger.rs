//! Why a balance changes.

use std::fmt;

/// The kind of an entry in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LedgerKind {
    /// Credits that were added.
    Deposit,
    /// The charge for a message.
    Withdrawal,
    /// A refund.
    Corrective,
}

impl LedgerKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Deposit, Self::Withdrawal, Self::Corrective];

    /// The name in tables, answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Corrective => "corrective",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for LedgerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

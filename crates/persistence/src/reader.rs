//! For whom something is read.

use domain::CustomerId;

/// Who asks. Whatever reads customers' data takes one, so that nobody can forget to say whose it may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Only what is this customer's.
    Customer(CustomerId),
    /// Those who run the platform: everybody's.
    Staff,
}

impl Reader {
    /// The customer to whom what is read is narrowed.
    pub(crate) fn customer(self) -> Option<CustomerId> {
        match self {
            Self::Customer(customer) => Some(customer),
            Self::Staff => None,
        }
    }
}

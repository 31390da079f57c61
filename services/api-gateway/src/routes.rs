//! One endpoint a file: what it takes, what it does, what it answers.

pub(crate) mod balance;
pub(crate) mod history;
pub(crate) mod send;
pub(crate) mod top_up;

//! Telecom operators: who takes a message off our hands, and how we find out whether they did.
//!
//! [`Operators::send`] runs one round for one (message, recipient): it asks the operators in their order
//! until one accepts or rejects for good, and returns a [`Verdict`]. Each operator is a tower stack:
//!
//! ```text
//! retry -> observe (metrics, span, record) -> breaker -> timeout -> operator (HTTP, SMPP or simulated)
//! ```
//!
//! How it stays correct:
//! - the idempotency key is a function of message and recipient alone, so however often and wherever a
//!   submission is repeated, an operator can recognise it;
//! - a call that ends without an answer after it may have been written is *unknown*, never failed: only what
//!   every operator definitely did not take becomes [`Verdict::Failed`] and may be refunded;
//! - what a round's attempts add up to is one pure function, in `verdict`.

mod breaker;
mod config;
mod http;
mod observe;
mod operators;
mod outcome;
mod retry;
mod round;
mod simulated;
mod smsc;
mod spec;
mod stack;
mod submission;
#[cfg(test)]
mod testing;
mod verdict;

pub use config::{BreakerConfig, BuildError, OperatorsConfig};
pub use operators::{Operators, Room};
pub use smsc::{
    Background, Binding, Late, LateVerdict, Receipts, Report, SessionsState, SmppConfig, TlsError, Trust, UnknownRule,
};
pub use spec::{Endpoint, OperatorName, OperatorSpec, ParseError, parse_operators};
pub use submission::{Coding, Prior, Submission};
pub use verdict::Verdict;

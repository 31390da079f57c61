//! HTTP operators that accept, fail, stall or reset on demand and keep a journal.
//!
//! One process serves any number of operators, told apart by their path:
//!
//! | request | does |
//! |---|---|
//! | `POST /operators/{name}/messages` | takes a submission, as a real operator would |
//! | `PUT /operators/{name}/behaviour` | sets how the operator answers from now on |
//! | `GET /operators/{name}/journal?after=N` | its entries with `seq` above N (0), oldest first |
//! | `GET /journal?after=N` | the entries of all operators |
//! | `DELETE /journal` | forgets entries and counts, but no accepted key |
//! | `GET /stats` | counts per operator |
//!
//! A behaviour is `{"default": MODE, "recipients": {"<number>": MODE}, "suffixes": {"<digits>": MODE},
//! "dedupe": true}`, all optional. A MODE is an object whose `mode` is one of:
//!
//! | mode | does |
//! |---|---|
//! | `accept` (`delay_ms`) | 200, after the delay if there is one |
//! | `status` (`code`) | answers 300 to 599 |
//! | `reject` (`code`) | answers 400 to 499 |
//! | `stall` | never answers; closes after 60 s |
//! | `reset` | closes the connection without an answer |
//! | `accept_then_stall`, `accept_then_reset` | the same, but the submission counts as accepted |
//!
//! With `"times": n` a mode serves the first n calls of each key and `accept` the later ones. While `dedupe` is
//! on, a key that was accepted before is answered with the same receipt whatever the mode, and its entry
//! has `"duplicate": true`: the handset does not see it again.

mod behaviour;
mod connection;
mod journal;
mod keys;
mod routes;
mod server;
mod state;

pub use behaviour::{Behaviour, InvalidBehaviour, Mode, Rule};
pub use journal::{Decision, Entry};
pub use server::{BehaviourError, Options, Simulator, StartError};
pub use state::{OperatorStats, Stats, UnknownOperator};

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
//! "dedupe": true, "receipts": RECEIPTS}`, all optional. A MODE is an object whose `mode` is one of:
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
//!
//! RECEIPTS are what the operator posts of each submission that it accepts, answered or not, but not of duplicates:
//!
//! | member | says |
//! |---|---|
//! | `to` | the `http://` URL to which they are posted |
//! | `secret` | `whsec_` and base64: signs them as Standard Webhooks has it; any other one is sent as `Authorization: Bearer` |
//! | `ids` (`name`) | the `provider_message_id` in answers: `name` (`operatorA-17`), or the digits of 439041000 + `seq` in `hex` or `decimal` |
//! | `default` (`[]`), `recipients`, `suffixes` | lists of RECEIPT, chosen as MODEs are |
//!
//! A RECEIPT is an object, of which only `status` is needed:
//!
//! | member | says |
//! |---|---|
//! | `status` | its `status`, any text |
//! | `delay_ms` (0) | when it is posted, from the decision on; never before the submission is being answered |
//! | `before_answer` (false) | it is posted first, and the submission is answered once an answer to it came, or after 5 s |
//! | `times` (1) | how often it is posted |
//! | `id` (`same`) | its `provider_message_id`: `same` as the answer's, that in `upper` case or `padded` with `000`, or the number in `hex` or `decimal` |
//! | `error_code`, `part` | members of the same names, left out where absent |
//! | `with_recipient` (true) | whether it has a `recipient` |
//!
//! Those of one submission and the same delay are posted one after another, in the order of the list. What is answered with neither
//! 2xx nor a 4xx other than 408 and 429 is posted again, after pauses of 100 ms doubling to 2 s, for a minute. `GET /stats` has
//! `receipts_posted`, with an answer of 2xx, and `receipts_refused`, given up.

mod behaviour;
mod choice;
mod clock;
mod connection;
mod journal;
mod keys;
mod posting;
mod receipts;
mod routes;
mod server;
mod smsc;
mod state;
mod target;

pub use behaviour::{Behaviour, InvalidBehaviour, Mode, Rule};
pub use journal::{Decision, Entry};
pub use receipts::{AnsweredId, IdForm, Receipt, Receipts};
pub use server::{Options, Simulator, StartError};
pub use smsc::{
    ReceiptForm, Smsc, SmscAddress, SmscBehaviour, SmscBindMode, SmscDecision, SmscEnd, SmscEntry, SmscEvent, SmscMode,
    SmscOptions, SmscReceipt, SmscRule, SmscSar, SmscStats, SmscSubmit,
};
pub use state::{BehaviourError, OperatorStats, Stats, UnknownOperator};

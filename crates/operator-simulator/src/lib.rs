//! HTTP operators and SMSCs that accept, fail, stall or reset on demand and keep a journal.
//!
//! # Operators
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
//!
//! # SMSCs
//!
//! An SMSC ([`Smsc`], or `--smsc` of the program) is a TCP port that speaks SMPP 3.4 with one account. It can be steered
//! and looked at over HTTP too, where it is called by its name or port:
//!
//! | request | does |
//! |---|---|
//! | `PUT /smsc/{name}/behaviour` | sets how the SMSC answers from now on |
//! | `GET /smsc/{name}/journal?after=N` | its entries ([`SmscEntry`]) with `seq` above N (0), oldest first |
//! | `DELETE /smsc/{name}/journal` | forgets entries and counts |
//! | `GET /smsc/{name}/stats` | its counts ([`SmscStats`]) |
//! | `POST /smsc/{name}/unbind` | sends `unbind` to all sessions; each is closed when its client agreed and has its answers, or after 5 s |
//! | `POST /smsc/{name}/cut` | closes all connections at once |
//!
//! A behaviour replaces the one before it. Its members are all optional:
//!
//! | member | says |
//! |---|---|
//! | `default`, `recipients`, `suffixes` | MODEs, chosen as above; a number is as `destination_addr` has it, mostly without `+` |
//! | `receipts` (`[]`) | what is reported of messages accepted under MODEs without `receipts` |
//! | `ids` (`hex`) | the message ids in answers: the digits of 439041000 + their number in `hex` or `decimal`, or `name` (`smsc1-17`) |
//! | `tps` (0) | most submits that are taken in any second, if not 0; those above are answered `ESME_RTHROTTLED` |
//! | `max_binds` | most sessions that are bound at once; one more is refused with `ESME_RALYBND` |
//! | `refuse_binds` | a status (a number, or a name such as `"ESME_RBINDFAIL"`) with which every bind is refused |
//! | `answers_enquire_link` (true) | whether `enquire_link` is answered; a frozen SMSC does not |
//! | `enquire_ms` | how often each session is sent an `enquire_link` |
//!
//! A MODE is an object whose `mode` is one of:
//!
//! | mode | does |
//! |---|---|
//! | `accept` (`delay_ms`) | answers `ESME_ROK`, after the delay if there is one |
//! | `late` (`delay_ms`) | the same, by its name in tests of clients that wait for less |
//! | `status` (`code`) | answers this status, a number or a name |
//! | `throttle`, `queue_full` | answer `ESME_RTHROTTLED` and `ESME_RMSGQFUL` |
//! | `silent` | accepts and never answers |
//! | `cut` | accepts, writes earlier answers, and closes the connection |
//!
//! With `"times": n` a mode serves the first n submits of each recipient and `accept` the later ones. With
//! `"receipts": [RECEIPT]` these are sent of what is accepted, whether at once or after `times`. A RECEIPT is like those
//! above, and goes out as a `deliver_sm` where `registered_delivery` asks for it (1 all, 2 failures):
//!
//! | member | says |
//! |---|---|
//! | `status` | the state, by its short word (`"DELIVRD"`) or number |
//! | `form` (`text`) | whether that stands in the `text`, in a `tlv`, or `both` |
//! | `error_code` (`000` in a text) | `err`, and `network_error_code` where it is a number |
//! | `delay_ms`, `before_answer`, `times`, `id`, `with_recipient` | as above |
//!
//! It goes to any session that receives, at most 100 to one without an answer, and waits while there is none. What is
//! answered with a status that is not for good, such as `ESME_RX_T_APPN`, is sent again as posts are; what is not answered
//! before the session ends, on the next one.

mod answers;
mod behaviour;
mod choice;
mod clock;
mod connection;
mod error;
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
pub use error::StartError;
pub use journal::{Decision, Entry};
pub use receipts::{AnsweredId, IdForm, Receipt, Receipts};
pub use server::{Options, Simulator};
pub use smsc::{
    ReceiptForm, Smsc, SmscAddress, SmscBehaviour, SmscBindMode, SmscDecision, SmscEnd, SmscEntry, SmscEvent, SmscMode,
    SmscOptions, SmscReceipt, SmscRule, SmscSar, SmscStats, SmscSubmit, local_certificate, local_tls,
};
pub use state::{BehaviourError, OperatorStats, Stats, UnknownOperator};

//! SMPP 3.4 without I/O: what goes over the wire, and what it means.
//!
//! - [`Frame`] cuts a stream into PDUs, [`Pdu`] reads and writes them. Reading is lenient, for SMSCs differ: responses
//!   have a body or not whatever their status, bytes that are too many are ignored, a broken TLV ends the TLVs and
//!   leaves the rest. A body that cannot be read costs that PDU and not the session ([`Unreadable`]); only what is no
//!   SMPP at all does ([`NotSmpp`]).
//! - [`Receipt`] finds out what a `deliver_sm` or `data_sm` tells of a message.
//! - [`Status`] knows each `command_status` and what it means for a message.
//! - [`Charset`] and [`split`] make octets and parts of a text.
//!
//! Nothing here prints a password, a text or a number: `Debug` leaves them out.
//!
//! "Table" and "section" refer to the SMPP Protocol Specification v3.4, issue 1.2.

mod address;
mod charset;
mod fields;
mod frame;
mod pdu;
mod receipt;
mod sm;
mod split;
mod status;
mod time;
mod tlv;

pub use address::Address;
pub use charset::Charset;
pub use frame::{Frame, HEADER_LENGTH, Header, MAX_LENGTH, NotSmpp};
pub use pdu::{Bind, BindMode, BindResp, Body, Pdu, Response, Unreadable};
pub use receipt::{MessageState, Receipt, receipt_text};
pub use sm::{DataSm, Sm, esm};
pub use split::{Long, Part, TooLong, split};
pub use status::{Fault, Status, SubmitClass};
pub use time::{absolute, relative};
pub use tlv::{Tlv, tag};

//! What is sent, and what is to become of it.

/// A behaviour of an SMSC, chosen by the last digits of the recipient, and what a message comes to that meets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) digits: &'static str,
    /// Status, delivery status and refunds; alternatives are separated by `|`.
    pub(super) fate: &'static str,
}

/// A message that is taken and delivered.
pub(super) const DELIVERED: Case = case("0000", "done/delivered/0");
/// The same, with its receipt three times.
pub(super) const THRICE: Case = case("0007", "done/delivered/0");
/// The SMSC has no room for it until its time is over.
pub(super) const QUEUE_FULL: Case = case("0012", "failed/-/1");
/// The SMSC takes it and unbinds; its receipt never comes.
pub(super) const UNBINDS: Case = case("0013", "done/unknown/0");
/// No answer ever comes, so it is sent again and again.
pub(super) const SILENT: Case = case("0004", "sending/-/0");
/// The SMSC cuts the connection in place of an answer.
pub(super) const CUT: Case = case("0009", "sending/-/0");
/// The same, where what nobody answers for is not sent again and its time is over.
pub(super) const CUT_HELD: Case = case("0009", "done/unknown/0");
/// Its answer was lost with the connection and it is sent again, when its receipt may be lost with the next one.
pub(super) const LOST: Case = case("1000", "done/delivered|unknown/0");
/// Its answer was lost with the connection, and it is not sent again.
pub(super) const LOST_HELD: Case = case("1000", "done/unknown/0");

/// It waits behind one for which there is no room.
pub(super) const BEHIND: Case = case("1001", "done/delivered/0");
/// It is on its way when the SMSC unbinds; its receipt may be lost with the session.
pub(super) const BESIDE: Case = case("1002", "done/delivered|unknown/0");
/// It is sent when there is no session.
pub(super) const WHILE_UNBOUND: Case = case("1003", "done/delivered/0");
/// There never is a session.
pub(super) const NEVER_SENT: Case = case("0000", "pending/-/0");
/// The SMSC tells that it is on its way after it has told that it was delivered.
pub(super) const LATE_ENROUTE: Case = case("0008", "done/delivered/0");

/// Those of npm's `smpp` that do not disturb others.
pub(super) const OF_NODE: [Case; 11] = [
    DELIVERED,
    case("0001", "done/undelivered/0"),
    case("0002", "done/delivered/0"),
    REJECTED,
    RECEIPT_FIRST,
    case("0006", "done/delivered/0"),
    LATE_ENROUTE,
    case("0010", "done/unknown/0"),
    TLV_ONLY,
    case("0014", "done/expired/0"),
    case("0015", "done/delivered/0"),
];

/// Those of Python's `smpp34`.
pub(super) const OF_SMPP34: [Case; 4] = [DELIVERED, REJECTED, RECEIPT_FIRST, TLV_ONLY];

const REJECTED: Case = case("0003", "failed/-/1");
const RECEIPT_FIRST: Case = case("0005", "done/delivered/0");
const TLV_ONLY: Case = case("0011", "done/delivered/0");

const fn case(digits: &'static str, fate: &'static str) -> Case {
    Case { digits, fate }
}

/// A text of plain characters in three parts: the character of two septets does not fit into the first any more.
pub(super) fn long_text() -> String {
    ["a".repeat(152).as_str(), "[", "b".repeat(153).as_str()].concat()
}

/// A text of others in two parts: the one of two units does not fit into the first any more.
pub(super) fn long_ucs2_text() -> String {
    ["ا".repeat(66).as_str(), "😀", "ا".repeat(10).as_str()].concat()
}

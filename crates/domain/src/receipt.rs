//! Delivery receipts: what operators tell of messages after they took them, and what becomes of a message by it.

use sha2::{Digest as _, Sha256};

use crate::{DeliveryStatus, Invalid, ProviderMessageId, Recipient};

/// Longest error code that is kept, in characters.
pub const MAX_ERROR_CODE: usize = 16;
/// Most digits of a number that a receipt names.
const MAX_DIGITS: usize = 20;
/// By so many digits at their ends numbers are compared: operators write the same one with and without country and prefix.
const COMPARED_DIGITS: usize = 7;
/// Most parts of a message.
pub const MAX_PARTS: u8 = u8::MAX;

/// What a receipt says of a message, or of one part of it (SMPP 3.4, table 5-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptState {
    /// It waits for its time at the operator.
    Scheduled,
    /// It is on its way.
    Enroute,
    /// Somebody read it for the recipient.
    Accepted,
    /// It was left out.
    Skipped,
    /// It reached the phone.
    Delivered,
    /// It did not, or was deleted before it could.
    Undelivered,
    /// It was not delivered in the time it had.
    Expired,
    /// It was refused.
    Rejected,
    /// The operator cannot tell.
    Unknown,
}

/// The words that receipts use for each state: names and the short forms of SMPP.
const WORDS: [(&str, ReceiptState); 15] = [
    ("scheduled", ReceiptState::Scheduled),
    ("enroute", ReceiptState::Enroute),
    ("accepted", ReceiptState::Accepted),
    ("acceptd", ReceiptState::Accepted),
    ("skipped", ReceiptState::Skipped),
    ("delivered", ReceiptState::Delivered),
    ("delivrd", ReceiptState::Delivered),
    ("undelivered", ReceiptState::Undelivered),
    ("undeliverable", ReceiptState::Undelivered),
    ("undeliv", ReceiptState::Undelivered),
    ("deleted", ReceiptState::Undelivered),
    ("expired", ReceiptState::Expired),
    ("rejected", ReceiptState::Rejected),
    ("rejectd", ReceiptState::Rejected),
    ("unknown", ReceiptState::Unknown),
];

impl ReceiptState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Enroute,
        Self::Accepted,
        Self::Skipped,
        Self::Delivered,
        Self::Undelivered,
        Self::Expired,
        Self::Rejected,
        Self::Unknown,
    ];

    /// The state that a receipt names, in any case.
    ///
    /// # Errors
    /// The word is none of them.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        let found = WORDS.iter().find(|(known, _)| word.trim().eq_ignore_ascii_case(known));
        let accepted = || {
            let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
            format!("must be one of {}", words.join(", "))
        };
        found.map(|(_, state)| *state).ok_or_else(|| Invalid::new("status", accepted()))
    }

    /// The name used in tables and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Enroute => "enroute",
            Self::Accepted => "accepted",
            Self::Skipped => "skipped",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }

    /// What becomes of the message by it; `None` while it is on its way.
    pub fn tells(self) -> Option<DeliveryStatus> {
        match self {
            Self::Scheduled | Self::Enroute | Self::Accepted | Self::Skipped => None,
            Self::Delivered => Some(DeliveryStatus::Delivered),
            Self::Undelivered => Some(DeliveryStatus::Undelivered),
            Self::Expired => Some(DeliveryStatus::Expired),
            Self::Rejected => Some(DeliveryStatus::Rejected),
            Self::Unknown => Some(DeliveryStatus::Unknown),
        }
    }

    /// What is known of a part that was in `current` after a receipt says this: what is on its way says nothing new of what has ended.
    #[must_use]
    pub fn after(self, current: Option<Self>) -> Self {
        let Some(current) = current else { return self };
        let is_news = match (current.tells(), self.tells()) {
            (None, _) => true,
            (Some(_), None) => false,
            (known, Some(told)) => told.replaces(known),
        };
        if is_news { self } else { current }
    }
}

/// The rule for receipts that come in any order, and more than once: nothing is replaced by what cannot be told, that by what is final,
/// and what is final by nothing but a delivery, which is a fact about the phone.
impl DeliveryStatus {
    /// Whether it takes the place of what is known.
    pub fn replaces(self, known: Option<Self>) -> bool {
        match known {
            None => true,
            Some(Self::Unknown) => self != Self::Unknown,
            Some(Self::Delivered) => false,
            Some(_) => self == Self::Delivered,
        }
    }

    /// Whether the two cannot both be right.
    pub fn contradicts(self, known: Option<Self>) -> bool {
        known.is_some_and(|known| known != self && known != Self::Unknown && self != Self::Unknown)
    }

    /// What parts come to together; `None` while some are still to be heard of. Once nobody waits for these any more (`is_over`), a part
    /// that was delivered speaks for those of which nothing was heard: some operators report of one part only
    /// (jookies/jasmin issues 663, 789 and 1123; kneodev/ksmppd issue 59).
    pub fn of_parts(parts: &[Option<Self>], is_over: bool) -> Option<Self> {
        let is_bad = |status: &Self| !matches!(status, Self::Delivered | Self::Unknown);
        if let Some(bad) = parts.iter().flatten().find(|status| is_bad(status)) {
            return Some(*bad);
        }
        let has = |wanted| parts.contains(&Some(wanted));
        match parts.contains(&None) {
            true if !is_over => None,
            _ if has(Self::Unknown) => Some(Self::Unknown),
            _ if has(Self::Delivered) => Some(Self::Delivered),
            _ => is_over.then_some(Self::Unknown),
        }
    }
}

/// For which ends a receipt gives money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundOnReceipt {
    /// None: the operator charges for what it took.
    Never,
    /// What the operator refused after it had taken it.
    Rejected,
    /// All that was certainly not delivered.
    Undelivered,
}

impl RefundOnReceipt {
    /// The rule of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "never" => Some(Self::Never),
            "rejected" => Some(Self::Rejected),
            "undelivered" => Some(Self::Undelivered),
            _ => None,
        }
    }

    /// Whether what ended so is refunded.
    pub fn covers(self, status: DeliveryStatus) -> bool {
        use DeliveryStatus::{Expired, Rejected, Undelivered};
        match self {
            Self::Never => false,
            Self::Rejected => status == Rejected,
            Self::Undelivered => matches!(status, Rejected | Undelivered | Expired),
        }
    }
}

/// Why a message was not delivered, in the operator's words: 1 to 16 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// The visible ASCII at the beginning of what was given, cut to what is kept; `None` where that is nothing. No receipt is lost for it.
    pub fn read(given: &str) -> Option<Self> {
        let kept: String = given.trim().chars().take_while(char::is_ascii_graphic).take(MAX_ERROR_CODE).collect();
        (!kept.is_empty()).then_some(Self(kept))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number that a receipt is about, in the operator's form: 1 to 20 digits.
#[derive(Clone, PartialEq, Eq)]
pub struct ReportedNumber(String);

impl ReportedNumber {
    /// The digits of a number, without a `+`.
    ///
    /// # Errors
    /// It has none, too many, or something else.
    pub fn parse(given: &str) -> Result<Self, Invalid> {
        let digits = given.trim();
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let is_number = (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let wrong = || Invalid::new("recipient", format!("must be an optional + and 1 to {MAX_DIGITS} digits"));
        is_number.then(|| Self(digits.to_owned())).ok_or_else(wrong)
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits that count.
    fn compared(&self) -> &str {
        &self.0[self.0.len().saturating_sub(COMPARED_DIGITS)..]
    }

    /// Whether it may be this recipient's: it ends with the recipient's last seven digits, or all where that has fewer.
    pub fn may_be(&self, recipient: &str) -> bool {
        let recipient = recipient.strip_prefix('+').unwrap_or(recipient);
        let compared = recipient.len().saturating_sub(COMPARED_DIGITS);
        recipient.get(compared..).is_some_and(|end| !end.is_empty() && self.0.ends_with(end))
    }
}

impl From<&Recipient> for ReportedNumber {
    fn from(recipient: &Recipient) -> Self {
        Self(recipient.as_str().trim_start_matches('+').to_owned())
    }
}

/// What an operator reports of one message, or of one part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the operator calls it.
    pub id: ProviderMessageId,
    /// What became of it.
    pub state: ReceiptState,
    /// To whom it was sent, if the operator says so.
    pub recipient: Option<ReportedNumber>,
    /// Why it was not delivered, if the operator says so.
    pub error_code: Option<ErrorCode>,
    /// Of which part it tells, counted from 1, if the operator says so.
    pub part: Option<u8>,
}

impl Receipt {
    /// What two receipts have in common that say the same: SHA-256 of operator, id, part, state and error, each with its length before it.
    /// With the digits of its number that count, where it has one: ids come again.
    pub fn digest(&self, operator: &str) -> [u8; 32] {
        let part = self.part.map(|part| part.to_string()).unwrap_or_default();
        let error = self.error_code.as_ref().map_or("", ErrorCode::as_str);
        let mut digest = Sha256::new();
        let number = self.recipient.as_ref().map(ReportedNumber::compared);
        let members = [operator, &self.id.normalised(), &part, self.state.as_str(), error];
        for member in members.into_iter().chain(number) {
            digest.update(u64::try_from(member.len()).expect("a length").to_be_bytes());
            digest.update(member);
        }
        digest.finalize().into()
    }
}

impl std::fmt::Debug for Receipt {
    /// Without the number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, state, error_code, part, .. } = self;
        f.debug_struct("Receipt")
            .field("id", id)
            .field("state", state)
            .field("error_code", error_code)
            .field("part", part)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

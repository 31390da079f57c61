//! By what rules receipts are waited for and acted on.

use std::time::Duration;

use domain::RefundOnReceipt;
use settings::{SettingError, Source};

/// How long an operator's id and a receipt are kept after nobody waits for it any more.
const KEPT_AFTER: Duration = Duration::from_hours(7 * 24);
/// How long receipts are waited for where no end is set, as far as keeping their rows goes.
const USUAL_TIMEOUT: Duration = Duration::from_hours(3 * 24);

/// What is done about receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptPolicy {
    /// `RECEIPT_TIMEOUT_SECS` (259200): after this without a receipt nobody knows what became of a message; `None` (0) is never.
    pub timeout: Option<Duration>,
    /// `REFUND_ON_RECEIPT` (never): which ends give money back.
    pub refund: RefundOnReceipt,
}

impl Default for ReceiptPolicy {
    /// Three days, and no money.
    fn default() -> Self {
        Self { timeout: Some(USUAL_TIMEOUT), refund: RefundOnReceipt::Never }
    }
}

impl ReceiptPolicy {
    /// Reads the section.
    ///
    /// # Errors
    /// The first variable with a value that is not accepted.
    pub fn load(source: &Source) -> Result<Self, SettingError> {
        const RULES: &str = "never, rejected or undelivered";
        let timeout = source.duration_secs("RECEIPT_TIMEOUT_SECS", USUAL_TIMEOUT.as_secs(), 0..=2_592_000)?;
        let refund = source.parsed_with_default("REFUND_ON_RECEIPT", "never", RULES, RefundOnReceipt::parse)?;
        Ok(Self { timeout: Some(timeout).filter(|timeout| !timeout.is_zero()), refund })
    }

    /// How old a receipt, or an operator's id, is when it is deleted.
    pub(crate) fn kept_for(&self) -> Duration {
        self.timeout.unwrap_or(USUAL_TIMEOUT) + KEPT_AFTER
    }
}

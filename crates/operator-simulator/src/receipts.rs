//! What operators report of submissions that they accepted.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::choice;

/// Added to the number of a submission, so that ids of digits have nine of them, and hexadecimal ones differ from decimal ones.
const FIRST_NUMBER: u64 = 439_041_000;

/// A submission that was accepted for the first time.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Its number in the journal.
    pub(crate) seq: u64,
    /// The id in the operator's answer.
    pub(crate) id: String,
    pub(crate) recipient: String,
}

/// The form of `provider_message_id` in an operator's answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredId {
    /// The operator's name and a number, `operatorA-17`.
    #[default]
    Name,
    /// A number of nine digits in hexadecimal ones, `1a2b3bf9`.
    Hex,
    /// The same number in decimal ones, `439041017`.
    Decimal,
}

impl AnsweredId {
    /// What the operator called `operator` calls the submission with the number `seq`.
    pub(crate) fn write(self, operator: &str, seq: u64) -> String {
        match self {
            Self::Name => format!("{operator}-{seq}"),
            Self::Hex => in_hex(seq),
            Self::Decimal => in_decimal(seq),
        }
    }
}

/// The form of `provider_message_id` in a receipt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdForm {
    /// As in the operator's answer.
    #[default]
    Same,
    /// The number that [`AnsweredId::Hex`] writes, whatever was answered.
    Hex,
    /// The number that [`AnsweredId::Decimal`] writes, whatever was answered.
    Decimal,
    /// As in the operator's answer, after `000`.
    Padded,
    /// As in the operator's answer, in upper case.
    Upper,
}

impl IdForm {
    /// The id of `accepted` in this form.
    pub(crate) fn write(self, accepted: &Accepted) -> String {
        match self {
            Self::Same => accepted.id.clone(),
            Self::Hex => in_hex(accepted.seq),
            Self::Decimal => in_decimal(accepted.seq),
            Self::Padded => format!("000{}", accepted.id),
            Self::Upper => accepted.id.to_uppercase(),
        }
    }
}

fn in_hex(seq: u64) -> String {
    format!("{:x}", FIRST_NUMBER.saturating_add(seq))
}

fn in_decimal(seq: u64) -> String {
    FIRST_NUMBER.saturating_add(seq).to_string()
}

/// When a receipt is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timing {
    /// Before the submission is answered, which waits for it.
    BeforeAnswer,
    /// Not before the submission is being answered, nor before so long after the decision.
    After(Duration),
}

impl Timing {
    /// What the members of these names say together.
    pub(crate) fn parse(delay_ms: Option<u64>, before_answer: bool) -> Result<Self, &'static str> {
        let delay = Duration::from_millis(delay_ms.unwrap_or(0));
        match before_answer {
            true if !delay.is_zero() => Err("delay_ms belongs to receipts after the answer"),
            true => Ok(Self::BeforeAnswer),
            false => Ok(Self::After(delay)),
        }
    }
}

/// One receipt: what is posted of a submission, when and how often.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ReceiptFields")]
pub struct Receipt {
    status: String,
    timing: Timing,
    times: u32,
    id: IdForm,
    error_code: Option<String>,
    with_recipient: bool,
    part: Option<u32>,
}

impl Receipt {
    /// Says `status`, once, as soon as the submission is being answered; with the recipient and the id in the answer.
    pub fn of(status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            timing: Timing::After(Duration::ZERO),
            times: 1,
            id: IdForm::Same,
            error_code: None,
            with_recipient: true,
            part: None,
        }
    }

    /// The same receipt, posted so long after the decision, but never before the submission is being answered: without a delay it and
    /// the answer may overtake each other on their ways.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.timing = Timing::After(delay);
        self
    }

    /// The same receipt, posted at once: the submission is answered after an answer to the receipt came, whatever it is, or 5 s.
    #[must_use]
    pub fn before_answer(mut self) -> Self {
        self.timing = Timing::BeforeAnswer;
        self
    }

    /// The same receipt, posted so often; 0 is never.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The same receipt, its id in this form.
    #[must_use]
    pub fn id(mut self, form: IdForm) -> Self {
        self.id = form;
        self
    }

    /// The same receipt, with an error code.
    #[must_use]
    pub fn error_code(mut self, code: impl Into<String>) -> Self {
        self.error_code = Some(code.into());
        self
    }

    /// The same receipt, which does not say whom the message was for.
    #[must_use]
    pub fn without_recipient(mut self) -> Self {
        self.with_recipient = false;
        self
    }

    /// The same receipt, of one part of the message.
    #[must_use]
    pub fn part(mut self, part: u32) -> Self {
        self.part = Some(part);
        self
    }

    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// How often it is posted.
    pub(crate) fn posts(&self) -> u32 {
        self.times
    }

    /// The body that is posted of `accepted`.
    pub(crate) fn body(&self, accepted: &Accepted) -> String {
        let body = Body {
            provider_message_id: self.id.write(accepted),
            status: &self.status,
            recipient: self.with_recipient.then_some(accepted.recipient.as_str()),
            error_code: self.error_code.as_deref(),
            part: self.part,
        };
        serde_json::to_string(&body).expect("texts and numbers are always JSON")
    }
}

#[derive(Serialize)]
struct Body<'a> {
    provider_message_id: String,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptFields {
    status: String,
    delay_ms: Option<u64>,
    #[serde(default)]
    before_answer: bool,
    times: Option<u32>,
    #[serde(default)]
    id: IdForm,
    error_code: Option<String>,
    with_recipient: Option<bool>,
    part: Option<u32>,
}

impl TryFrom<ReceiptFields> for Receipt {
    type Error = &'static str;

    fn try_from(fields: ReceiptFields) -> Result<Self, &'static str> {
        let ReceiptFields { status, delay_ms, before_answer, times, id, error_code, with_recipient, part } = fields;
        let timing = Timing::parse(delay_ms, before_answer)?;
        let (times, with_recipient) = (times.unwrap_or(1), with_recipient.unwrap_or(true));
        Ok(Self { status, timing, times, id, error_code, with_recipient, part })
    }
}

/// What an operator reports, and to whom: by whole number, else by the longest suffix that fits, else the default.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    /// The `http://` URL to which receipts are posted.
    pub to: String,
    /// `whsec_` and base64: receipts are signed as Standard Webhooks has it. Any other one is sent as a bearer token.
    pub secret: String,
    /// The form of ids in the operator's answers.
    #[serde(default)]
    pub ids: AnsweredId,
    /// For all other recipients.
    #[serde(default)]
    pub default: Vec<Receipt>,
    /// By the whole number.
    #[serde(default)]
    pub recipients: BTreeMap<String, Vec<Receipt>>,
    /// By the number's last digits.
    #[serde(default)]
    pub suffixes: BTreeMap<String, Vec<Receipt>>,
}

impl Receipts {
    /// No receipts yet, for the `http://` URL `to`; `secret` is `whsec_` and base64, with which they are signed, or a bearer token.
    /// Both are checked when the behaviour is set.
    pub fn to(to: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            secret: secret.into(),
            ids: AnsweredId::Name,
            default: Vec::new(),
            recipients: BTreeMap::new(),
            suffixes: BTreeMap::new(),
        }
    }

    /// The same receipts, with ids of this form in the operator's answers.
    #[must_use]
    pub fn with_ids(mut self, ids: AnsweredId) -> Self {
        self.ids = ids;
        self
    }

    /// The same receipts, but `receipts` for all recipients of whom nothing else is said.
    #[must_use]
    pub fn with_default(mut self, receipts: Vec<Receipt>) -> Self {
        self.default = receipts;
        self
    }

    /// The same receipts, but `receipts` for the whole number `recipient`.
    #[must_use]
    pub fn with_recipient(mut self, recipient: impl Into<String>, receipts: Vec<Receipt>) -> Self {
        self.recipients.insert(recipient.into(), receipts);
        self
    }

    /// The same receipts, but `receipts` for numbers that end in `suffix`.
    #[must_use]
    pub fn with_suffix(mut self, suffix: impl Into<String>, receipts: Vec<Receipt>) -> Self {
        self.suffixes.insert(suffix.into(), receipts);
        self
    }

    pub(crate) fn for_recipient(&self, recipient: &str) -> &[Receipt] {
        choice::most_specific(&self.recipients, &self.suffixes, recipient).unwrap_or(&self.default)
    }
}

impl fmt::Debug for Receipts {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, secret: _, ids, default, recipients, suffixes } = self;
        let mut output = f.debug_struct("Receipts");
        output.field("to", to).field("ids", ids).field("default", default);
        output.field("recipients", recipients).field("suffixes", suffixes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(receipt: &str) -> Result<Receipts, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"to": "http://a/", "secret": "mpr_1", "default": [{receipt}]}}"#))
    }

    #[test]
    fn receipts_are_written_as_they_are_built() {
        let all = r#"{"status": "x", "delay_ms": 5, "before_answer": false, "times": 2, "id": "padded", "error_code": "000",
                      "with_recipient": false, "part": 3}"#;
        let built = Receipt::of("x").after(Duration::from_millis(5)).times(2).id(IdForm::Padded);
        let built = built.error_code("000").without_recipient().part(3);
        let receipts = |receipt| Receipts::to("http://a/", "mpr_1").with_default(vec![receipt]);
        assert_eq!(parse(all).expect("valid"), receipts(built));
        assert_eq!(parse(r#"{"status": "x"}"#).expect("valid"), receipts(Receipt::of("x")));
        let early = r#"{"status": "x", "delay_ms": 0, "before_answer": true}"#;
        assert_eq!(parse(early).expect("valid"), receipts(Receipt::of("x").before_answer()));
        for wrong in [
            "{}",
            r#"{"status": "x", "delay": 5}"#,
            r#"{"status": "x", "id": "octal"}"#,
            r#"{"status": "x", "delay_ms": 5, "before_answer": true}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn every_form_of_an_id_is_made_from_the_answered_one() {
        let written = |answered: AnsweredId, form: IdForm| {
            let id = answered.write("opA", 17);
            form.write(&Accepted { seq: 17, id, recipient: String::new() })
        };
        assert_eq!(written(AnsweredId::Name, IdForm::Same), "opA-17");
        assert_eq!(written(AnsweredId::Name, IdForm::Upper), "OPA-17");
        assert_eq!(written(AnsweredId::Hex, IdForm::Same), "1a2b3bf9");
        assert_eq!(written(AnsweredId::Hex, IdForm::Upper), "1A2B3BF9");
        assert_eq!(written(AnsweredId::Hex, IdForm::Decimal), "439041017");
        assert_eq!(written(AnsweredId::Decimal, IdForm::Padded), "000439041017");
        assert_eq!(written(AnsweredId::Decimal, IdForm::Hex), "1a2b3bf9");
    }

    #[test]
    fn what_is_absent_is_left_out_of_the_body() {
        let accepted = Accepted { seq: 1, id: "a-1".to_owned(), recipient: "+12".to_owned() };
        let bare = Receipt::of("delivered").without_recipient().body(&accepted);
        assert_eq!(bare, r#"{"provider_message_id":"a-1","status":"delivered"}"#);
        let full = Receipt::of("expired").error_code("007").part(2).body(&accepted);
        let expected =
            r#"{"provider_message_id":"a-1","status":"expired","recipient":"+12","error_code":"007","part":2}"#;
        assert_eq!(full, expected);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let receipts = Receipts::to("http://a/", "mpr_1").with_suffix("2", vec![Receipt::of("delivered")]);
        assert!(!format!("{receipts:?}").contains("mpr_1"));
    }
}

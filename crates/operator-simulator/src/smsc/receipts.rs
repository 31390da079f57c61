//! What an SMSC reports of messages that it accepted.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use smpp::{Address, MessageState, Sm, Tlv, esm, receipt_text, tag};

use crate::{
    IdForm, clock,
    receipts::{Accepted, Timing},
};

/// A message that an SMSC accepted.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) accepted: Accepted,
    pub(crate) source: Address,
    pub(crate) destination: Address,
}

/// Where a `deliver_sm` says what became of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptForm {
    /// In its text, as most SMSCs do.
    #[default]
    Text,
    /// In `receipted_message_id` and `message_state`; there is no text.
    Tlv,
    /// In both.
    Both,
}

/// One receipt: what is sent of a message, when and how often.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ReceiptFields")]
pub struct SmscReceipt {
    state: MessageState,
    timing: Timing,
    times: u32,
    id: IdForm,
    form: ReceiptForm,
    error_code: Option<String>,
    with_recipient: bool,
}

impl SmscReceipt {
    /// Says `state`, once, as soon as the message is being answered; as a text with the id in the answer.
    pub fn of(state: MessageState) -> Self {
        Self {
            state,
            timing: Timing::After(Duration::ZERO),
            times: 1,
            id: IdForm::Same,
            form: ReceiptForm::Text,
            error_code: None,
            with_recipient: true,
        }
    }

    /// The same receipt, sent so long after the message was accepted, but never before it is being answered, if it is
    /// at all.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.timing = Timing::After(delay);
        self
    }

    /// The same receipt, sent at once: the message is answered after an answer to the receipt came, whatever it is, or
    /// 5 s. It is not waited for where no session receives.
    #[must_use]
    pub fn before_answer(mut self) -> Self {
        self.timing = Timing::BeforeAnswer;
        self
    }

    /// The same receipt, sent so often; 0 is never.
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

    /// The same receipt, written in this form.
    #[must_use]
    pub fn form(mut self, form: ReceiptForm) -> Self {
        self.form = form;
        self
    }

    /// The same receipt, with an error code: any word in a text, a number below 65,536 in TLVs.
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

    pub(crate) fn state(&self) -> MessageState {
        self.state
    }

    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// How often it is sent.
    pub(crate) fn sends(&self) -> u32 {
        self.times
    }

    /// Whether a message with this `registered_delivery` has it.
    pub(crate) fn is_asked_for(&self, registered_delivery: u8) -> bool {
        let is_failure = !matches!(
            self.state,
            MessageState::Scheduled | MessageState::Enroute | MessageState::Delivered | MessageState::Accepted
        );
        match registered_delivery & 0x03 {
            0 => false,
            2 => is_failure,
            _ => true,
        }
    }

    /// The id that it has of `message`.
    pub(crate) fn id_of(&self, message: &Message) -> String {
        self.id.write(&message.accepted)
    }

    /// What is sent of `message`: from its recipient to its sender.
    pub(crate) fn deliver_sm(&self, message: &Message) -> Sm {
        let id = self.id_of(message);
        let text = if self.form == ReceiptForm::Tlv { String::new() } else { self.text(&id) };
        let tlvs = if self.form == ReceiptForm::Text { Vec::new() } else { self.tlvs(&id) };
        Sm {
            source: if self.with_recipient { message.destination.clone() } else { Address::default() },
            destination: message.source.clone(),
            esm_class: esm::RECEIPT,
            short_message: text.into(),
            tlvs,
            ..Sm::default()
        }
    }

    fn text(&self, id: &str) -> String {
        let now = i64::try_from(clock::now_ms()).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
        let error = self.error_code.as_deref().unwrap_or("000");
        receipt_text(id, self.state, error, &now.format("%y%m%d%H%M").to_string())
    }

    fn tlvs(&self, id: &str) -> Vec<Tlv> {
        const GSM_NETWORK: u8 = 3;
        let id = Bytes::from(format!("{id}\0"));
        let mut tlvs =
            vec![Tlv::new(tag::RECEIPTED_MESSAGE_ID, id), Tlv::new(tag::MESSAGE_STATE, vec![self.state.number()])];
        let error = self.error_code.as_ref().and_then(|code| code.parse::<u16>().ok()).map(u16::to_be_bytes);
        tlvs.extend(error.map(|[high, low]| Tlv::new(tag::NETWORK_ERROR_CODE, vec![GSM_NETWORK, high, low])));
        tlvs
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptFields {
    status: StateFields,
    delay_ms: Option<u64>,
    #[serde(default)]
    before_answer: bool,
    times: Option<u32>,
    #[serde(default)]
    id: IdForm,
    #[serde(default)]
    form: ReceiptForm,
    error_code: Option<String>,
    with_recipient: Option<bool>,
}

/// A state by its number or its word.
#[derive(Deserialize)]
#[serde(untagged)]
enum StateFields {
    Number(u8),
    Word(String),
}

impl TryFrom<ReceiptFields> for SmscReceipt {
    type Error = &'static str;

    fn try_from(fields: ReceiptFields) -> Result<Self, &'static str> {
        let ReceiptFields { status, delay_ms, before_answer, times, id, form, error_code, with_recipient } = fields;
        let state = match status {
            StateFields::Number(number) => MessageState::from_number(number),
            StateFields::Word(word) => MessageState::from_word(&word),
        };
        let state = state.ok_or("a status is a number from 0 to 9 or a word such as DELIVRD")?;
        let timing = Timing::parse(delay_ms, before_answer)?;
        let (times, with_recipient) = (times.unwrap_or(1), with_recipient.unwrap_or(true));
        Ok(Self { state, timing, times, id, form, error_code, with_recipient })
    }
}

#[cfg(test)]
mod tests {
    use smpp::Receipt;

    use super::*;

    fn message() -> Message {
        let accepted = Accepted { seq: 17, id: "1a2b3bf9".to_owned(), recipient: "4911".to_owned() };
        Message { accepted, source: Address::source("BANK"), destination: Address::destination("+4911") }
    }

    #[test]
    fn receipts_are_written_as_they_are_built() {
        let written = r#"{"status": "undeliv", "delay_ms": 5, "times": 2, "id": "decimal", "form": "both",
                          "error_code": "011", "with_recipient": false}"#;
        let built = SmscReceipt::of(MessageState::Undeliverable).after(Duration::from_millis(5)).times(2);
        let built = built.id(IdForm::Decimal).form(ReceiptForm::Both).error_code("011").without_recipient();
        let parse = serde_json::from_str::<SmscReceipt>;
        assert_eq!(parse(written).expect("valid"), built);
        let early = parse(r#"{"status": 2, "before_answer": true}"#).expect("valid");
        assert_eq!(early, SmscReceipt::of(MessageState::Delivered).before_answer());
        for wrong in [
            "{}",
            r#"{"status": 10}"#,
            r#"{"status": "lost"}"#,
            r#"{"status": 2, "form": "data"}"#,
            r#"{"status": 2, "delay_ms": 5, "before_answer": true}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn every_form_says_the_same() {
        for form in [ReceiptForm::Text, ReceiptForm::Tlv, ReceiptForm::Both] {
            let receipt = SmscReceipt::of(MessageState::Expired).id(IdForm::Upper).form(form).error_code("34");
            let sm = receipt.deliver_sm(&message());
            assert_eq!(sm.short_message.is_empty(), form == ReceiptForm::Tlv);
            let read = Receipt::of(&sm).expect("a receipt");
            assert_eq!((read.id.as_deref(), read.state), (Some("1A2B3BF9"), MessageState::Expired), "{form:?}");
            assert_eq!((read.error.as_deref(), read.recipient.as_str()), (Some("34"), "4911"));
            assert_eq!(sm.destination, Address::source("BANK"));
        }
        let sm = SmscReceipt::of(MessageState::Delivered).without_recipient().deliver_sm(&message());
        assert_eq!(Receipt::of(&sm).expect("a receipt").recipient, "");
    }

    #[test]
    fn only_what_is_asked_for_is_sent() {
        let asked = |state, registered| SmscReceipt::of(state).is_asked_for(registered);
        for (state, expected) in
            [(MessageState::Delivered, [false, true, false]), (MessageState::Rejected, [false, true, true])]
        {
            assert_eq!([0, 1, 2].map(|registered| asked(state, registered)), expected);
            assert_eq!([16, 17, 18].map(|registered| asked(state, registered)), expected, "another bit");
        }
    }
}

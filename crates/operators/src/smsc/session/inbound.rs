//! What an SMSC sends: receipts, which are answered when they are stored, and messages of handsets, which nobody wants.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use domain::{ErrorCode, ProviderMessageId, Receipt, ReceiptState, ReportedNumber};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use metrics::Counter;
use smpp::{Body, Pdu, Response, Status};
use tokio::{sync::oneshot, time::timeout};

use crate::smsc::{Report, Shared, config::ReceiptId};

/// How long a receipt may take to be stored. After that the SMSC is to send it again.
const STORED_WITHIN: Duration = Duration::from_secs(5);
/// Receipts of one session that are being stored; more are to be sent again.
const MOST_IN_HAND: usize = 4_096;

/// The receipts of one session that are being stored.
pub(super) struct Inbound {
    shared: Arc<Shared>,
    in_hand: FuturesUnordered<Pin<Box<dyn Future<Output = Pdu> + Send>>>,
}

impl Inbound {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, in_hand: FuturesUnordered::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_hand.is_empty()
    }

    /// The answer for the next one that is stored, or is not. Cancel safe.
    pub(super) async fn next(&mut self) -> Pdu {
        match self.in_hand.next().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// Takes a `deliver_sm` or `data_sm`; the answer, where there is one at once.
    pub(super) fn take(&mut self, sequence: u32, body: Body) -> Option<Pdu> {
        let (receipt, answer) = match body {
            Body::DeliverSm(sm) => (smpp::Receipt::of(&sm), Body::DeliverSmResp(Response::default())),
            Body::DataSm(sm) => (smpp::Receipt::of_data(&sm), Body::DataSmResp(Response::default())),
            _ => return None,
        };
        let meters = &self.shared.meters;
        let status = match receipt.as_ref().map(|receipt| read(self.shared.config.receipt_id, receipt)) {
            Some(Some(receipt)) => {
                let put_off = meters.receipts_put_off.clone();
                if let Some(stored) = self.store(receipt) {
                    self.in_hand.push(Box::pin(when_stored(stored, sequence, answer, put_off)));
                    return None;
                }
                put_off.increment(1);
                Status::TEMPORARY_APPLICATION_ERROR
            }
            // Nobody can find out what it is about, however often it comes.
            Some(None) => {
                meters.receipts_refused.increment(1);
                Status::OK
            }
            None => {
                meters.from_handsets.increment(1);
                Status::REJECTED_BY_APPLICATION
            }
        };
        Some(Pdu::response(sequence, status, answer))
    }

    /// Has it stored; `None` where too many are.
    fn store(&self, receipt: Receipt) -> Option<oneshot::Receiver<()>> {
        let (stored, is_stored) = oneshot::channel();
        let exact = self.shared.config.receipt_id != ReceiptId::Auto;
        let report = Report { operator: self.shared.operator.clone(), receipt, exact, stored };
        let has_room = self.in_hand.len() < MOST_IN_HAND;
        (has_room && self.shared.reports.try_send(report).is_ok()).then_some(is_stored)
    }
}

async fn when_stored(stored: oneshot::Receiver<()>, sequence: u32, answer: Body, put_off: Counter) -> Pdu {
    let status = if matches!(timeout(STORED_WITHIN, stored).await, Ok(Ok(()))) {
        Status::OK
    } else {
        put_off.increment(1);
        Status::TEMPORARY_APPLICATION_ERROR
    };
    Pdu::response(sequence, status, answer)
}

/// The receipt as the platform has it; `None` where it does not say what it is about.
fn read(form: ReceiptId, receipt: &smpp::Receipt) -> Option<Receipt> {
    let id = in_digits(form, receipt.id.as_deref()?.trim());
    Some(Receipt {
        id: ProviderMessageId::parse(&id)?,
        state: ReceiptState::parse(receipt.state.word()).unwrap_or(ReceiptState::Unknown),
        recipient: ReportedNumber::parse(&receipt.recipient).ok(),
        error_code: receipt.error.as_deref().and_then(ErrorCode::read),
        part: None,
    })
}

/// The id in the digits that the SMSC answers with, where it is known which those are.
fn in_digits(form: ReceiptId, id: &str) -> String {
    let number = |radix| u64::from_str_radix(id, radix).ok();
    let converted = match form {
        ReceiptId::Auto | ReceiptId::Same => None,
        ReceiptId::HexDec => number(10).map(|number| format!("{number:x}")),
        ReceiptId::DecHex => number(16).map(|number| number.to_string()),
    };
    converted.unwrap_or_else(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use smpp::MessageState;

    use super::*;

    fn receipt(id: Option<&str>) -> smpp::Receipt {
        let error = Some("Absent Subscriber".to_owned());
        let (id, recipient) = (id.map(str::to_owned), "+989128582812".to_owned());
        smpp::Receipt { id, state: MessageState::Undeliverable, error, recipient }
    }

    #[test]
    fn receipts_are_read_as_those_over_http() {
        let read = read(ReceiptId::Auto, &receipt(Some(" 0A1b "))).expect("it has an id");
        assert_eq!((read.id.as_str(), read.state, read.part), ("0A1b", ReceiptState::Undelivered, None));
        assert_eq!(read.error_code.as_ref().map(ErrorCode::as_str), Some("Absent"));
        assert_eq!(read.recipient.as_ref().map(ReportedNumber::as_str), Some("989128582812"));
        assert_eq!(super::read(ReceiptId::Auto, &receipt(None)), None);
        let named = smpp::Receipt { recipient: "BANK".into(), ..receipt(Some("1")) };
        assert!(super::read(ReceiptId::Auto, &named).expect("it has an id").recipient.is_none());
    }

    #[test]
    fn ids_are_brought_into_the_digits_of_answers() {
        for (form, given, expected) in [
            (ReceiptId::Auto, "439041048", "439041048"),
            (ReceiptId::Same, "439041048", "439041048"),
            (ReceiptId::HexDec, "439041048", "1a2b3c18"),
            (ReceiptId::DecHex, "1A2B3C18", "439041048"),
            (ReceiptId::DecHex, "x-1", "x-1"),
        ] {
            assert_eq!(in_digits(form, given), expected);
        }
    }

    #[test]
    fn every_state_is_known_to_the_platform() {
        for number in 0..10 {
            let word = MessageState::from_number(number).expect("one of ten").word();
            assert!(ReceiptState::parse(word).is_ok(), "{word}");
        }
    }
}

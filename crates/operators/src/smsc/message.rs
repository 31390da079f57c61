//! A submission as the PDUs that an SMSC gets: one for each part.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Encoding, Sender};
use sha2::{Digest as _, Sha256};
use smpp::{Address, Sm, TooLong, split};

use super::config::{Plan, Receipts, SmppConfig, Validity};
use crate::{OperatorName, Submission};

/// The parts of a submission, in order.
///
/// # Errors
/// It has too many for one message.
pub(super) fn parts(
    config: &SmppConfig,
    operator: &OperatorName,
    submission: &Submission,
    now: DateTime<Utc>,
) -> Result<Vec<Sm>, TooLong> {
    let is_ucs2 = submission.coding.is_some_and(|coding| coding.encoding == Encoding::Ucs2);
    let source = submission.from.as_ref().map(Sender::as_str).map(Address::source).unwrap_or_default();
    let whole = Sm {
        service_type: config.service_type.clone(),
        source: planned(source, config.source),
        destination: planned(Address::destination(submission.recipient.as_str()), config.destination),
        validity_period: validity(config.validity, submission.validity, now),
        registered_delivery: match config.receipts {
            Receipts::None => 0,
            Receipts::All => 1,
            Receipts::Failure => 2,
        },
        ..Sm::default()
    };
    let parts = split(&submission.text, config.plain, is_ucs2, config.long, reference(operator, submission))?;
    let sm = |part: smpp::Part| {
        let mut sm = whole.clone();
        part.put_into(&mut sm);
        sm
    };
    Ok(parts.into_iter().map(sm).collect())
}

fn planned(address: Address, Plan { ton, npi }: Plan) -> Address {
    Address { ton: ton.unwrap_or(address.ton), npi: npi.unwrap_or(address.npi), ..address }
}

/// On every part, for a part that comes too late makes the others worthless (jookies/jasmin issue 623).
fn validity(form: Validity, seconds: Option<u64>, now: DateTime<Utc>) -> String {
    let end =
        |seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?).and_then(|rest| now.checked_add_signed(rest));
    match (form, seconds) {
        (Validity::Relative, Some(seconds)) => smpp::relative(seconds),
        (Validity::Absolute, Some(seconds)) => end(seconds).map(smpp::absolute).unwrap_or_default(),
        (Validity::None, _) | (_, None) => String::new(),
    }
}

/// What the parts of a message have in common: made from its key, so that a part that is sent again takes its own place on the handset
/// and is not mixed with parts of others (fiorix/go-smpp issue 45).
fn reference(operator: &OperatorName, submission: &Submission) -> u16 {
    let mut digest = Sha256::new();
    digest.update(submission.idempotency_key());
    digest.update(operator.as_str());
    let [.., high, low] = <[u8; 32]>::from(digest.finalize());
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use domain::{EncodingChoice, MessageText, Recipient, Segmentation};
    use proptest::prelude::*;
    use smpp::{Charset, esm};

    use super::*;
    use crate::{
        Coding,
        smsc::config::tests::parsed,
        testing::{self, name},
    };

    fn made(parameters: &str, submission: &Submission) -> Vec<Sm> {
        let config = parsed(&format!("smpp://u:p@host?{parameters}")).expect("accepted");
        let now = DateTime::from_timestamp(1_796_113_805, 0).expect("a time");
        parts(&config, &name("a"), submission, now).expect("not too long")
    }

    fn text(text: &str) -> Submission {
        Submission { text: text.into(), ..testing::submission() }
    }

    #[test]
    fn a_plain_message_is_one_pdu_that_asks_for_a_receipt() {
        let sms = made("", &testing::submission());
        let expected = Sm {
            destination: Address { ton: 1, npi: 1, address: "4915112345".into() },
            registered_delivery: 1,
            short_message: (&b"your code is 1234"[..]).into(),
            ..Sm::default()
        };
        assert!(sms == [expected]);
    }

    #[test]
    fn parameters_say_how_it_is_written() {
        let submission = Submission {
            from: Some(Sender::parse("BANK".into()).expect("a sender")),
            validity: Some(300),
            ..testing::submission()
        };
        let sm = &made("src_npi=9&dst_ton=2&receipts=failure&service_type=CMT", &submission)[0];
        assert_eq!((sm.source.ton, sm.source.npi, sm.source.address.as_str()), (5, 9, "BANK"));
        assert_eq!((sm.destination.ton, sm.registered_delivery, sm.service_type.as_str()), (2, 2, "CMT"));
        for (parameters, period) in
            [("", "000000000500000R"), ("validity=absolute", "261201083505000+"), ("validity=none", "")]
        {
            assert_eq!(made(parameters, &submission)[0].validity_period, period);
        }
    }

    #[test]
    fn parts_of_a_message_share_what_is_made_from_its_key() {
        let long = text(&"a".repeat(200));
        let header = |submission: &Submission| made("", submission)[0].short_message[..6].to_vec();
        assert_eq!(header(&long), header(&long), "the same whenever it is sent");
        let other =
            Submission { recipient: Recipient::try_from("+4915112346".to_owned()).expect("valid"), ..long.clone() };
        assert_ne!(header(&long)[3], header(&other)[3]);
        let valid = Submission { validity: Some(60), ..long };
        assert!(
            made("", &valid).iter().all(|sm| sm.validity_period == "000000000100000R" && sm.esm_class == esm::UDHI)
        );
    }

    /// What is charged for is counted by the domain's table, what is sent is cut by that of `smpp`.
    #[test]
    fn both_tables_have_the_same_characters() {
        for character in (0..=0x2_FFFFu32).filter_map(char::from_u32) {
            let Ok(message) = MessageText::try_from(format!("a{character}a")) else { continue };
            let counted = Segmentation::of(&message, EncodingChoice::Auto).expect("auto takes all");
            let sm = &made("", &text(message.as_str()))[0];
            assert_eq!(sm.data_coding == 0, counted.encoding() == Encoding::Gsm7, "{character:?}");
            if sm.data_coding == 0 {
                assert_eq!(sm.short_message.len(), counted.units(), "{character:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn parts_are_as_many_as_are_charged_for(
            written in "[a-z€\\[\u{c}éاç😀]{1,500}|[a-z€\\[]{100,700}",
            is_ucs2: bool,
            long in "udh|sar",
            gsm in "gsm0338|latin1",
        ) {
            // A text of blanks alone is none.
            let Ok(message) = MessageText::try_from(written.clone()) else { return Ok(()) };
            let choice = if is_ucs2 { EncodingChoice::Ucs2 } else { EncodingChoice::Auto };
            let counted = Segmentation::of(&message, choice).expect("auto and ucs2 take all");
            let coding = Coding { encoding: counted.encoding(), segments: counted.count() };
            let submission = Submission { coding: Some(coding), ..text(&written) };
            let sms = made(&format!("long={long}&gsm={gsm}"), &submission);
            // An SMSC that cannot have these characters plain gets them as UCS-2, in parts that are not charged for.
            let plain = if gsm == "latin1" { Charset::Latin1 } else { Charset::Gsm0338 };
            let is_as_counted = counted.encoding() == Encoding::Ucs2 || sms[0].data_coding == plain.data_coding();
            prop_assert!(!is_as_counted || sms.len() == counted.count());
            prop_assert!(gsm == "latin1" || is_as_counted);
        }
    }
}

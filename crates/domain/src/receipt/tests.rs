use proptest::prelude::*;

use super::*;

use DeliveryStatus::{Delivered, Expired, Rejected, Undelivered, Unknown};

#[test]
fn words_are_names_and_short_forms_in_any_case() {
    for (word, state) in [
        ("DELIVRD", ReceiptState::Delivered),
        ("Delivered", ReceiptState::Delivered),
        ("UNDELIV", ReceiptState::Undelivered),
        ("undeliverable", ReceiptState::Undelivered),
        ("DELETED", ReceiptState::Undelivered),
        ("REJECTD", ReceiptState::Rejected),
        ("ACCEPTD", ReceiptState::Accepted),
        (" expired ", ReceiptState::Expired),
    ] {
        assert_eq!(ReceiptState::parse(word), Ok(state), "{word}");
    }
    for state in ReceiptState::ALL {
        assert_eq!(ReceiptState::parse(state.as_str()), Ok(state));
        assert!(state.as_str().len() <= 12, "the column has 12 characters");
    }
    for wrong in ["", "ok", "failed", "delivered!", "DELIVRD ERR"] {
        assert!(ReceiptState::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_pair_of_what_is_known_and_what_is_told() {
    for told in DeliveryStatus::ALL {
        assert!(told.replaces(None), "{told} after nothing");
        assert!(!told.replaces(Some(told)), "{told} twice");
        assert_eq!(told.replaces(Some(Unknown)), told != Unknown, "{told} after unknown");
        assert!(!told.replaces(Some(Delivered)), "{told} after a delivery");
        for known in [Undelivered, Expired, Rejected] {
            assert_eq!(told.replaces(Some(known)), told == Delivered, "{told} after {known}");
        }
    }
    assert!(Delivered.contradicts(Some(Rejected)) && Expired.contradicts(Some(Delivered)));
    assert!(!Delivered.contradicts(Some(Unknown)) && !Unknown.contradicts(Some(Expired)) && !Expired.contradicts(None));
}

#[test]
fn parts_come_to_one_end() {
    let of = |parts: &[Option<DeliveryStatus>]| {
        (DeliveryStatus::of_parts(parts, false), DeliveryStatus::of_parts(parts, true))
    };
    let delivered = Some(Delivered);
    assert_eq!(of(&[delivered]), (delivered, delivered));
    assert_eq!(of(&[delivered, delivered]), (delivered, delivered));
    assert_eq!(of(&[delivered, None]), (None, delivered), "one speaks for the silent ones in the end");
    assert_eq!(of(&[None, None]), (None, Some(Unknown)));
    assert_eq!(of(&[delivered, Some(Expired), None]), (Some(Expired), Some(Expired)));
    assert_eq!(of(&[delivered, Some(Unknown)]), (Some(Unknown), Some(Unknown)));
    assert_eq!(of(&[Some(Unknown), None]), (None, Some(Unknown)));
}

#[test]
fn money_comes_back_only_where_the_rule_says() {
    for (rule, covered) in [
        ("never", &[] as &[DeliveryStatus]),
        ("rejected", &[Rejected]),
        ("undelivered", &[Rejected, Undelivered, Expired]),
    ] {
        let rule = RefundOnReceipt::parse(rule).expect("a rule");
        for status in DeliveryStatus::ALL {
            assert_eq!(rule.covers(status), covered.contains(&status), "{rule:?} {status}");
        }
    }
    assert_eq!(RefundOnReceipt::parse("always"), None);
}

#[test]
fn numbers_are_the_same_by_their_last_seven_digits() {
    let number = |given| ReportedNumber::parse(given).expect("a number");
    for (given, recipient, same) in [
        ("989128582812", "+989128582812", true),
        ("09128582812", "+989128582812", true),
        ("+98912858281", "+989128582812", false),
        ("12345", "12345", true),
        ("4912345", "12345", true),
        ("2345", "12345", false),
        ("12345", "+4912345", false),
        ("5", "+989128582812", false),
        ("123456", "12345", false),
    ] {
        assert_eq!(number(given).may_be(recipient), same, "{given} {recipient}");
    }
    for wrong in ["", "+", "BANK", "12 34", "123456789012345678901", "+4912x"] {
        assert!(ReportedNumber::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn error_codes_are_cut_to_what_is_kept() {
    let read = |given| ErrorCode::read(given).map(|code| code.0);
    assert_eq!(read("000").as_deref(), Some("000"));
    assert_eq!(read(" 1B ").as_deref(), Some("1B"));
    assert_eq!(read("absent subscriber").as_deref(), Some("absent"));
    assert_eq!(read("é"), None);
    assert_eq!(read(&"x".repeat(40)).expect("some").len(), MAX_ERROR_CODE);
}

#[test]
fn what_says_the_same_has_one_digest() {
    let receipt = Receipt {
        id: ProviderMessageId::parse("00AB").expect("an id"),
        state: ReceiptState::Delivered,
        recipient: ReportedNumber::parse("+4915112345678").ok(),
        error_code: ErrorCode::read("000"),
        part: None,
    };
    let nationally = Receipt { recipient: ReportedNumber::parse("015112345678").ok(), ..receipt.clone() };
    let padded = Receipt { id: ProviderMessageId::parse("ab").expect("an id"), ..receipt.clone() };
    for same in [nationally, padded] {
        assert_eq!(same.digest("operatorA"), receipt.digest("operatorA"));
    }
    let others = [
        Receipt { state: ReceiptState::Expired, ..receipt.clone() },
        Receipt { part: Some(1), ..receipt.clone() },
        Receipt { error_code: ErrorCode::read("001"), ..receipt.clone() },
        Receipt { id: ProviderMessageId::parse("abc").expect("an id"), ..receipt.clone() },
        Receipt { recipient: ReportedNumber::parse("+4915112345679").ok(), ..receipt.clone() },
        Receipt { recipient: None, ..receipt.clone() },
    ];
    for other in others {
        assert_ne!(other.digest("operatorA"), receipt.digest("operatorA"), "{other:?}");
    }
    assert_ne!(receipt.digest("operatorB"), receipt.digest("operatorA"));
}

fn after_all(receipts: &[ReceiptState]) -> Option<ReceiptState> {
    receipts.iter().fold(None, |known, told| Some(told.after(known)))
}

proptest! {
    /// Intermediate states, what cannot be told, one other end and a delivery, in any order, as often as may be: the same end.
    #[test]
    fn every_order_ends_in_the_same_state(
        other in prop::sample::select(vec![ReceiptState::Undelivered, ReceiptState::Expired, ReceiptState::Rejected]),
        with_other in any::<bool>(),
        with_delivery in any::<bool>(),
        with_unknown in any::<bool>(),
        order in prop::collection::vec(any::<u32>(), 16),
    ) {
        let mut told = vec![ReceiptState::Enroute, ReceiptState::Accepted];
        for (state, is_told) in [
            (ReceiptState::Unknown, with_unknown),
            (other, with_other),
            (ReceiptState::Delivered, with_delivery),
        ] {
            told.extend(std::iter::repeat_n(state, if is_told { 2 } else { 0 }));
        }
        let mut shuffled: Vec<_> = told.iter().copied().zip(order).collect();
        shuffled.sort_by_key(|(_, place)| *place);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(state, _)| state).collect();
        let ended = after_all(&shuffled).and_then(ReceiptState::tells);
        prop_assert_eq!(ended, after_all(&told).and_then(ReceiptState::tells), "{:?}", shuffled);
        let expected = match (with_delivery, with_other, with_unknown) {
            (true, ..) => Some(Delivered),
            (_, true, _) => other.tells(),
            (_, _, true) => Some(Unknown),
            _ => None,
        };
        prop_assert_eq!(ended, expected);
    }

    /// Whatever comes, a delivery stays one, and what has ended never becomes open again.
    #[test]
    fn what_has_ended_stays_ended(told in prop::collection::vec(0usize..9, 1..30)) {
        let mut known: Option<ReceiptState> = None;
        for state in told.into_iter().map(|place| ReceiptState::ALL[place]) {
            let next = state.after(known);
            if let Some(before) = known.and_then(ReceiptState::tells) {
                let now = next.tells();
                prop_assert!(now.is_some());
                prop_assert!(before != Delivered || now == Some(Delivered));
                prop_assert!(before == Unknown || now != Some(Unknown));
            }
            known = Some(next);
        }
    }
}

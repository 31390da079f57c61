//! What a message costs: recipients times the price of the type.

use crate::{Lane, MessageType, Money, PerLane, Recipients};

/// Highest price of one recipient; with at most 1000 recipients no total can overflow.
pub const MAX_PRICE: i64 = 1_000_000_000;

/// The price of one recipient, per message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceList(PerLane<Money>);

impl PriceList {
    /// A list of two prices, each 1 to [`MAX_PRICE`]; `None` where one is outside.
    pub fn new(normal: i64, express: i64) -> Option<Self> {
        let price = |credits: i64| Money::new(credits).filter(|_| (1..=MAX_PRICE).contains(&credits));
        Some(Self(PerLane { normal: price(normal)?, express: price(express)? }))
    }

    /// The price of one recipient.
    pub fn of(&self, kind: MessageType) -> Money {
        self.0[Lane::of(kind)]
    }
}

/// The price of a whole request: its different recipients times the price of one.
///
/// # Panics
/// When the price of one is not from a [`PriceList`] and the total does not fit an `i64`.
pub fn total(unit_price: Money, recipients: &Recipients) -> Money {
    unit_price.checked_mul(recipients.count()).expect("1000 recipients at MAX_PRICE fit an i64")
}

impl Default for PriceList {
    /// The reference's prices: 1 for normal, 3 for express.
    fn default() -> Self {
        Self::new(1, 3).expect("both are in range")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_its_different_recipients() {
        let recipients = Recipients::parse(vec!["111".into(), "222".into(), "111".into()]).expect("valid");
        let prices = PriceList::default();
        assert_eq!(total(prices.of(MessageType::Normal), &recipients).get(), 2);
        assert_eq!(total(prices.of(MessageType::Express), &recipients).get(), 6);
    }

    #[test]
    fn prices_are_bounded() {
        assert!(PriceList::new(0, 1).is_none());
        assert!(PriceList::new(1, MAX_PRICE + 1).is_none());
        assert!(PriceList::new(1, MAX_PRICE).is_some());
    }
}

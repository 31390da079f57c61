//! What a message costs: a price for each recipient, by the type and, where it is asked for, by the segments of the text.

use crate::{Invalid, Lane, MessageType, Money, PerLane, Recipient, Recipients};

/// Highest price of one recipient or segment; with at most 1000 recipients of 255 segments no total can overflow.
pub const MAX_PRICE: i64 = 1_000_000_000;

/// Most segments that a text may be allowed to have.
pub const MAX_SEGMENTS: u8 = 255;

/// The price of one recipient or segment, per message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceList(PerLane<Money>);

impl PriceList {
    /// A list of two prices, each 1 to [`MAX_PRICE`]; `None` where one is outside.
    pub fn new(normal: i64, express: i64) -> Option<Self> {
        let price = |credits: i64| Money::new(credits).filter(|_| (1..=MAX_PRICE).contains(&credits));
        Some(Self(PerLane { normal: price(normal)?, express: price(express)? }))
    }

    /// The price of one recipient or segment.
    pub fn of(&self, kind: MessageType) -> Money {
        self.0[Lane::of(kind)]
    }
}

impl Default for PriceList {
    /// The reference's prices: 1 for normal, 3 for express.
    fn default() -> Self {
        Self::new(1, 3).expect("both are in range")
    }
}

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PriceUnit {
    /// One recipient, however long the text is: the contract's.
    #[default]
    Recipient,
    /// One segment of the text to one recipient.
    Segment,
}

impl PriceUnit {
    /// Both units.
    pub const ALL: [Self; 2] = [Self::Recipient, Self::Segment];

    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Segment => "segment",
        }
    }

    /// The unit of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.as_str() == name)
    }
}

/// How many segments a text has, 1 to [`MAX_SEGMENTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentCount(u8);

impl SegmentCount {
    /// One: what most texts have.
    pub const ONE: Self = Self(1);

    /// This many, if no more than `most` are accepted.
    ///
    /// # Errors
    /// They are more than `most`, or none.
    pub fn new(count: usize, most: u8) -> Result<Self, Invalid> {
        let fits = u8::try_from(count).ok().filter(|count| (1..=most).contains(count));
        let refused = || Invalid::new("text", format!("comes to {count} segments, but at most {most} are accepted"));
        fits.map(Self).ok_or_else(refused)
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// What messages cost here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tariff {
    /// The prices.
    pub prices: PriceList,
    /// What each is for.
    pub unit: PriceUnit,
}

impl Tariff {
    /// The price of a text of so many segments for each of these recipients.
    pub fn quote(&self, kind: MessageType, segments: SegmentCount, recipients: &Recipients) -> Quote {
        let units = match self.unit {
            PriceUnit::Recipient => 1,
            PriceUnit::Segment => usize::from(segments.get()),
        };
        let price = self.prices.of(kind).checked_mul(units).expect("255 segments at MAX_PRICE fit an i64");
        Quote::flat(price, recipients)
    }
}

/// What one request costs, for each recipient and in all. It is charged, stored with each recipient, and given back from there.
///
/// All recipients cost the same today. Whoever uses a quote asks it for each one's price, so that prices by destination change
/// nothing but how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    each: Money,
    total: Money,
}

impl Quote {
    /// The same price for each recipient.
    ///
    /// # Panics
    /// When the price is not from a [`Tariff`] and the total does not fit an `i64`.
    pub fn flat(price: Money, recipients: &Recipients) -> Self {
        let total =
            price.checked_mul(recipients.count()).expect("1000 recipients of 255 segments at MAX_PRICE fit an i64");
        Self { each: price, total }
    }

    /// The price for this recipient.
    pub fn price_of(&self, _recipient: &Recipient) -> Money {
        self.each
    }

    /// The price of all of them together.
    pub fn total(&self) -> Money {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recipients() -> Recipients {
        Recipients::parse(vec!["111".into(), "222".into(), "111".into()]).expect("valid")
    }

    fn segments(count: usize) -> SegmentCount {
        SegmentCount::new(count, MAX_SEGMENTS).expect("few")
    }

    #[test]
    fn a_request_costs_its_different_recipients() {
        let tariff = Tariff::default();
        let total = |kind, count| tariff.quote(kind, segments(count), &recipients()).total().get();
        assert_eq!([total(MessageType::Normal, 1), total(MessageType::Express, 1)], [2, 6]);
        assert_eq!(total(MessageType::Normal, 3), 2, "however long it is");
    }

    #[test]
    fn or_their_segments() {
        let tariff = Tariff { unit: PriceUnit::Segment, ..Tariff::default() };
        let total = |kind, count| tariff.quote(kind, segments(count), &recipients()).total().get();
        assert_eq!([total(MessageType::Normal, 3), total(MessageType::Express, 2)], [6, 12]);
    }

    #[test]
    fn prices_are_bounded() {
        assert!(PriceList::new(0, 1).is_none());
        assert!(PriceList::new(1, MAX_PRICE + 1).is_none());
        assert!(PriceList::new(1, MAX_PRICE).is_some());
    }

    #[test]
    fn the_highest_total_fits() {
        let recipients = Recipients::parse((0..1_000).map(|n| format!("{n:06}")).collect()).expect("valid");
        let prices = PriceList::new(MAX_PRICE, MAX_PRICE).expect("in range");
        let tariff = Tariff { prices, unit: PriceUnit::Segment };
        let most = segments(usize::from(MAX_SEGMENTS));
        assert_eq!(tariff.quote(MessageType::Normal, most, &recipients).total().get(), MAX_PRICE * 255 * 1_000);
    }

    #[test]
    fn texts_of_too_many_segments_are_refused() {
        assert_eq!(SegmentCount::new(10, 10).map(SegmentCount::get), Ok(10));
        let error = SegmentCount::new(12, 10).expect_err("too many").to_string();
        assert_eq!(error, "text comes to 12 segments, but at most 10 are accepted");
        assert!(SegmentCount::new(256, MAX_SEGMENTS).is_err() && SegmentCount::new(0, 1).is_err());
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_all_prices(
            count in 1_usize..50, unit in prop::sample::select(&PriceUnit::ALL), price in 1..=MAX_PRICE, parts in 1_usize..=255
        ) {
            let recipients = Recipients::parse((0..count).map(|n| format!("{n:05}")).collect()).expect("valid");
            let prices = PriceList::new(price, price).expect("in range");
            let quote = Tariff { prices, unit }.quote(MessageType::Normal, segments(parts), &recipients);
            let sum: i64 = recipients.as_slice().iter().map(|recipient| quote.price_of(recipient).get()).sum();
            prop_assert_eq!(sum, quote.total().get());
        }
    }
}

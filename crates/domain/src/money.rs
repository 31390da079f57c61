//! Money in whole credits. Sums are checked: an overflow is an error, never a wrong balance.

use std::fmt;

use crate::Invalid;

/// Most credits one top-up may add.
pub const MAX_TOP_UP: i64 = 1_000_000_000_000;
/// Highest balance a top-up may lead to. A refund may pass it by what was charged before: it is never lost.
pub const MAX_BALANCE: i64 = 1_000_000_000_000_000;

/// An amount of credits to charge or give back, 0 to 2^63-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

impl Money {
    /// The number of credits, never negative.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The amount, if it is not negative.
    pub fn new(credits: i64) -> Option<Self> {
        (credits >= 0).then_some(Self(credits))
    }

    /// The amount `count` times, if it fits.
    pub fn checked_mul(self, count: usize) -> Option<Self> {
        i64::try_from(count).ok().and_then(|count| self.0.checked_mul(count)).map(Self)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a customer may still spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Balance(i64);

impl Balance {
    /// A balance as the database holds it.
    pub fn from_stored(credits: i64) -> Self {
        Self(credits)
    }

    /// The number of credits.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The balance after a charge, or `None` where it does not cover it.
    pub fn charge(self, amount: Money) -> Option<Self> {
        self.0.checked_sub(amount.0).filter(|rest| *rest >= 0).map(Self)
    }

    /// The balance after a top-up, or `None` where it would pass [`MAX_BALANCE`].
    pub fn top_up(self, amount: TopUpAmount) -> Option<Self> {
        self.0.checked_add(amount.get()).filter(|sum| *sum <= MAX_BALANCE).map(Self)
    }
}

/// What a top-up adds: 1 to 10^12 credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopUpAmount(i64);

impl TopUpAmount {
    /// Parses the `balance` field of a top-up.
    pub fn parse(value: i64) -> Result<Self, Invalid> {
        if (1..=MAX_TOP_UP).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Invalid::new("balance", format!("must be a whole number from 1 to {MAX_TOP_UP}")))
        }
    }

    /// The number of credits.
    pub fn get(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn top_ups_are_bounded() {
        for wrong in [i64::MIN, -1, 0, MAX_TOP_UP + 1, i64::MAX] {
            assert!(TopUpAmount::parse(wrong).is_err(), "{wrong} was taken");
        }
        let most = TopUpAmount::parse(MAX_TOP_UP).expect("the limit is allowed");
        assert_eq!(Balance::from_stored(MAX_BALANCE - MAX_TOP_UP).top_up(most), Some(Balance(MAX_BALANCE)));
        assert_eq!(Balance::from_stored(MAX_BALANCE - MAX_TOP_UP + 1).top_up(most), None);
    }

    proptest! {
        #[test]
        fn a_charge_is_covered_or_refused(balance in 0..i64::MAX, amount in 0..i64::MAX) {
            let rest = Balance::from_stored(balance).charge(Money::new(amount).expect("not negative"));
            prop_assert_eq!(rest.map(Balance::get), (amount <= balance).then(|| balance - amount));
        }

        #[test]
        fn charges_never_spend_more_than_there_is(balance in 0..1_000_000i64, charges in prop::collection::vec(0..5_000i64, 0..500)) {
            let mut rest = Balance::from_stored(balance);
            let mut spent = 0;
            for charge in charges {
                if let Some(after) = rest.charge(Money::new(charge).expect("not negative")) {
                    rest = after;
                    spent += charge;
                }
            }
            prop_assert!(rest.get() >= 0);
            prop_assert_eq!(rest.get() + spent, balance);
        }

        #[test]
        fn products_fit_or_are_refused(price in 0..i64::MAX, count in 0usize..10_000) {
            let product = Money::new(price).expect("not negative").checked_mul(count);
            let exact = i128::from(price) * i128::try_from(count).expect("small");
            prop_assert_eq!(product.map(|money| i128::from(money.get())), i64::try_from(exact).ok().map(i128::from));
        }
    }
}

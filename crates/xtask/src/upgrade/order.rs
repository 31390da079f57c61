//! The orders in which services are replaced.

use std::fmt;

use crate::services::SERVICES;

/// One of the six orders of the three services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order([&'static str; 3]);

impl Order {
    /// Every order, each once.
    pub(super) const ALL: [Self; 6] = [
        Self::of([0, 1, 2]),
        Self::of([0, 2, 1]),
        Self::of([1, 0, 2]),
        Self::of([1, 2, 0]),
        Self::of([2, 0, 1]),
        Self::of([2, 1, 0]),
    ];

    const fn of([first, second, third]: [usize; 3]) -> Self {
        Self([SERVICES[first], SERVICES[second], SERVICES[third]])
    }

    /// The services, first to last.
    pub(super) fn services(self) -> [&'static str; 3] {
        self.0
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.0.map(|name| name.rsplit('-').next().unwrap_or(name));
        write!(f, "{}", short.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_order_is_there_once_and_has_every_service() {
        let orders: BTreeSet<_> = Order::ALL.iter().map(|order| order.services()).collect();
        assert_eq!(orders.len(), 6);
        for order in Order::ALL {
            assert_eq!(BTreeSet::from(order.services()), BTreeSet::from(SERVICES), "{order}");
        }
    }

    #[test]
    fn an_order_is_named_by_its_services() {
        assert_eq!(Order::ALL[0].to_string(), "gateway, relay, worker");
        assert_eq!(Order::ALL[5].to_string(), "worker, relay, gateway");
    }
}

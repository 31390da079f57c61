//! Which customers have endpoints for callbacks, as far as this process knows: what all others send costs nothing.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

/// The customers with endpoints; all of them until somebody has looked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched(Option<Arc<HashSet<i64>>>);

impl Watched {
    /// Whether this customer may have an endpoint.
    pub(crate) fn has(&self, customer: i64) -> bool {
        self.0.as_ref().is_none_or(|customers| customers.contains(&customer))
    }
}

impl FromIterator<i64> for Watched {
    fn from_iter<I: IntoIterator<Item = i64>>(customers: I) -> Self {
        Self(Some(Arc::new(customers.into_iter().collect())))
    }
}

/// What the process knows of it, for all of its operations.
#[derive(Debug, Default)]
pub(crate) struct WatchList(RwLock<Watched>);

impl WatchList {
    pub(crate) fn known(&self) -> Watched {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, watched: Watched) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = watched;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_watched_until_somebody_has_looked() {
        let list = WatchList::default();
        assert!(list.known().has(7));
        list.set([8].into_iter().collect());
        assert!(list.known().has(8) && !list.known().has(7));
    }
}

//! The idempotency keys an operator remembers, the newest ones.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// What is known of one key.
#[derive(Debug, Default)]
pub(crate) struct Key {
    /// Calls since the behaviour was set.
    pub(crate) calls: u32,
    /// The receipt, once a submission with this key was accepted.
    pub(crate) receipt: Option<String>,
}

/// At most `capacity` keys; a new one pushes the oldest out.
#[derive(Debug)]
pub(crate) struct Keys {
    capacity: usize,
    by_name: HashMap<Arc<str>, Key>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Keys {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, by_name: HashMap::new(), oldest_first: VecDeque::new() }
    }

    pub(crate) fn entry(&mut self, name: &str) -> &mut Key {
        if !self.by_name.contains_key(name) {
            self.make_room();
            let name: Arc<str> = name.into();
            self.oldest_first.push_back(Arc::clone(&name));
            self.by_name.insert(name, Key::default());
        }
        self.by_name.get_mut(name).expect("it was there or has just been put there")
    }

    pub(crate) fn reset_calls(&mut self) {
        for key in self.by_name.values_mut() {
            key.calls = 0;
        }
    }

    fn make_room(&mut self) {
        while self.by_name.len() >= self.capacity {
            let Some(oldest) = self.oldest_first.pop_front() else { return };
            self.by_name.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_key_makes_room() {
        let mut keys = Keys::new(2);
        for name in ["a", "b", "a", "c"] {
            keys.entry(name).calls += 1;
        }
        assert_eq!(keys.by_name.len(), 2);
        assert_eq!(keys.entry("b").calls, 1);
        assert_eq!(keys.entry("a").calls, 0, "it was forgotten");
    }
}

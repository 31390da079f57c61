//! Names of exchange and queues that no other test uses.

use uuid::Uuid;

/// The broker objects of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `test-<uuid>`, the common prefix.
    pub prefix: String,
    /// The exchange that messages are published to.
    pub exchange: String,
    /// The queue of express messages.
    pub express_queue: String,
    /// The queue of normal messages.
    pub normal_queue: String,
}

/// New names under a random prefix.
pub fn names() -> Names {
    let prefix = format!("test-{}", Uuid::now_v7());
    Names {
        exchange: format!("{prefix}.exchange"),
        express_queue: format!("{prefix}.express"),
        normal_queue: format!("{prefix}.normal"),
        prefix,
    }
}

impl Names {
    /// The environment variables by which a service is told these names.
    pub fn env(&self) -> [(&'static str, String); 3] {
        [
            ("RABBIT_MESSAGE_EXCHANGE", self.exchange.clone()),
            ("EXPRESS_QUEUE", self.express_queue.clone()),
            ("NORMAL_QUEUE", self.normal_queue.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tests_share_no_name() {
        let (first, second) = (names(), names());
        for (variable, value) in first.env() {
            assert!(value.starts_with(&first.prefix), "{variable}={value}");
            assert!(second.env().iter().all(|(_, other)| *other != value), "{variable}={value} twice");
        }
    }
}

//! What each request says.

use std::fmt::Write as _;

use domain::MessageType;

use crate::Load;

/// Requests that differ in user, type and recipients, decided by their number alone.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    users: u32,
    recipients: u32,
    express_ratio: f64,
}

impl Traffic {
    /// The requests of a load.
    pub fn of(load: &Load) -> Self {
        Self { users: load.users.max(1), recipients: load.recipients, express_ratio: load.express_ratio }
    }

    /// The customer of request `index`: users take turns.
    pub fn user(&self, index: u64) -> i64 {
        i64::try_from(index % u64::from(self.users)).unwrap_or(0) + 1
    }

    /// The type of request `index`: express ones are spread evenly.
    pub fn kind(&self, index: u64) -> MessageType {
        let express_before = |index: u64| (index as f64 * self.express_ratio).floor();
        if express_before(index + 1) > express_before(index) { MessageType::Express } else { MessageType::Normal }
    }

    /// The phone numbers of request `index`, all different.
    pub fn recipients(&self, index: u64) -> impl Iterator<Item = String> + use<> {
        let first = index.wrapping_mul(u64::from(self.recipients));
        (0..u64::from(self.recipients)).map(move |n| format!("+4915{:09}", first.wrapping_add(n) % 1_000_000_000))
    }

    /// The body of request `index`.
    pub fn body(&self, index: u64) -> String {
        let mut body = format!(
            r#"{{"customer_id":{},"text":"{TEXT}","type":"{}","recipients":["#,
            self.user(index),
            self.kind(index).as_str()
        );
        for (n, recipient) in self.recipients(index).enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let _ = write!(body, r#"{comma}"{recipient}""#);
        }
        body.push_str("]}");
        body
    }
}

/// The text of every message, of the length of a one-time password.
pub(crate) const TEXT: &str = "Your code is 482915. It is valid for five minutes.";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn traffic(recipients: u32) -> Traffic {
        Traffic::of(&Load { recipients, ..Load::default() })
    }

    #[test]
    fn users_take_turns_and_a_fifth_is_express() {
        let traffic = traffic(1);
        let users: HashSet<_> = (0..5_000).map(|index| traffic.user(index)).collect();
        assert_eq!((users.len(), users.iter().min(), users.iter().max()), (5_000, Some(&1), Some(&5_000)));
        assert_eq!((0..1_000).filter(|index| traffic.kind(*index) == MessageType::Express).count(), 200);
    }

    #[test]
    fn ratios_of_none_and_all_are_kept() {
        for (express_ratio, expected) in [(0.0, 0), (1.0, 100)] {
            let traffic = Traffic::of(&Load { express_ratio, ..Load::default() });
            assert_eq!((0..100).filter(|index| traffic.kind(*index) == MessageType::Express).count(), expected);
        }
    }

    #[test]
    fn a_body_is_what_the_api_takes() {
        let body: domain_body::Body = serde_json::from_str(&traffic(1_000).body(7)).expect("JSON");
        assert_eq!(body.customer_id, 8);
        assert_eq!(body.recipients.iter().collect::<HashSet<_>>().len(), 1_000);
        assert!(domain::Recipients::parse(body.recipients).is_ok());
        assert_eq!(body.r#type, domain::MessageType::Normal);
    }

    mod domain_body {
        #[derive(serde::Deserialize)]
        pub(super) struct Body {
            pub(super) customer_id: i64,
            pub(super) recipients: Vec<String>,
            pub(super) r#type: domain::MessageType,
        }
    }
}

//! Callbacks to customers: what they may be told, by which names, and when it is tried again.

pub mod schedule;

use std::{collections::BTreeSet, fmt};

use uuid::Uuid;

use crate::{DeliveryStatus, Invalid};

/// What a customer is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackType {
    /// An operator accepted the message.
    Done,
    /// It failed and was refunded.
    Failed,
    /// It was cancelled before an operator had it.
    Cancelled,
    /// It reached the phone.
    Delivered,
    /// It did not.
    Undelivered,
    /// Nobody knows whether it did.
    DeliveryUnknown,
    /// Another endpoint of the customer gets nothing any more.
    EndpointDisabled,
    /// The customer asked for a sign.
    EndpointTest,
}

impl CallbackType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Delivered,
        Self::Undelivered,
        Self::DeliveryUnknown,
        Self::EndpointDisabled,
        Self::EndpointTest,
    ];

    /// The name in bodies and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "message.done",
            Self::Failed => "message.failed",
            Self::Cancelled => "message.cancelled",
            Self::Delivered => "message.delivered",
            Self::Undelivered => "message.undelivered",
            Self::DeliveryUnknown => "message.delivery_unknown",
            Self::EndpointDisabled => "endpoint.disabled",
            Self::EndpointTest => "endpoint.test",
        }
    }

    /// Parses a type's name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether an endpoint may choose not to be told: all but the test, which it asks for itself.
    pub fn is_subscribed(self) -> bool {
        self != Self::EndpointTest
    }
}

impl From<DeliveryStatus> for CallbackType {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Delivered => Self::Delivered,
            DeliveryStatus::Undelivered | DeliveryStatus::Expired | DeliveryStatus::Rejected => Self::Undelivered,
            DeliveryStatus::Unknown => Self::DeliveryUnknown,
        }
    }
}

/// What an endpoint is told of: at least one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackTypes(BTreeSet<CallbackType>);

impl CallbackTypes {
    /// All that can be chosen.
    pub fn all() -> Self {
        Self(CallbackType::ALL.into_iter().filter(|kind| kind.is_subscribed()).collect())
    }

    /// The types of these names, each once.
    ///
    /// # Errors
    /// No name, or one that is none.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let wrong = || {
            let names: Vec<_> = Self::all().names().collect();
            Invalid::new("events", format!("must be a list of at least one of {}", names.join(", ")))
        };
        let parse = |name| CallbackType::parse(name).filter(|kind| kind.is_subscribed()).ok_or_else(wrong);
        let types: BTreeSet<_> = names.into_iter().map(parse).collect::<Result<_, _>>()?;
        if types.is_empty() { Err(wrong()) } else { Ok(Self(types)) }
    }

    /// Those of a column; names of other releases are left out.
    pub fn from_stored(text: &str) -> Self {
        Self(text.split(',').filter_map(CallbackType::parse).collect())
    }

    /// As they stand in a column.
    pub fn to_stored(&self) -> String {
        self.names().collect::<Vec<_>>().join(",")
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|kind| kind.as_str())
    }

    /// Whether the endpoint is told of this.
    pub fn contains(&self, kind: CallbackType) -> bool {
        self.0.contains(&kind)
    }
}

/// Where an event for an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallbackStatus {
    /// It waits for its time.
    Pending,
    /// A relay is sending it.
    Sending,
    /// The endpoint took it.
    Done,
    /// All attempts failed, or it waited for too long.
    Failed,
    /// Its endpoint was deleted.
    Cancelled,
}

impl CallbackStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Sending, Self::Done, Self::Failed, Self::Cancelled];

    /// The name in bodies and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Parses a status' name.
    ///
    /// # Errors
    /// A text that is none.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == name);
        let expected = || format!("must be one of {}", Self::ALL.map(Self::as_str).join(", "));
        found.ok_or_else(|| Invalid::new("status", expected()))
    }
}

/// Why an attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackTrigger {
    /// It was its time.
    Schedule,
    /// The customer asked for this event again.
    Resend,
    /// The customer asked for all that had failed.
    Recover,
    /// The customer asked for a sign.
    Test,
}

impl CallbackTrigger {
    /// The name in bodies and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Resend => "resend",
            Self::Recover => "recover",
            Self::Test => "test",
        }
    }

    /// What an event's request says; without one, or one that only another release knows, it is the schedule.
    pub fn of_request(name: Option<&str>) -> Self {
        let requests = [Self::Resend, Self::Recover, Self::Test];
        requests.into_iter().find(|trigger| Some(trigger.as_str()) == name).unwrap_or(Self::Schedule)
    }
}

/// A name of ours with a prefix that tells of what: `<prefix>_` and 32 digits.
macro_rules! public_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// That of this UUID.
            pub fn from_uuid(id: Uuid) -> Self {
                Self(format!(concat!($prefix, "_{}"), id.simple()))
            }

            /// Parses what we gave out; `None` for anything else, of which there is none.
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.strip_prefix(concat!($prefix, "_"))?;
                let is_one = digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                is_one.then(|| Self(text.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

public_id!(
    /// An endpoint: `ep_...`.
    EndpointId,
    "ep"
);
public_id!(
    /// An event for an endpoint: `evt_...`, the same over all of its attempts.
    CallbackEventId,
    "evt"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_stored_as_they_are_named() {
        let types = CallbackTypes::parse(["message.failed", "message.done", "message.done"]).expect("types");
        assert_eq!(types.to_stored(), "message.done,message.failed");
        assert_eq!(CallbackTypes::from_stored("message.done,message.odd,message.failed"), types);
        assert!(types.contains(CallbackType::Done) && !types.contains(CallbackType::Delivered));
        assert!(CallbackTypes::all().to_stored().len() <= 200, "they fit the column");
        for wrong in [&[][..], &["message.odd"], &["endpoint.test"], &["message.done", ""]] {
            assert!(CallbackTypes::parse(wrong.iter().copied()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_have_a_prefix_and_32_digits() {
        let id = EndpointId::from_uuid(Uuid::from_u128(7));
        assert_eq!(EndpointId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(CallbackEventId::parse(id.as_str()), None);
        for wrong in ["", "ep_", "ep_0000000000000000000000000000000", "ep_0000000000000000000000000000000G"] {
            assert_eq!(EndpointId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_end_of_a_delivery_is_told() {
        let told = DeliveryStatus::ALL.map(|status| CallbackType::from(status).as_str());
        let undelivered = "message.undelivered";
        assert_eq!(told, ["message.delivered", undelivered, undelivered, undelivered, "message.delivery_unknown"]);
    }
}

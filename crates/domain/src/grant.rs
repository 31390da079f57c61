//! What a key allows, and to whom.

use std::fmt;

use crate::{CustomerId, Invalid, api_key::KeyKind, invisible::is_invisible};

/// Most characters of a key's name.
pub const MAX_KEY_NAME: usize = 100;

/// Highest limit of a key of its own, in requests a second.
pub const MAX_REQUESTS_PER_SECOND: u32 = 1_000_000;
/// Longest time that a key and the one in its place are both good, in seconds: a week.
pub const MAX_OVERLAP: u64 = 604_800;

/// One thing that a key may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// To send, to preview and to cancel.
    Send,
    /// To read balances and messages.
    Read,
    /// To manage callback endpoints.
    Callbacks,
    /// To add to balances: a customer must not make money.
    Topup,
    /// To manage keys and senders.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Send, Self::Read, Self::Callbacks, Self::Topup, Self::Admin];

    /// The name in bodies and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Callbacks => "callbacks",
            Self::Topup => "topup",
            Self::Admin => "admin",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// Whether only keys of the platform may have it.
    fn is_of_platform(self) -> bool {
        matches!(self, Self::Topup | Self::Admin)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// These.
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Reads the list of a request: 1 to 5 different names.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let wrong =
            || Invalid::new("scopes", "must be 1 to 5 different ones of send, read, callbacks, topup and admin");
        let mut scopes = Self(0);
        for name in names {
            let scope = Scope::parse(name).filter(|scope| !scopes.contains(*scope)).ok_or_else(wrong)?;
            scopes.0 |= scope.bit();
        }
        if scopes.0 == 0 { Err(wrong()) } else { Ok(scopes) }
    }

    /// Reads what [`to_text`](Self::to_text) wrote. What only a newer release knows allows nothing here.
    pub fn from_text(text: &str) -> Self {
        Self(text.split(',').filter_map(Scope::parse).fold(0, |bits, scope| bits | scope.bit()))
    }

    /// The names with commas between them, as the table has them.
    pub fn to_text(self) -> String {
        self.names().collect::<Vec<_>>().join(",")
    }

    /// Whether this one is among them.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Their names, in the order of [`Scope::ALL`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope)).map(Scope::as_str)
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// One customer's: it acts for no other.
    Tenant(CustomerId),
    /// The platform's: it names the customer in each request.
    Platform,
}

impl Owner {
    /// The owner as a request or a row names it.
    pub fn of(customer: Option<CustomerId>) -> Self {
        customer.map_or(Self::Platform, Self::Tenant)
    }

    /// The customer, if it is one's.
    pub fn customer(self) -> Option<CustomerId> {
        match self {
            Self::Tenant(customer) => Some(customer),
            Self::Platform => None,
        }
    }

    /// The kind of its keys.
    pub fn key_kind(self) -> KeyKind {
        match self {
            Self::Tenant(_) => KeyKind::Tenant,
            Self::Platform => KeyKind::Platform,
        }
    }
}

/// What a key allows: scopes that its owner may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    owner: Owner,
    scopes: Scopes,
}

impl Grant {
    /// These scopes for this owner.
    ///
    /// # Errors
    /// A customer may not have all of them.
    pub fn new(owner: Owner, scopes: Scopes) -> Result<Self, Invalid> {
        if Self::from_stored(owner, scopes).scopes == scopes {
            Ok(Self { owner, scopes })
        } else {
            Err(Invalid::new("scopes", "topup and admin belong to keys without customer_id"))
        }
    }

    /// What a row allows: where it says more than its owner may have, only that.
    pub fn from_stored(owner: Owner, scopes: Scopes) -> Self {
        let may_have = |scope: &Scope| owner == Owner::Platform || !scope.is_of_platform();
        let allowed: Vec<_> = Scope::ALL.into_iter().filter(|scope| scopes.contains(*scope)).filter(may_have).collect();
        Self { owner, scopes: Scopes::of(&allowed) }
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// What it allows.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }
}

/// What people call a key: 1 to 100 characters, one of them visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// Parses the name in a request.
    pub fn parse(name: String) -> Result<Self, Invalid> {
        let fits = name.chars().count() <= MAX_KEY_NAME && !name.chars().all(is_invisible);
        if fits && !name.contains(char::is_control) {
            Ok(Self(name))
        } else {
            let expected =
                format!("must have 1 to {MAX_KEY_NAME} characters, none of them a control character, and not be blank");
            Err(Invalid::new("name", expected))
        }
    }

    /// A name as it is stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> Owner {
        Owner::Tenant(CustomerId::try_from(1).expect("valid"))
    }

    #[test]
    fn a_list_of_scopes_has_different_known_names() {
        let all = ["admin", "send", "read", "callbacks", "topup"];
        assert_eq!(Scopes::parse(all), Ok(Scopes::of(&Scope::ALL)));
        for wrong in [&[] as &[&str], &["send", "send"], &["Send"], &["send,read"], &["everything"], &[""]] {
            let error = Scopes::parse(wrong.iter().copied()).expect_err("refused").to_string();
            assert!(error.starts_with("scopes must be 1 to 5 different ones"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn scopes_are_stored_as_text() {
        let scopes = Scopes::of(&[Scope::Read, Scope::Send]);
        assert_eq!(scopes.to_text(), "send,read");
        assert_eq!(Scopes::from_text("send,read"), scopes);
        assert_eq!(Scopes::from_text("read,teleport,send"), scopes, "a newer release's scope allows nothing");
        assert_eq!(Scopes::from_text(""), Scopes(0));
        assert!(Scopes::of(&Scope::ALL).to_text().len() <= 100, "the column's length");
    }

    #[test]
    fn a_customer_makes_no_money_and_no_keys() {
        for scope in [Scope::Topup, Scope::Admin] {
            let scopes = Scopes::of(&[Scope::Send, scope]);
            assert!(Grant::new(Owner::Platform, scopes).is_ok());
            let error = Grant::new(tenant(), scopes).expect_err("refused").to_string();
            assert_eq!(error, "scopes topup and admin belong to keys without customer_id");
            let stored = Grant::from_stored(tenant(), scopes);
            assert_eq!(stored.scopes(), Scopes::of(&[Scope::Send]), "whatever a row says");
        }
    }

    #[test]
    fn names_are_bounded_and_visible() {
        for wrong in [String::new(), "  ".into(), "\u{200b}".into(), "a\nb".into(), "x".repeat(101)] {
            assert!(KeyName::parse(wrong.clone()).is_err(), "{wrong:?} was taken");
        }
        assert!(KeyName::parse("ä".repeat(100)).is_ok());
    }
}

//! How operators that send receipts show who they are: `RECEIPT_SECRETS`.

use std::{collections::BTreeMap, sync::Arc};

use domain::{ApiKey, KeyHash, KeyKind};

use crate::Secret;

/// Operators that may be listed.
const MAX_OPERATORS: usize = 100;
/// Longest name of an operator, as where operators are configured.
const MAX_NAME: usize = 50;

/// What is accepted, for who wrote something else.
pub const ACCEPTED: &str = "name=secret,name=secret: names of operators in OPERATORS, each with a whsec_ secret (24 to 64 bytes in base64) or an mpr_ token (cargo xtask key --receipt makes one)";

/// How one operator shows who it is.
#[derive(Debug, Clone)]
pub enum OperatorSecret {
    /// It signs what it sends, as Standard Webhooks has it.
    Signed(Secret),
    /// It sends a token, of which this is the digest.
    Token(KeyHash),
}

/// The operators that send receipts, by their names. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OperatorSecrets(Arc<BTreeMap<String, OperatorSecret>>);

/// A list is none of those that are accepted. It does not repeat what it says, which is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry number {position} is not accepted")]
pub struct WrongSecrets {
    /// Place in the list, counted from 1.
    pub position: usize,
}

impl OperatorSecrets {
    /// The operators of a list `name=secret,name=secret`; none for an empty one.
    ///
    /// # Errors
    /// The first entry that is no name and secret, or whose name is there before.
    pub fn parse(list: &str) -> Result<Self, WrongSecrets> {
        let mut secrets = BTreeMap::new();
        for (place, entry) in list.split(',').enumerate().filter(|_| !list.trim().is_empty()) {
            let wrong = WrongSecrets { position: place + 1 };
            let (name, secret) = read(entry.trim()).filter(|_| place < MAX_OPERATORS).ok_or_else(|| wrong.clone())?;
            if secrets.insert(name, secret).is_some() {
                return Err(wrong);
            }
        }
        Ok(Self(Arc::new(secrets)))
    }

    /// How this operator shows who it is; `None` where it sends no receipts.
    pub fn of(&self, operator: &str) -> Option<&OperatorSecret> {
        self.0.get(operator)
    }

    /// Whether this operator sends receipts.
    pub fn has(&self, operator: &str) -> bool {
        self.0.contains_key(operator)
    }

    /// The operators, in the order of their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn read(entry: &str) -> Option<(String, OperatorSecret)> {
    let (name, secret) = entry.split_once('=')?;
    let (name, secret) = (name.trim(), secret.trim());
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_name = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed);
    let token = || ApiKey::parse(secret).filter(|key| key.kind() == KeyKind::Receipt);
    let signed = Secret::parse(secret).map(OperatorSecret::Signed);
    let secret = signed.or_else(|| token().map(|token| OperatorSecret::Token(token.hash())));
    secret.filter(|_| is_name).map(|secret| (name.to_owned(), secret))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const SIGNED: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn each_operator_has_its_secret() {
        let token = ApiKey::generate(KeyKind::Receipt, &mut StdRng::seed_from_u64(1));
        let secrets = OperatorSecrets::parse(&format!("a={SIGNED}, op.B-1={}", token.expose())).expect("accepted");
        assert_eq!(secrets.names().collect::<Vec<_>>(), ["a", "op.B-1"]);
        assert!(matches!(secrets.of("a"), Some(OperatorSecret::Signed(_))));
        assert!(matches!(secrets.of("op.B-1"), Some(OperatorSecret::Token(hash)) if hash.is(&token.hash())));
        assert!(secrets.of("c").is_none() && !secrets.has("c"));
        assert_eq!(OperatorSecrets::parse(" ").expect("none").names().count(), 0);
        assert!(!format!("{secrets:?}").contains("AAECAw"), "{secrets:?}");
    }

    #[test]
    fn wrong_lists_are_refused_by_their_place() {
        let tenants = ApiKey::generate(KeyKind::Tenant, &mut StdRng::seed_from_u64(1));
        for (wrong, position) in [
            ("a".to_owned(), 1),
            (format!("={SIGNED}"), 1),
            (format!("a b={SIGNED}"), 1),
            ("a=whsec_short".to_owned(), 1),
            (format!("a={SIGNED},"), 2),
            (format!("a={SIGNED},b=mpr_00"), 2),
            (format!("a={SIGNED},b={}", tenants.expose()), 2),
            (format!("a={SIGNED},a={SIGNED}"), 2),
        ] {
            let error = OperatorSecrets::parse(&wrong).expect_err(&wrong);
            assert_eq!(error, WrongSecrets { position });
        }
    }
}

//! Who sends and who receives.

use bytes::{BufMut as _, BytesMut};

use crate::fields::{Fields, Missing, put_text};

/// A number or a name, and how to understand it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// Type of number (table 5-3): 0 unknown, 1 international, 3 network specific, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan (table 5-4): 0 unknown, 1 ISDN (E.164).
    pub npi: u8,
    /// Without a `+`; at most 20 characters.
    pub address: String,
}

impl Address {
    /// A sender: one with a letter is a name, however it goes on (jookies/jasmin issue 1117); short numbers belong to
    /// the network. None leaves it to the SMSC.
    pub fn source(sender: &str) -> Self {
        if sender.is_empty() {
            return Self::default();
        }
        let digits = sender.strip_prefix('+').unwrap_or(sender);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (ton, npi) = match (is_number, sender.starts_with('+')) {
            (false, _) => (5, 0),
            (true, false) if digits.len() <= 6 => (3, 0),
            (true, _) => (1, 1),
        };
        Self { ton, npi, address: if is_number { digits } else { sender }.to_owned() }
    }

    /// A recipient: with a `+` an international number, otherwise one that the SMSC knows how to read.
    pub fn destination(recipient: &str) -> Self {
        match recipient.strip_prefix('+') {
            Some(digits) => Self { ton: 1, npi: 1, address: digits.to_owned() },
            None => Self { ton: 0, npi: 1, address: recipient.to_owned() },
        }
    }

    pub(crate) fn read(fields: &mut Fields, name: Missing) -> Result<Self, Missing> {
        Ok(Self { ton: fields.byte(name)?, npi: fields.byte(name)?, address: fields.text(name)? })
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.ton);
        out.put_u8(self.npi);
        put_text(out, &self.address);
    }
}

impl std::fmt::Debug for Address {
    /// Without the number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({}/{})", self.ton, self.npi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &Address) -> String {
        format!("{}/{} {}", address.ton, address.npi, address.address)
    }

    #[test]
    fn senders_are_names_numbers_and_short_numbers() {
        for (sender, expected) in [
            ("BANK", "5/0 BANK"),
            ("4Youth", "5/0 4Youth"),
            ("1-800 HELP", "5/0 1-800 HELP"),
            ("+4915112345678", "1/1 4915112345678"),
            ("4915112345678", "1/1 4915112345678"),
            ("1234567", "1/1 1234567"),
            ("72001", "3/0 72001"),
            ("+12345", "1/1 12345"),
        ] {
            assert_eq!(told(&Address::source(sender)), expected);
        }
    }

    #[test]
    fn no_sender_leaves_it_to_the_smsc() {
        assert_eq!(told(&Address::source("")), "0/0 ");
    }

    #[test]
    fn recipients_lose_their_plus() {
        assert_eq!(told(&Address::destination("+989128582812")), "1/1 989128582812");
        assert_eq!(told(&Address::destination("09128582812")), "0/1 09128582812");
    }
}

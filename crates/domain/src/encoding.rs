//! The characters that a text goes over the air in.
//!
//! GSM 03.38 (3GPP TS 23.038): the basic table, and an extension whose characters take two septets, an escape and their own. National
//! tables are left out: what handsets and operators make of them is not known, and nobody bills by them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// What a text goes over the air in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// GSM 03.38, in septets.
    Gsm7,
    /// UTF-16BE.
    Ucs2,
}

impl Encoding {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Gsm7, Self::Ucs2];

    /// The name in bodies and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }

    /// The encoding of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.as_str() == name)
    }

    /// Units of a text that is one part, and of each part where there are more: a header takes six octets of those.
    pub(crate) fn limits(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }

    /// Units that a character takes; `None` where it cannot be carried.
    pub(crate) fn units(self, character: char) -> Option<usize> {
        match self {
            Self::Gsm7 => septets(character),
            Self::Ucs2 => Some(character.len_utf16()),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EncodingChoice {
    /// GSM 7 where that can carry the text, otherwise UCS-2.
    #[default]
    Auto,
    /// GSM 7, or to be refused.
    Gsm7,
    /// UCS-2.
    Ucs2,
}

impl EncodingChoice {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Gsm7, Self::Ucs2];

    /// The name in bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }

    /// Parses a choice's name.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|choice| choice.as_str() == name);
        found.ok_or_else(|| Invalid::new("encoding", "must be auto, gsm7 or ucs2"))
    }
}

impl From<Encoding> for EncodingChoice {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Gsm7 => Self::Gsm7,
            Encoding::Ucs2 => Self::Ucs2,
        }
    }
}

/// Septets of each character of ASCII; 0 where GSM 03.38 lacks it.
const ASCII: [u8; 128] = {
    let mut septets = [0; 128];
    let mut character = 0x20;
    while character < 0x7f {
        septets[character] = 1;
        character += 1;
    }
    septets[b'\n' as usize] = 1;
    septets[b'\r' as usize] = 1;
    septets[b'`' as usize] = 0;
    let escaped = b"\x0c^{}\\[~]|";
    let mut place = 0;
    while place < escaped.len() {
        septets[escaped[place] as usize] = 2;
        place += 1;
    }
    septets
};

/// What the basic table has beyond ASCII.
const BEYOND_ASCII: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";

/// Septets that a character takes in GSM 03.38; `None` where it is in neither table.
pub(crate) fn septets(character: char) -> Option<usize> {
    let septets = match ASCII.get(character as usize) {
        Some(septets) => usize::from(*septets),
        None if character == '€' => 2,
        None => usize::from(BEYOND_ASCII.contains(character)),
    };
    (septets > 0).then_some(septets)
}

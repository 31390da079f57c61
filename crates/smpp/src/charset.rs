//! Characters as octets (section 5.2.19; GSM 03.38 is 3GPP TS 23.038).

/// What the octets of a text are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// GSM 03.38, one septet in each octet.
    Gsm0338,
    /// ISO 8859-1.
    Latin1,
    /// ASCII, for SMSCs where that is what `data_coding` 0 means.
    Ascii,
    /// UTF-16BE.
    Ucs2,
}

/// The basic table in the order of its codes. What is escaped stands at 0x1B.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', 'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω',
    'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+',
    ',', '-', '.', '/', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', '¡', 'A', 'B',
    'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y',
    'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p',
    'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// Before a code of the extension.
const ESCAPE: u8 = 0x1B;

/// The extension: characters and their codes after an escape.
const EXTENSION: [(char, u8); 10] = [
    ('\u{c}', 0x0A),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2F),
    ('[', 0x3C),
    ('~', 0x3D),
    (']', 0x3E),
    ('|', 0x40),
    ('€', 0x65),
];

/// The code of a character in GSM 03.38, and whether an escape comes before it.
fn gsm(character: char) -> Option<(u8, bool)> {
    if character == '\u{1b}' {
        return None;
    }
    // Most of ASCII has its own code.
    let own = usize::try_from(u32::from(character)).ok().filter(|code| BASIC.get(*code) == Some(&character));
    let basic = own.or_else(|| BASIC.iter().position(|known| *known == character));
    let extended = || EXTENSION.iter().find(|(known, _)| *known == character).map(|(_, code)| (*code, true));
    basic.and_then(|code| u8::try_from(code).ok()).map(|code| (code, false)).or_else(extended)
}

impl Charset {
    /// What an SMSC is told of it.
    pub fn data_coding(self) -> u8 {
        match self {
            Self::Gsm0338 | Self::Ascii => 0,
            Self::Latin1 => 3,
            Self::Ucs2 => 8,
        }
    }

    /// Appends a character; `false`, and nothing is appended, where it has none.
    pub fn encode(self, character: char, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Gsm0338 => match gsm(character) {
                Some((code, is_escaped)) => {
                    out.extend(is_escaped.then_some(ESCAPE));
                    out.push(code);
                }
                None => return false,
            },
            Self::Latin1 => match u8::try_from(character) {
                Ok(octet) => out.push(octet),
                Err(_) => return false,
            },
            Self::Ascii if character.is_ascii() => out.push(character as u8),
            Self::Ascii => return false,
            Self::Ucs2 => out.extend(character.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes())),
        }
        true
    }

    /// Reads octets as text; what is none is U+FFFD.
    pub fn decode(self, octets: &[u8]) -> String {
        match self {
            Self::Gsm0338 => decode_gsm(octets),
            Self::Latin1 => octets.iter().copied().map(char::from).collect(),
            Self::Ascii => String::from_utf8_lossy(octets).into_owned(),
            Self::Ucs2 => {
                let (pairs, rest) = octets.as_chunks::<2>();
                let mut text =
                    String::from_utf16_lossy(&pairs.iter().copied().map(u16::from_be_bytes).collect::<Vec<_>>());
                text.extend((!rest.is_empty()).then_some(char::REPLACEMENT_CHARACTER));
                text
            }
        }
    }

    /// Units of a text that a message carries, by which it is cut: septets of GSM 03.38 (those that the handset gets),
    /// or of UTF-16.
    pub(crate) fn units(self, character: char) -> usize {
        match self {
            Self::Ucs2 => character.len_utf16(),
            _ => gsm(character).map_or(1, |(_, is_escaped)| if is_escaped { 2 } else { 1 }),
        }
    }
}

fn decode_gsm(octets: &[u8]) -> String {
    let mut text = String::new();
    let mut octets = octets.iter();
    while let Some(octet) = octets.next() {
        let character = match *octet {
            ESCAPE => octets.next().and_then(|code| EXTENSION.iter().find(|(_, known)| known == code)).map(|(c, _)| *c),
            code => BASIC.get(usize::from(code)).copied(),
        };
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Whether GSM 03.38 has all of these characters.
pub(crate) fn is_gsm(text: &str) -> bool {
    text.chars().all(|character| gsm(character).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(charset: Charset, text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        text.chars().all(|character| charset.encode(character, &mut out)).then_some(out)
    }

    #[test]
    fn characters_have_the_codes_of_their_tables() {
        assert_eq!(
            encoded(Charset::Gsm0338, "@a_€[\nà"),
            Some(vec![0, b'a', 0x11, 0x1B, 0x65, 0x1B, 0x3C, 0x0A, 0x7F])
        );
        assert_eq!(encoded(Charset::Latin1, "@a_é"), Some(vec![b'@', b'a', b'_', 0xE9]));
        assert_eq!(encoded(Charset::Ascii, "@a["), Some(b"@a[".to_vec()));
        assert_eq!(encoded(Charset::Ucs2, "س😀"), Some(vec![0x06, 0x33, 0xD8, 0x3D, 0xDE, 0x00]));
    }

    #[test]
    fn what_a_table_lacks_is_not_replaced() {
        for (charset, lacking) in
            [(Charset::Gsm0338, "`"), (Charset::Gsm0338, "\u{1b}"), (Charset::Latin1, "€"), (Charset::Ascii, "é")]
        {
            assert_eq!(encoded(charset, lacking), None, "{charset:?}");
        }
    }

    #[test]
    fn octets_are_read_again() {
        let all: String = BASIC.iter().filter(|character| **character != '\u{1b}').collect();
        let all = all + &EXTENSION.iter().map(|(character, _)| *character).collect::<String>();
        assert_eq!(Charset::Gsm0338.decode(&encoded(Charset::Gsm0338, &all).expect("all of it")), all);
        assert_eq!(Charset::Gsm0338.decode(&[0x1B, 0x00, 0x1B]), "\u{FFFD}\u{FFFD}");
        assert_eq!(Charset::Ucs2.decode(&[0x06, 0x33, 0x41]), "س\u{FFFD}");
    }
}

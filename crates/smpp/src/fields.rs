//! The fields of a body: read one after the other, written one after the other.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Why a body could not be read.
pub(crate) type Missing = &'static str;

/// What is left of a body.
pub(crate) struct Fields(pub(crate) Bytes);

impl Fields {
    pub(crate) fn byte(&mut self, name: Missing) -> Result<u8, Missing> {
        if self.0.is_empty() { Err(name) } else { Ok(self.0.get_u8()) }
    }

    /// A text that ends with a zero byte. Each byte is one character: what an SMSC means by those above ASCII is not
    /// known, and nothing is lost in this way.
    pub(crate) fn text(&mut self, name: Missing) -> Result<String, Missing> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(name)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        Ok(text.iter().copied().map(char::from).collect())
    }

    /// The same where the zero byte may be missing, or all of it.
    pub(crate) fn last_text(&mut self) -> String {
        self.text("").unwrap_or_else(|_| std::mem::take(&mut self.0).iter().copied().map(char::from).collect())
    }

    pub(crate) fn octets(&mut self, length: usize, name: Missing) -> Result<Bytes, Missing> {
        if self.0.len() < length { Err(name) } else { Ok(self.0.split_to(length)) }
    }
}

/// Writes a text with its zero byte. A character that is no byte is a question mark; one that would end the text is
/// left out.
pub(crate) fn put_text(out: &mut BytesMut, text: &str) {
    for character in text.chars().filter(|character| *character != '\0') {
        out.put_u8(u8::try_from(character).unwrap_or(b'?'));
    }
    out.put_u8(0);
}

//! Optional parameters: tag, length, value.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::fields::Fields;

/// Most that are kept of one PDU; those after them are ignored.
const MAX_KEPT: usize = 64;

/// Tags of optional parameters (table 5-7).
pub mod tag {
    /// Id of the message that a receipt is about.
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
    /// A number that the parts of a message have in common.
    pub const SAR_MSG_REF_NUM: u16 = 0x020C;
    /// How many parts a message has.
    pub const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
    /// Which part this is, from 1.
    pub const SAR_SEGMENT_SEQNUM: u16 = 0x020F;
    /// The version that an SMSC speaks.
    pub const SC_INTERFACE_VERSION: u16 = 0x0210;
    /// Why the network did not deliver.
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    /// A text of any length.
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    /// What became of a message.
    pub const MESSAGE_STATE: u16 = 0x0427;
}

/// An optional parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Tlv {
    /// Which one.
    pub tag: u16,
    /// Its value, at most 65,535 bytes.
    pub value: Bytes,
}

impl Tlv {
    /// One with these bytes.
    pub fn new(tag: u16, value: impl Into<Bytes>) -> Self {
        Self { tag, value: value.into() }
    }

    /// All that can be read: the first that is cut short ends them.
    pub(crate) fn read_all(fields: &mut Fields) -> Vec<Self> {
        let mut tlvs = Vec::new();
        while tlvs.len() < MAX_KEPT {
            let Some([tag_high, tag_low, high, low]) = fields.0.first_chunk::<4>().copied() else { break };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if fields.0.len() < 4 + length {
                break;
            }
            let value = fields.0.split_to(4 + length).slice(4..);
            tlvs.push(Self { tag: u16::from_be_bytes([tag_high, tag_low]), value });
        }
        tlvs
    }

    /// Appends it. A value that is too long for its length is cut to what that can say.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let length = u16::try_from(self.value.len()).unwrap_or(u16::MAX);
        out.put_u16(self.tag);
        out.put_u16(length);
        out.extend_from_slice(&self.value[..usize::from(length)]);
    }
}

/// The value of the first of these with this tag.
pub(crate) fn value(tlvs: &[Tlv], tag: u16) -> Option<&Bytes> {
    tlvs.iter().find(|tlv| tlv.tag == tag).map(|tlv| &tlv.value)
}

impl std::fmt::Debug for Tlv {
    /// Without the value, which may be a text or a number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tlv({:#06x}, {} bytes)", self.tag, self.value.len())
    }
}

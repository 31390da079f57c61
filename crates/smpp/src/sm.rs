//! Short messages: what `submit_sm`, `deliver_sm` and `data_sm` carry.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::{
    Address,
    fields::{Fields, Missing, put_text},
    tlv::{self, Tlv, tag},
};

/// Longest text outside of a TLV, in octets.
const MAX_SHORT_MESSAGE: usize = 254;

/// Bits of `esm_class` (section 5.2.12).
pub mod esm {
    /// The text begins with a header of user data.
    pub const UDHI: u8 = 0x40;
    /// It is a receipt.
    pub const RECEIPT: u8 = 0x04;
    /// Where it says what kind of message this is.
    pub const KIND: u8 = 0x3C;
}

/// The body of `submit_sm` and `deliver_sm`, which is the same.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sm {
    /// Mostly empty.
    pub service_type: String,
    /// From whom.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// Kind and mode, see [`esm`].
    pub esm_class: u8,
    /// 0 but for special handsets.
    pub protocol_id: u8,
    /// 0 to 3.
    pub priority: u8,
    /// When it is to be delivered; empty for at once.
    pub schedule_delivery_time: String,
    /// Until when it may be delivered ([`relative`](crate::relative), [`absolute`](crate::absolute)); empty for as long
    /// as the SMSC likes.
    pub validity_period: String,
    /// Which receipts are asked for: 0 none, 1 of its end, 2 of its end where it is not delivered.
    pub registered_delivery: u8,
    /// Whether it replaces one that waits.
    pub replace_if_present: u8,
    /// What its octets are, see [`Charset::data_coding`](crate::Charset::data_coding).
    pub data_coding: u8,
    /// A text of the SMSC's own.
    pub sm_default_msg_id: u8,
    /// The text, with its header where [`esm::UDHI`] is set. What is longer than 254 octets is written as
    /// `message_payload`.
    pub short_message: Bytes,
    /// What else there is.
    pub tlvs: Vec<Tlv>,
}

impl Sm {
    /// The octets of the text, wherever they are.
    pub fn octets(&self) -> &Bytes {
        text_of(&self.short_message, &self.tlvs)
    }

    pub(crate) fn read(fields: &mut Fields) -> Result<Self, Missing> {
        let mut sm = Self {
            service_type: fields.text("service_type")?,
            source: Address::read(fields, "source_addr")?,
            destination: Address::read(fields, "destination_addr")?,
            esm_class: fields.byte("esm_class")?,
            protocol_id: fields.byte("protocol_id")?,
            priority: fields.byte("priority_flag")?,
            schedule_delivery_time: fields.text("schedule_delivery_time")?,
            validity_period: fields.text("validity_period")?,
            registered_delivery: fields.byte("registered_delivery")?,
            replace_if_present: fields.byte("replace_if_present_flag")?,
            data_coding: fields.byte("data_coding")?,
            sm_default_msg_id: fields.byte("sm_default_msg_id")?,
            ..Self::default()
        };
        let length = usize::from(fields.byte("sm_length")?);
        sm.short_message = fields.octets(length, "short_message")?;
        sm.tlvs = Tlv::read_all(fields);
        Ok(sm)
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        put_text(out, &self.service_type);
        self.source.write(out);
        self.destination.write(out);
        out.extend_from_slice(&[self.esm_class, self.protocol_id, self.priority]);
        put_text(out, &self.schedule_delivery_time);
        put_text(out, &self.validity_period);
        let Self { registered_delivery, replace_if_present, data_coding, sm_default_msg_id, .. } = self;
        out.extend_from_slice(&[*registered_delivery, *replace_if_present, *data_coding, *sm_default_msg_id]);
        match u8::try_from(self.short_message.len()) {
            Ok(length) if self.short_message.len() <= MAX_SHORT_MESSAGE => {
                out.put_u8(length);
                out.extend_from_slice(&self.short_message);
            }
            _ => {
                out.put_u8(0);
                Tlv::new(tag::MESSAGE_PAYLOAD, self.short_message.clone()).write(out);
            }
        }
        self.tlvs.iter().for_each(|tlv| tlv.write(out));
    }
}

impl std::fmt::Debug for Sm {
    /// Without numbers and text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sm")
            .field("esm_class", &self.esm_class)
            .field("data_coding", &self.data_coding)
            .field("octets", &self.octets().len())
            .finish_non_exhaustive()
    }
}

/// The body of `data_sm`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DataSm {
    /// Mostly empty.
    pub service_type: String,
    /// From whom.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// Kind and mode, see [`esm`].
    pub esm_class: u8,
    /// Which receipts are asked for.
    pub registered_delivery: u8,
    /// What its octets are.
    pub data_coding: u8,
    /// The text, and what else there is.
    pub tlvs: Vec<Tlv>,
}

impl DataSm {
    /// The octets of the text.
    pub fn octets(&self) -> &Bytes {
        text_of(&EMPTY, &self.tlvs)
    }

    pub(crate) fn read(fields: &mut Fields) -> Result<Self, Missing> {
        Ok(Self {
            service_type: fields.text("service_type")?,
            source: Address::read(fields, "source_addr")?,
            destination: Address::read(fields, "destination_addr")?,
            esm_class: fields.byte("esm_class")?,
            registered_delivery: fields.byte("registered_delivery")?,
            data_coding: fields.byte("data_coding")?,
            tlvs: Tlv::read_all(fields),
        })
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        put_text(out, &self.service_type);
        self.source.write(out);
        self.destination.write(out);
        out.extend_from_slice(&[self.esm_class, self.registered_delivery, self.data_coding]);
        self.tlvs.iter().for_each(|tlv| tlv.write(out));
    }
}

impl std::fmt::Debug for DataSm {
    /// Without numbers and text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataSm")
            .field("esm_class", &self.esm_class)
            .field("data_coding", &self.data_coding)
            .field("octets", &self.octets().len())
            .finish_non_exhaustive()
    }
}

static EMPTY: Bytes = Bytes::new();

fn text_of<'a>(short_message: &'a Bytes, tlvs: &'a [Tlv]) -> &'a Bytes {
    if !short_message.is_empty() {
        return short_message;
    }
    tlv::value(tlvs, tag::MESSAGE_PAYLOAD).unwrap_or(short_message)
}

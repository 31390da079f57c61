//! The PDUs of eight operations, and reading and writing them.

use bytes::{BufMut as _, BytesMut};

use crate::{
    DataSm, Frame, HEADER_LENGTH, Header, Sm, Status,
    fields::{Fields, Missing, put_text},
    tlv::Tlv,
};

/// What answers have set in their command.
const RESPONSE: u32 = 0x8000_0000;
const GENERIC_NACK: u32 = RESPONSE;
const OUTBIND: u32 = 0x0B;
const ALERT_NOTIFICATION: u32 = 0x102;
const SUBMIT_SM: u32 = 0x04;
const DELIVER_SM: u32 = 0x05;
const UNBIND: u32 = 0x06;
const ENQUIRE_LINK: u32 = 0x15;
const DATA_SM: u32 = 0x103;

/// A PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// How a request went; [`Status::OK`] in requests.
    pub status: Status,
    /// What an answer has in common with its request: 1 to 0x7FFFFFFF.
    pub sequence: u32,
    /// What it says.
    pub body: Body,
}

/// What a PDU says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A client wants a session.
    Bind(BindMode, Bind),
    /// Whether it has one.
    BindResp(BindMode, BindResp),
    /// A message to be delivered.
    SubmitSm(Box<Sm>),
    /// Whether the SMSC took it.
    SubmitSmResp(Response),
    /// A receipt, or a message from a handset.
    DeliverSm(Box<Sm>),
    /// Whether the client took it.
    DeliverSmResp(Response),
    /// A message or receipt in another form.
    DataSm(Box<DataSm>),
    /// Whether it was taken.
    DataSmResp(Response),
    /// Whether somebody is there.
    EnquireLink,
    /// Somebody is.
    EnquireLinkResp,
    /// The session is to end.
    Unbind,
    /// It ends.
    UnbindResp,
    /// A PDU was not understood.
    GenericNack,
}

/// In which directions messages go on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindMode {
    /// From the SMSC to the client.
    Receiver,
    /// From the client to the SMSC.
    Transmitter,
    /// Both.
    Transceiver,
}

impl BindMode {
    const ALL: [Self; 3] = [Self::Receiver, Self::Transmitter, Self::Transceiver];

    fn command(self) -> u32 {
        match self {
            Self::Receiver => 0x01,
            Self::Transmitter => 0x02,
            Self::Transceiver => 0x09,
        }
    }
}

/// Who wants a session.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bind {
    /// The user, at most 15 characters.
    pub system_id: String,
    /// Its secret; 3.4 has 8 characters, SMSCs take more.
    pub password: String,
    /// What kind of client it is; mostly empty.
    pub system_type: String,
    /// The version that it speaks: 0x34.
    pub interface_version: u8,
    /// Type of number of the addresses that it serves.
    pub addr_ton: u8,
    /// Numbering plan of these.
    pub addr_npi: u8,
    /// The addresses; mostly empty.
    pub address_range: String,
}

impl std::fmt::Debug for Bind {
    /// Without user and secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bind").field("interface_version", &self.interface_version).finish_non_exhaustive()
    }
}

/// Who gives a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BindResp {
    /// The SMSC's name.
    pub system_id: String,
    /// What else it says.
    pub tlvs: Vec<Tlv>,
}

/// An answer about a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// What the SMSC calls it; empty where it does not say, and in answers of clients.
    pub message_id: String,
}

/// A PDU whose body is none, or of an operation that is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PDU of command {:#010x} cannot be read: {why}", header.command)]
pub struct Unreadable {
    /// The PDU.
    pub header: Header,
    why: &'static str,
    is_known: bool,
}

impl Unreadable {
    /// What is to be answered, if anything: to a request that is known that it failed, to another one that it is not; to none that has no
    /// answer in the protocol.
    pub fn answer(&self) -> Option<Pdu> {
        let Header { command, sequence, .. } = self.header;
        if command & RESPONSE != 0 || [OUTBIND, ALERT_NOTIFICATION].contains(&command) {
            return None;
        }
        let body = match command {
            SUBMIT_SM => Body::SubmitSmResp(Response::default()),
            DELIVER_SM => Body::DeliverSmResp(Response::default()),
            DATA_SM => Body::DataSmResp(Response::default()),
            _ => Body::GenericNack,
        };
        let status = if self.is_known { Status::SYSTEM_ERROR } else { Status::INVALID_COMMAND };
        Some(Pdu { status, sequence, body })
    }
}

impl Pdu {
    /// A request.
    pub fn request(sequence: u32, body: Body) -> Self {
        Self { status: Status::OK, sequence, body }
    }

    /// An answer to the request of this number.
    pub fn response(sequence: u32, status: Status, body: Body) -> Self {
        Self { status, sequence, body }
    }

    /// Reads a PDU. Answers can always be read: what is missing of them is taken to be empty.
    ///
    /// # Errors
    /// The operation is not known here, or a request lacks a field.
    pub fn read(frame: Frame) -> Result<Self, Unreadable> {
        let Frame { header, body } = frame;
        let Header { command, status, sequence } = header;
        match read_body(command, Fields(body)) {
            Some(Ok(body)) => Ok(Self { status: Status(status), sequence, body }),
            Some(Err(field)) => Err(Unreadable { header, why: field, is_known: true }),
            None => Err(Unreadable { header, why: "no such operation is known", is_known: false }),
        }
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_u32(0);
        out.put_u32(self.body.command());
        out.put_u32(self.status.0);
        out.put_u32(self.sequence);
        self.body.write(self.status, out);
        let length = u32::try_from(out.len() - start).expect("PDUs are far shorter than 4 GiB");
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(4 * HEADER_LENGTH);
        self.write(&mut out);
        out
    }
}

/// The body of this command; `None` where that is not known.
fn read_body(command: u32, mut fields: Fields) -> Option<Result<Body, Missing>> {
    let fields = &mut fields;
    let response = |fields: &mut Fields| Response { message_id: fields.last_text() };
    Some(Ok(match command {
        GENERIC_NACK => Body::GenericNack,
        UNBIND => Body::Unbind,
        ENQUIRE_LINK => Body::EnquireLink,
        SUBMIT_SM => return Some(Sm::read(fields).map(|sm| Body::SubmitSm(Box::new(sm)))),
        DELIVER_SM => return Some(Sm::read(fields).map(|sm| Body::DeliverSm(Box::new(sm)))),
        DATA_SM => return Some(DataSm::read(fields).map(|sm| Body::DataSm(Box::new(sm)))),
        _ => {
            let mode = BindMode::ALL.into_iter().find(|mode| mode.command() == command & !RESPONSE);
            match (command & !RESPONSE, mode) {
                (_, Some(mode)) if command & RESPONSE == 0 => {
                    return Some(Bind::read(fields).map(|bind| Body::Bind(mode, bind)));
                }
                (_, Some(mode)) => Body::BindResp(mode, BindResp::read(fields)),
                (UNBIND, _) => Body::UnbindResp,
                (ENQUIRE_LINK, _) => Body::EnquireLinkResp,
                (SUBMIT_SM, _) => Body::SubmitSmResp(response(fields)),
                (DELIVER_SM, _) => Body::DeliverSmResp(response(fields)),
                (DATA_SM, _) => Body::DataSmResp(response(fields)),
                _ => return None,
            }
        }
    }))
}

impl Body {
    fn command(&self) -> u32 {
        match self {
            Self::Bind(mode, _) => mode.command(),
            Self::BindResp(mode, _) => RESPONSE | mode.command(),
            Self::SubmitSm(_) => SUBMIT_SM,
            Self::SubmitSmResp(_) => RESPONSE | SUBMIT_SM,
            Self::DeliverSm(_) => DELIVER_SM,
            Self::DeliverSmResp(_) => RESPONSE | DELIVER_SM,
            Self::DataSm(_) => DATA_SM,
            Self::DataSmResp(_) => RESPONSE | DATA_SM,
            Self::EnquireLink => ENQUIRE_LINK,
            Self::EnquireLinkResp => RESPONSE | ENQUIRE_LINK,
            Self::Unbind => UNBIND,
            Self::UnbindResp => RESPONSE | UNBIND,
            Self::GenericNack => GENERIC_NACK,
        }
    }

    fn write(&self, status: Status, out: &mut BytesMut) {
        match self {
            Self::Bind(_, bind) => bind.write(out),
            // What was refused has no body.
            Self::BindResp(..) | Self::SubmitSmResp(_) if status != Status::OK => {}
            Self::BindResp(_, resp) => {
                put_text(out, &resp.system_id);
                resp.tlvs.iter().for_each(|tlv| tlv.write(out));
            }
            Self::SubmitSm(sm) | Self::DeliverSm(sm) => sm.write(out),
            Self::DataSm(sm) => sm.write(out),
            Self::SubmitSmResp(resp) | Self::DeliverSmResp(resp) | Self::DataSmResp(resp) => {
                put_text(out, &resp.message_id);
            }
            Self::EnquireLink | Self::EnquireLinkResp | Self::Unbind | Self::UnbindResp | Self::GenericNack => {}
        }
    }
}

impl Bind {
    fn read(fields: &mut Fields) -> Result<Self, Missing> {
        Ok(Self {
            system_id: fields.text("system_id")?,
            password: fields.text("password")?,
            system_type: fields.text("system_type")?,
            interface_version: fields.byte("interface_version")?,
            addr_ton: fields.byte("addr_ton")?,
            addr_npi: fields.byte("addr_npi")?,
            address_range: fields.text("address_range")?,
        })
    }

    fn write(&self, out: &mut BytesMut) {
        put_text(out, &self.system_id);
        put_text(out, &self.password);
        put_text(out, &self.system_type);
        out.extend_from_slice(&[self.interface_version, self.addr_ton, self.addr_npi]);
        put_text(out, &self.address_range);
    }
}

impl BindResp {
    fn read(fields: &mut Fields) -> Self {
        Self { system_id: fields.last_text(), tlvs: Tlv::read_all(fields) }
    }
}

//! The same PDUs as `rusmpp` has them: made of ours, and ours of them, field by field.

use bytes::{BufMut as _, Bytes, BytesMut};
use rusmpp::{
    Command, CommandStatus, Pdu as TheirPdu,
    decode::{DecodeError, DecodeWithLength as _},
    encode::{Length as _, owned::Encode as _},
    pdus::{
        BindReceiver, BindReceiverResp, BindTransceiver, BindTransceiverResp, BindTransmitter, BindTransmitterResp,
        DataSm as TheirDataSm, DataSmResp, DeliverSm, DeliverSmResp, SubmitSm, SubmitSmResp,
    },
    tlvs::{MessageDeliveryRequestTlvValue, MessageSubmissionRequestTlvValue, Tlv as TheirTlv, TlvTag, TlvValue},
    types::{AnyOctetString, COctetString, EmptyOrFullCOctetString, OctetString},
    values::{
        DataCoding, ErrorCodeNetworkType, EsmClass, InterfaceVersion, MessagePayload, MessageState, NetworkErrorCode,
        Npi, PriorityFlag, RegisteredDelivery, ReplaceIfPresentFlag, ServiceType, Ton,
    },
};
use smpp::{Address, Bind, BindMode, BindResp, Body, DataSm, Pdu, Response, Sm, Status, Tlv, tag};

/// What `rusmpp` writes.
pub(crate) fn write(command: &Command) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u32(u32::try_from(4 + command.length()).expect("short"));
    command.encode(&mut bytes);
    bytes
}

/// What `rusmpp` reads of the bytes of one PDU.
pub(crate) fn read(bytes: &[u8]) -> Result<Command, DecodeError> {
    let mut rest = BytesMut::from(&bytes[4..]);
    Command::decode(&mut rest, bytes.len() - 4).map(|(command, _)| command)
}

fn c<const MIN: usize, const MAX: usize>(text: &str) -> COctetString<MIN, MAX> {
    COctetString::from_string(text.to_owned()).expect("within its limits")
}

fn time(text: &str) -> EmptyOrFullCOctetString<17> {
    EmptyOrFullCOctetString::from_string(text.to_owned()).expect("none or a whole one")
}

fn any(value: &Bytes) -> AnyOctetString {
    AnyOctetString::from_bytes(value.clone())
}

fn number(value: &Bytes) -> u16 {
    u16::from_be_bytes([value[0], value[1]])
}

/// A value of the kind `$kind` with those types that it has; others are written as they are.
macro_rules! their_tlv {
    ($kind:ident, $tlv:expr $(, $tag:path => $value:expr)*) => {{
        let Tlv { tag, value } = $tlv;
        match *tag {
            tag::MESSAGE_PAYLOAD => $kind::MessagePayload(MessagePayload::new(any(value))),
            tag::SAR_MSG_REF_NUM => $kind::SarMsgRefNum(number(value)),
            tag::SAR_TOTAL_SEGMENTS => $kind::SarTotalSegments(value[0]),
            tag::SAR_SEGMENT_SEQNUM => $kind::SarSegmentSeqnum(value[0]),
            $($tag => $value(value),)*
            other => $kind::Other { tag: TlvTag::from(other), value: any(value) },
        }
    }};
}

fn submission_tlv(tlv: &Tlv) -> MessageSubmissionRequestTlvValue {
    their_tlv!(MessageSubmissionRequestTlvValue, tlv)
}

fn delivery_tlv(tlv: &Tlv) -> MessageDeliveryRequestTlvValue {
    use MessageDeliveryRequestTlvValue as Value;
    let id = |value: &Bytes| Value::ReceiptedMessageId(COctetString::from_bytes(value.clone()).expect("short"));
    let error = |value: &Bytes| {
        NetworkErrorCode::new(ErrorCodeNetworkType::from(value[0]), u16::from_be_bytes([value[1], value[2]]))
    };
    their_tlv!(
        Value, tlv,
        tag::RECEIPTED_MESSAGE_ID => id,
        tag::MESSAGE_STATE => |value: &Bytes| Value::MessageState(MessageState::from(value[0])),
        tag::NETWORK_ERROR_CODE => |value: &Bytes| Value::NetworkErrorCode(error(value))
    )
}

macro_rules! their_bind {
    ($kind:ident, $bind:expr) => {{
        let bind = $bind;
        let names = $kind::builder().system_id(c(&bind.system_id)).password(c(&bind.password));
        let names = names.system_type(c(&bind.system_type)).address_range(c(&bind.address_range));
        let version = InterfaceVersion::from(bind.interface_version);
        let numbers = names.addr_ton(Ton::from(bind.addr_ton)).addr_npi(Npi::from(bind.addr_npi));
        TheirPdu::from(numbers.interface_version(version).build())
    }};
}

macro_rules! their_bind_resp {
    ($kind:ident, $resp:expr) => {{
        let resp = $resp;
        let version = resp.tlvs.first().map(|tlv| InterfaceVersion::from(tlv.value[0]));
        TheirPdu::from($kind::new(c(&resp.system_id), version))
    }};
}

/// What `submit_sm`, `deliver_sm` and `data_sm` have in common.
macro_rules! their_message {
    ($kind:ident, $sm:expr, $tlv:path) => {{
        let sm = $sm;
        let of_whom = $kind::builder().service_type(ServiceType::new(c(&sm.service_type)));
        let from = of_whom.source_addr_ton(Ton::from(sm.source.ton)).source_addr_npi(Npi::from(sm.source.npi));
        let to = from.source_addr(c(&sm.source.address)).dest_addr_ton(Ton::from(sm.destination.ton));
        let to = to.dest_addr_npi(Npi::from(sm.destination.npi)).destination_addr(c(&sm.destination.address));
        let how = to.esm_class(EsmClass::from(sm.esm_class)).data_coding(DataCoding::from(sm.data_coding));
        let how = how.registered_delivery(RegisteredDelivery::from(sm.registered_delivery));
        how.tlvs(sm.tlvs.iter().map($tlv).collect())
    }};
}

macro_rules! their_sm {
    ($kind:ident, $sm:expr, $tlv:path) => {{
        let sm = $sm;
        let text = OctetString::from_bytes(sm.short_message.clone()).expect("at most 255 octets");
        let what = their_message!($kind, sm, $tlv).protocol_id(sm.protocol_id).short_message(text);
        let what = what.priority_flag(PriorityFlag::from(sm.priority)).sm_default_msg_id(sm.sm_default_msg_id);
        let when = what.schedule_delivery_time(time(&sm.schedule_delivery_time));
        let when = when.validity_period(time(&sm.validity_period));
        let replaces = ReplaceIfPresentFlag::from(sm.replace_if_present);
        TheirPdu::from(when.replace_if_present_flag(replaces).build())
    }};
}

/// The same PDU.
pub(crate) fn of_ours(pdu: &Pdu) -> Command {
    let body = match &pdu.body {
        Body::Bind(BindMode::Receiver, bind) => their_bind!(BindReceiver, bind),
        Body::Bind(BindMode::Transmitter, bind) => their_bind!(BindTransmitter, bind),
        Body::Bind(BindMode::Transceiver, bind) => their_bind!(BindTransceiver, bind),
        Body::BindResp(BindMode::Receiver, resp) => their_bind_resp!(BindReceiverResp, resp),
        Body::BindResp(BindMode::Transmitter, resp) => their_bind_resp!(BindTransmitterResp, resp),
        Body::BindResp(BindMode::Transceiver, resp) => their_bind_resp!(BindTransceiverResp, resp),
        Body::SubmitSm(sm) => their_sm!(SubmitSm, sm, submission_tlv),
        Body::SubmitSmResp(resp) => SubmitSmResp::new(c(&resp.message_id), Vec::new()).into(),
        Body::DeliverSm(sm) => their_sm!(DeliverSm, sm, delivery_tlv),
        Body::DeliverSmResp(resp) => DeliverSmResp::new(c(&resp.message_id), Vec::new()).into(),
        Body::DataSm(sm) => their_message!(TheirDataSm, sm, submission_tlv).build().into(),
        Body::DataSmResp(resp) => DataSmResp::new(c(&resp.message_id), Vec::new()).into(),
        Body::EnquireLink => TheirPdu::EnquireLink,
        Body::EnquireLinkResp => TheirPdu::EnquireLinkResp,
        Body::Unbind => TheirPdu::Unbind,
        Body::UnbindResp => TheirPdu::UnbindResp,
        Body::GenericNack => TheirPdu::GenericNack,
    };
    Command::new(CommandStatus::from(pdu.status.0), pdu.sequence, body)
}

macro_rules! our_bind {
    ($mode:ident, $bind:expr) => {{
        let bind = $bind;
        Body::Bind(
            BindMode::$mode,
            Bind {
                system_id: bind.system_id.to_string(),
                password: bind.password.to_string(),
                system_type: bind.system_type.to_string(),
                interface_version: bind.interface_version.into(),
                addr_ton: bind.addr_ton.into(),
                addr_npi: bind.addr_npi.into(),
                address_range: bind.address_range.to_string(),
            },
        )
    }};
}

macro_rules! our_bind_resp {
    ($mode:ident, $resp:expr) => {{
        let resp = $resp;
        let tlvs = resp.sc_interface_version_tlv().map(our_tlv).into_iter().collect();
        Body::BindResp(BindMode::$mode, BindResp { system_id: resp.system_id.to_string(), tlvs })
    }};
}

macro_rules! our_sm {
    ($sm:expr) => {{
        let sm = $sm;
        Box::new(Sm {
            service_type: sm.service_type.value().to_string(),
            source: address(sm.source_addr_ton, sm.source_addr_npi, &sm.source_addr.to_string()),
            destination: address(sm.dest_addr_ton, sm.dest_addr_npi, &sm.destination_addr.to_string()),
            esm_class: sm.esm_class.into(),
            protocol_id: sm.protocol_id,
            priority: sm.priority_flag.into(),
            schedule_delivery_time: sm.schedule_delivery_time.to_string(),
            validity_period: sm.validity_period.to_string(),
            registered_delivery: sm.registered_delivery.into(),
            replace_if_present: sm.replace_if_present_flag.into(),
            data_coding: sm.data_coding.into(),
            sm_default_msg_id: sm.sm_default_msg_id,
            short_message: Bytes::copy_from_slice(sm.short_message().as_ref()),
            tlvs: sm.tlvs().iter().map(our_tlv).collect(),
        })
    }};
}

fn address(ton: Ton, npi: Npi, address: &str) -> Address {
    Address { ton: ton.into(), npi: npi.into(), address: address.to_owned() }
}

fn our_data_sm(sm: &TheirDataSm) -> DataSm {
    DataSm {
        service_type: sm.service_type.value().to_string(),
        source: address(sm.source_addr_ton, sm.source_addr_npi, &sm.source_addr.to_string()),
        destination: address(sm.dest_addr_ton, sm.dest_addr_npi, &sm.destination_addr.to_string()),
        esm_class: sm.esm_class.into(),
        registered_delivery: sm.registered_delivery.into(),
        data_coding: sm.data_coding.into(),
        tlvs: sm.tlvs().iter().map(our_tlv).collect(),
    }
}

fn our_tlv(tlv: &TheirTlv) -> Tlv {
    let value = match tlv.value() {
        None => Vec::new(),
        Some(TlvValue::ReceiptedMessageId(id)) => id.as_ref().to_vec(),
        Some(TlvValue::MessageState(state)) => vec![u8::from(*state)],
        Some(TlvValue::NetworkErrorCode(error)) => {
            [&[u8::from(error.network_type)][..], &error.error_code.to_be_bytes()].concat()
        }
        Some(TlvValue::ScInterfaceVersion(version)) => vec![u8::from(*version)],
        Some(TlvValue::SarMsgRefNum(number)) => number.to_be_bytes().to_vec(),
        Some(TlvValue::SarTotalSegments(number) | TlvValue::SarSegmentSeqnum(number)) => vec![*number],
        Some(TlvValue::MessagePayload(payload)) => payload.value.as_ref().to_vec(),
        Some(TlvValue::Other { value, .. }) => value.as_ref().to_vec(),
        Some(other) => panic!("{other:?} is not generated"),
    };
    Tlv::new(tlv.tag().into(), value)
}

fn response(message_id: Option<String>) -> Response {
    Response { message_id: message_id.unwrap_or_default() }
}

/// The same PDU; `None` where `rusmpp` leaves the body of an answer out, which has none then.
pub(crate) fn to_ours(command: &Command) -> Pdu {
    let body = command.pdu().map_or_else(|| empty(command), |body| our_body(command, body));
    Pdu { status: Status(command.status().into()), sequence: command.sequence_number(), body }
}

fn our_body(command: &Command, body: &TheirPdu) -> Body {
    match body {
        TheirPdu::BindReceiver(bind) => our_bind!(Receiver, bind),
        TheirPdu::BindTransmitter(bind) => our_bind!(Transmitter, bind),
        TheirPdu::BindTransceiver(bind) => our_bind!(Transceiver, bind),
        TheirPdu::BindReceiverResp(resp) => our_bind_resp!(Receiver, resp),
        TheirPdu::BindTransmitterResp(resp) => our_bind_resp!(Transmitter, resp),
        TheirPdu::BindTransceiverResp(resp) => our_bind_resp!(Transceiver, resp),
        TheirPdu::SubmitSm(sm) => Body::SubmitSm(our_sm!(sm)),
        TheirPdu::SubmitSmResp(resp) => Body::SubmitSmResp(response(Some(resp.message_id().to_string()))),
        TheirPdu::DeliverSm(sm) => Body::DeliverSm(our_sm!(sm)),
        TheirPdu::DeliverSmResp(resp) => Body::DeliverSmResp(response(Some(resp.message_id().to_string()))),
        TheirPdu::DataSm(sm) => Body::DataSm(Box::new(our_data_sm(sm))),
        TheirPdu::DataSmResp(resp) => Body::DataSmResp(response(Some(resp.message_id().to_string()))),
        TheirPdu::EnquireLink => Body::EnquireLink,
        TheirPdu::EnquireLinkResp => Body::EnquireLinkResp,
        TheirPdu::Unbind => Body::Unbind,
        TheirPdu::UnbindResp => Body::UnbindResp,
        TheirPdu::GenericNack => Body::GenericNack,
        _ => panic!("{:?} is not generated", command.id()),
    }
}

fn empty(command: &Command) -> Body {
    use rusmpp::CommandId;
    match command.id() {
        CommandId::BindReceiverResp => Body::BindResp(BindMode::Receiver, BindResp::default()),
        CommandId::BindTransmitterResp => Body::BindResp(BindMode::Transmitter, BindResp::default()),
        CommandId::BindTransceiverResp => Body::BindResp(BindMode::Transceiver, BindResp::default()),
        CommandId::SubmitSmResp => Body::SubmitSmResp(response(None)),
        CommandId::DeliverSmResp => Body::DeliverSmResp(response(None)),
        CommandId::DataSmResp => Body::DataSmResp(response(None)),
        other => panic!("{other:?} has no body"),
    }
}

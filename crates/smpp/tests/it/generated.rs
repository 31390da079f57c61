//! PDUs of all kinds, within the limits of the specification, which are those of `rusmpp` too.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use smpp::{Address, Bind, BindMode, BindResp, Body, DataSm, Pdu, Response, Sm, Status, Tlv, tag};

/// Any PDU; those that are answers have any status, the others none.
pub(crate) fn pdu() -> impl Strategy<Value = Pdu> {
    let request = (1..=0x7FFF_FFFFu32, request()).prop_map(|(sequence, body)| Pdu::request(sequence, body));
    let response = (1..=0x7FFF_FFFFu32, status(), response());
    let response = response.prop_map(|(sequence, status, body)| Pdu::response(sequence, status, body));
    prop_oneof![request, response]
}

fn request() -> impl Strategy<Value = Body> {
    prop_oneof![
        2 => (mode(), bind()).prop_map(|(mode, bind)| Body::Bind(mode, bind)),
        4 => sm(submission_tlv()).prop_map(|sm| Body::SubmitSm(Box::new(sm))),
        4 => sm(delivery_tlv()).prop_map(|sm| Body::DeliverSm(Box::new(sm))),
        2 => data_sm().prop_map(|sm| Body::DataSm(Box::new(sm))),
        1 => Just(Body::EnquireLink),
        1 => Just(Body::Unbind),
    ]
}

fn response() -> impl Strategy<Value = Body> {
    prop_oneof![
        2 => (mode(), bind_resp()).prop_map(|(mode, resp)| Body::BindResp(mode, resp)),
        2 => message_id().prop_map(Body::SubmitSmResp),
        1 => message_id().prop_map(Body::DeliverSmResp),
        1 => message_id().prop_map(Body::DataSmResp),
        1 => Just(Body::EnquireLinkResp),
        1 => Just(Body::UnbindResp),
        1 => Just(Body::GenericNack),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![2 => Just(0), 2 => 1..0x500u32, 1 => any::<u32>()].prop_map(Status)
}

fn mode() -> impl Strategy<Value = BindMode> {
    prop_oneof![Just(BindMode::Receiver), Just(BindMode::Transmitter), Just(BindMode::Transceiver)]
}

/// ASCII without zeros, at most this long; its longest often.
fn text(most: usize) -> impl Strategy<Value = String> {
    let of_length = |length| vec(1..=0x7Fu8, length);
    prop_oneof![3 => of_length(0..=most), 1 => of_length(most..=most)]
        .prop_map(|bytes| bytes.into_iter().map(char::from).collect())
}

/// None, or the sixteen characters of one.
fn time() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[0-9]{15}[+R-]"]
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u8>(), any::<u8>(), text(20)).prop_map(|(ton, npi, address)| Address { ton, npi, address })
}

fn bind() -> impl Strategy<Value = Bind> {
    let names = (text(15), text(8), text(12), text(40));
    (names, any::<[u8; 3]>()).prop_map(|((system_id, password, system_type, address_range), bytes)| {
        let [interface_version, addr_ton, addr_npi] = bytes;
        Bind { system_id, password, system_type, interface_version, addr_ton, addr_npi, address_range }
    })
}

fn bind_resp() -> impl Strategy<Value = BindResp> {
    let version = any::<u8>().prop_map(|version| Tlv::new(tag::SC_INTERFACE_VERSION, vec![version]));
    (text(15), vec(version, 0..=1)).prop_map(|(system_id, tlvs)| BindResp { system_id, tlvs })
}

fn message_id() -> impl Strategy<Value = Response> {
    text(64).prop_map(|message_id| Response { message_id })
}

fn sm(tlv: impl Strategy<Value = Tlv>) -> impl Strategy<Value = Sm> {
    let times = (time(), time());
    let octets = prop_oneof![vec(any::<u8>(), 0..=20), vec(any::<u8>(), 130..=254), vec(any::<u8>(), 254..=254)];
    let addresses = (text(5), address(), address());
    (addresses, times, any::<[u8; 7]>(), octets, vec(tlv, 0..=5)).prop_map(|(addresses, times, bytes, octets, tlvs)| {
        let (service_type, source, destination) = addresses;
        let (schedule_delivery_time, validity_period) = times;
        let [
            esm_class,
            protocol_id,
            priority,
            registered_delivery,
            replace_if_present,
            data_coding,
            sm_default_msg_id,
        ] = bytes;
        let short_message = octets.into();
        Sm {
            service_type,
            source,
            destination,
            esm_class,
            protocol_id,
            priority,
            schedule_delivery_time,
            validity_period,
            registered_delivery,
            replace_if_present,
            data_coding,
            sm_default_msg_id,
            short_message,
            tlvs,
        }
    })
}

fn data_sm() -> impl Strategy<Value = DataSm> {
    let addresses = (text(5), address(), address());
    (addresses, any::<[u8; 3]>(), vec(submission_tlv(), 0..=5)).prop_map(|(addresses, bytes, tlvs)| {
        let (service_type, source, destination) = addresses;
        let [esm_class, registered_delivery, data_coding] = bytes;
        DataSm { service_type, source, destination, esm_class, registered_delivery, data_coding, tlvs }
    })
}

/// What a message may be sent with. A payload goes up to what a PDU holds beside all else that is generated.
fn submission_tlv() -> impl Strategy<Value = Tlv> {
    let fixed = |tag, length| vec(any::<u8>(), length..=length).prop_map(move |value: Vec<u8>| Tlv::new(tag, value));
    let payload = prop_oneof![
        8 => vec(any::<u8>(), 1..300).prop_map(Bytes::from),
        1 => (10_000..12_000usize, any::<u8>()).prop_map(|(length, octet)| vec![octet; length].into()),
    ];
    // Of an SMSC's own, which nobody else knows.
    let unknown = (0x1400..=0x3FFFu16, vec(any::<u8>(), 0..=20));
    prop_oneof![
        fixed(tag::SAR_MSG_REF_NUM, 2),
        fixed(tag::SAR_TOTAL_SEGMENTS, 1),
        fixed(tag::SAR_SEGMENT_SEQNUM, 1),
        payload.prop_map(|octets| Tlv::new(tag::MESSAGE_PAYLOAD, octets)),
        unknown.prop_map(|(tag, value)| Tlv::new(tag, value)),
    ]
}

/// The same, and what a receipt says.
fn delivery_tlv() -> impl Strategy<Value = Tlv> {
    let id = text(64).prop_map(|id| Tlv::new(tag::RECEIPTED_MESSAGE_ID, format!("{id}\0").into_bytes()));
    let state = any::<u8>().prop_map(|state| Tlv::new(tag::MESSAGE_STATE, vec![state]));
    let error = any::<[u8; 3]>().prop_map(|error| Tlv::new(tag::NETWORK_ERROR_CODE, error.to_vec()));
    prop_oneof![submission_tlv(), id, state, error]
}

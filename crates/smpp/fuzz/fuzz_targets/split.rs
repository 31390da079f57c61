//! Any text, cut in any way: the parts hold the text, and each fits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smpp::{Charset, Long, Part, Sm, esm, split, tag};

fuzz_target!(|input: (u8, u16, &str)| {
    let (choice, reference, text) = input;
    let charset = [Charset::Gsm0338, Charset::Latin1, Charset::Ascii][usize::from(choice % 3)];
    let long = [Long::Udh, Long::Udh16, Long::Sar, Long::Payload][usize::from(choice / 3 % 4)];
    let is_ucs2 = choice >= 128;
    match split(text, charset, is_ucs2, long, reference) {
        Ok(parts) => hold(text, charset, long, reference, &parts),
        Err(too_long) => assert!(too_long.0 > 255 && text.len() > 255 * 66),
    }
});

fn hold(text: &str, charset: Charset, long: Long, reference: u16, parts: &[Part]) {
    assert!((1..=255).contains(&parts.len()));
    let mut read = String::new();
    for (part, number) in parts.iter().zip(1u8..) {
        let mut sm = Sm::default();
        part.clone().put_into(&mut sm);
        let charset = match sm.data_coding {
            8 => Charset::Ucs2,
            3 => Charset::Latin1,
            _ => charset,
        };
        let header = header(&sm);
        if parts.len() > 1 {
            let count = u8::try_from(parts.len()).expect("at most 255");
            assert_eq!(place(long, &sm, header), (reference_of(long, reference), count, number));
        } else {
            assert_eq!(header, 0);
        }
        assert!(sm.short_message.len() <= if charset == Charset::Ucs2 { 140 } else { 160 });
        read.push_str(&charset.decode(&sm.octets()[header..]));
    }
    assert_eq!(read, text);
}

/// Octets of its header of user data.
fn header(sm: &Sm) -> usize {
    if sm.esm_class & esm::UDHI == 0 { 0 } else { usize::from(sm.octets()[0]) + 1 }
}

fn reference_of(long: Long, reference: u16) -> u16 {
    if long == Long::Udh { reference & 0xFF } else { reference }
}

/// Reference, count and number, as a handset or an SMSC is told them.
fn place(long: Long, sm: &Sm, header: usize) -> (u16, u8, u8) {
    let of_tlv = |tag: u16| sm.tlvs.iter().find(|tlv| tlv.tag == tag).expect("it is there").value.clone();
    match (long, &sm.octets()[..header]) {
        (Long::Udh, [5, 0, 3, low, count, number]) => (u16::from(*low), *count, *number),
        (Long::Udh16, [6, 8, 4, high, low, count, number]) => (u16::from_be_bytes([*high, *low]), *count, *number),
        (Long::Sar, []) => {
            let reference = of_tlv(tag::SAR_MSG_REF_NUM);
            let reference = u16::from_be_bytes([reference[0], reference[1]]);
            (reference, of_tlv(tag::SAR_TOTAL_SEGMENTS)[0], of_tlv(tag::SAR_SEGMENT_SEQNUM)[0])
        }
        (_, header) => panic!("{long:?} with a header of {} octets", header.len()),
    }
}

//! What clients may send, as the OpenAPI document tells it: made from the constants and names that requests are held
//! against.

use std::fmt::Write as _;

use domain::{
    CallbackTypes, DeliveryStatus, MessageStatus, MessageType, Scope,
    grant::{MAX_KEY_NAME, MAX_OVERLAP, MAX_REQUESTS_PER_SECOND},
    id::MAX_IDENTIFIER_LENGTH,
    idempotency::MAX_KEY_LENGTH,
    invisible::INVISIBLE,
    message::{MAX_RECIPIENTS, MAX_TEXT_CHARACTERS},
    money::MAX_TOP_UP,
    provider_message_id::MAX_GIVEN,
    receipt::MAX_ERROR_CODE,
    reference::MAX_REFERENCE_LENGTH,
    validity::VALIDITY_SECONDS,
};
use serde_json::{Value, json};
use utoipa::openapi::{
    Array, KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type,
    schema::{ArrayBuilder, SchemaType},
};

use crate::query::{DEFAULT_LIMIT, LIMITS};

/// A time with an offset.
const RFC3339: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$";
/// Characters of what people say of an endpoint.
pub(crate) const MAX_DESCRIPTION: usize = 200;
/// The most that an endpoint's own limit may be.
pub(crate) const MAX_PER_SECOND: u32 = 10_000;

/// The schema of a parameter or header, the same on every route. Optional ones may be left out, but are never null.
pub(crate) fn parameter(name: &str) -> Option<RefOr<Schema>> {
    let schema = match name {
        "user_id" | "customer_id" => positive(i64::MAX),
        "delivery_status" => text_object().enum_values(Some(DeliveryStatus::ALL.map(DeliveryStatus::as_str))),
        "client_reference" => visible_ascii(MAX_REFERENCE_LENGTH),
        "sender" => text_object().min_length(Some(1)).max_length(Some(16)).pattern(Some(sender_pattern())),
        "status" => text_object().enum_values(Some(MessageStatus::ALL.map(MessageStatus::as_str))),
        "id" | "message_identifier" => visible_ascii(MAX_IDENTIFIER_LENGTH),
        "endpoint" => text_object().pattern(Some("^ep_[0-9a-f]{32}$")),
        "since" => text_object().pattern(Some(RFC3339)),
        "name" => text_object().pattern(Some("^[A-Za-z0-9_.-]{1,50}$")),
        "limit" => integer(i64::try_from(*LIMITS.start()).ok(), i64::try_from(*LIMITS.end()).ok())
            .default(Some(json!(DEFAULT_LIMIT))),
        // Its form is no promise: what a `next_cursor` looks like until the year 4253.
        "cursor" => text_object().pattern(Some("^[0-9a-f]{1,14}-[0-9a-f]{1,15}$")),
        "Idempotency-Key" => visible_ascii(MAX_KEY_LENGTH),
        _ => return None,
    };
    Some(schema.into())
}

pub(crate) fn customer_id() -> RefOr<Schema> {
    positive(i64::MAX).description(Some("Who pays.")).examples([json!(1)]).into()
}

/// What a sender looks like. Its letter may be at any of eleven places; that one is there cannot be said in a shorter way which every
/// dialect reads.
fn sender_pattern() -> String {
    const BEFORE: &str = "[0-9 &+_.-]";
    const BEFORE_FIRST: &str = "[0-9&+_.-]";
    const AFTER: &str = "[A-Za-z0-9 &+_.-]";
    const LAST: &str = "[A-Za-z0-9&+_.-]";
    let with_letter_at = |place: usize| {
        let before = if place == 0 { String::new() } else { format!("{BEFORE_FIRST}{BEFORE}{{{}}}", place - 1) };
        let after = if place == 10 { String::new() } else { format!("(?:{AFTER}{{0,{}}}{LAST})?", 9 - place) };
        format!("{before}[A-Za-z]{after}")
    };
    let names: Vec<_> = (0..=10).map(with_letter_at).collect();
    format!(r"^(?:{}|\+?[0-9]{{3,15}})$", names.join("|"))
}

/// Text, null or left out.
fn optional() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

pub(crate) fn from() -> RefOr<Schema> {
    let told = "From whom: 1 to 11 letters, digits, spaces or &+_-. with at least one letter, or an optional + and 3 to 15 digits.";
    optional()
        .min_length(Some(1))
        .max_length(Some(16))
        .pattern(Some(sender_pattern()))
        .description(Some(told))
        .examples([json!("BANK")])
        .into()
}

pub(crate) fn sender() -> RefOr<Schema> {
    text_object()
        .min_length(Some(1))
        .max_length(Some(16))
        .pattern(Some(sender_pattern()))
        .examples([json!("BANK")])
        .into()
}

pub(crate) fn sender_customer() -> RefOr<Schema> {
    positive(i64::MAX).description(Some("Who may send from it.")).examples([json!(1)]).into()
}

pub(crate) fn client_reference() -> RefOr<Schema> {
    let told = "Your own name for it, such as an order's; it need not be unique.";
    let (least, most) = (Some(1), Some(MAX_REFERENCE_LENGTH));
    let reference = optional().min_length(least).max_length(most).pattern(Some("^[!-~]+$"));
    reference.description(Some(told)).examples([json!("order-4711")]).into()
}

pub(crate) fn encoding() -> RefOr<Schema> {
    let names = ["auto", "gsm7", "ucs2"].map(Value::from).into_iter();
    optional()
        .enum_values(Some(names.chain([Value::Null])))
        .description(Some("How it goes over the air; `auto` is GSM 7 where that can carry the text, otherwise UCS-2."))
        .examples([json!("auto")])
        .into()
}

pub(crate) fn validity_seconds() -> RefOr<Schema> {
    let (least, most) = VALIDITY_SECONDS.into_inner();
    let told = "For how long it may be sent, from its acceptance or from `send_at`; what no operator has by then fails and is refunded.";
    integer(Some(least), Some(most))
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .description(Some(told))
        .examples([json!(300)])
        .into()
}

pub(crate) fn send_at() -> RefOr<Schema> {
    time(
        "When it is to be sent: RFC 3339 with an offset, up to 35 days ahead. It is charged now.",
        "2036-12-01T08:30:00Z",
    )
}

pub(crate) fn message_callback_url() -> RefOr<Schema> {
    let told =
        "Where callbacks of this message go instead: a URL of the origin of one of the customer's enabled endpoints.";
    optional()
        .max_length(Some(2048))
        .pattern(Some("^https?://"))
        .description(Some(told))
        .examples([json!("https://shop.example/sms?order=4711")])
        .into()
}

pub(crate) fn key_name() -> RefOr<Schema> {
    let told = format!("What people call it, 1 to {MAX_KEY_NAME} characters, one of them visible.");
    text_object()
        .min_length(Some(1))
        .max_length(Some(MAX_KEY_NAME))
        .pattern(Some(one_visible()))
        .description(Some(told))
        .examples([json!("shop")])
        .into()
}

pub(crate) fn key_customer() -> RefOr<Schema> {
    positive(i64::MAX)
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .description(Some("Whose key it is; left out, it is the platform's."))
        .examples([json!(1)])
        .into()
}

pub(crate) fn scopes() -> Array {
    let names = Scope::ALL.map(Scope::as_str);
    ArrayBuilder::new()
        .items(text_object().enum_values(Some(names)))
        .min_items(Some(1))
        .max_items(Some(names.len()))
        .unique_items(true)
        .description(Some("What it allows; `topup` and `admin` belong to keys without `customer_id`."))
        .examples([json!(["send", "read"])])
        .build()
}

pub(crate) fn requests_per_second() -> RefOr<Schema> {
    integer(Some(1), Some(MAX_REQUESTS_PER_SECOND.into()))
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .description(Some("A limit of its own, with bursts of as many."))
        .examples([json!(50)])
        .into()
}

pub(crate) fn expires_at() -> RefOr<Schema> {
    time("When it ends: RFC 3339 with an offset, in the future.", "2036-01-31T12:00:00Z")
}

fn time(told: &str, example: &str) -> RefOr<Schema> {
    optional()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(RFC3339))
        .description(Some(told))
        .examples([json!(example)])
        .into()
}

pub(crate) fn overlap_seconds() -> RefOr<Schema> {
    integer(Some(0), i64::try_from(MAX_OVERLAP).ok())
        .description(Some("For how long the old key goes on."))
        .examples([json!(86_400)])
        .into()
}

pub(crate) fn user_id() -> RefOr<Schema> {
    positive(i64::MAX).description(Some("Whose balance.")).examples([json!(1)]).into()
}

pub(crate) fn top_up_amount() -> RefOr<Schema> {
    positive(MAX_TOP_UP).description(Some("How much to add.")).examples([json!(100)]).into()
}

/// A text of at most so many characters that may be left out.
pub(crate) fn optional_text(most: usize, what: &str, example: &str) -> RefOr<Schema> {
    let told = format!("{what}, at most {most} characters.");
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .max_length(Some(most))
        .description(Some(told))
        .examples([json!(example)])
        .into()
}

pub(crate) fn text() -> RefOr<Schema> {
    let told = format!(
        "What is sent, 1 to {MAX_TEXT_CHARACTERS} characters. One of them must be visible: white space, control \
        characters and what else shows nothing, also beyond U+FFFF, which the pattern leaves out, make a blank text."
    );
    text_object()
        .min_length(Some(1))
        .max_length(Some(MAX_TEXT_CHARACTERS))
        .pattern(Some(one_visible()))
        .description(Some(told))
        .examples([json!("hi")])
        .into()
}

/// A character that shows something. Only what four digits can escape, which every dialect reads in the same way.
fn one_visible() -> String {
    let mut pattern = "[^".to_owned();
    for range in INVISIBLE.iter().filter(|range| *range.end() <= '\u{ffff}') {
        write!(pattern, "\\u{:04x}-\\u{:04x}", u32::from(*range.start()), u32::from(*range.end()))
            .expect("writing to a string cannot fail");
    }
    pattern + "]"
}

pub(crate) fn recipients() -> Array {
    let number = text_object().min_length(Some(3)).max_length(Some(16)).pattern(Some(r"^\+?[0-9]{3,15}$"));
    let told = format!("To whom: 1 to {MAX_RECIPIENTS} phone numbers. Repeated ones are sent and charged once.");
    ArrayBuilder::new()
        .items(number)
        .min_items(Some(1))
        .max_items(Some(MAX_RECIPIENTS))
        .description(Some(told))
        .examples([json!(["09128582812", "091285284834"])])
        .build()
}

pub(crate) fn message_type() -> RefOr<Schema> {
    let names = MessageType::ALL.map(MessageType::as_str).map(Value::from).into_iter();
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(names.chain([Value::Null])))
        .default(Some(json!(MessageType::default().as_str())))
        .examples([json!("normal")])
        .into()
}

pub(crate) fn provider_message_id() -> RefOr<Schema> {
    let told = format!("What the operator calls the message, as it answered; at most {MAX_GIVEN} bytes.");
    text_object()
        .min_length(Some(1))
        .max_length(Some(MAX_GIVEN))
        .description(Some(told))
        .examples([json!("x-1")])
        .into()
}

pub(crate) fn receipt_status() -> RefOr<Schema> {
    let told = "What became of it, in any case: delivered, undelivered, expired, rejected, unknown, scheduled, enroute, accepted, \
        skipped, deleted, undeliverable, or a short form of SMPP such as DELIVRD.";
    text_object().description(Some(told)).examples([json!("delivered")]).into()
}

pub(crate) fn receipt_recipient() -> RefOr<Schema> {
    let told = "To whom it was sent; it must end with the last seven digits of the message's number.";
    optional().pattern(Some(r"^\+?[0-9]{1,20}$")).description(Some(told)).examples([json!("989128582812")]).into()
}

pub(crate) fn receipt_error_code() -> RefOr<Schema> {
    let told = format!(
        "Why it was not delivered; of the visible ASCII at its beginning {MAX_ERROR_CODE} characters are kept."
    );
    optional().description(Some(told)).examples([json!("000")]).into()
}

pub(crate) fn receipt_part() -> RefOr<Schema> {
    integer(Some(1), Some(255))
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .description(Some("Of which part it tells, counted from 1."))
        .examples([json!(1)])
        .into()
}

pub(crate) fn callback_customer() -> RefOr<Schema> {
    let told = "Whose it is; a key of that customer need not say.";
    positive(i64::MAX).description(Some(told)).examples([json!(1)]).into()
}

pub(crate) fn callback_url() -> RefOr<Schema> {
    url(text_object())
}

pub(crate) fn optional_callback_url() -> RefOr<Schema> {
    url(optional())
}

fn url(builder: ObjectBuilder) -> RefOr<Schema> {
    let told = "Where callbacks are posted to: https, without a user, a password or a fragment, and a host all of whose addresses are \
        public.";
    builder
        .max_length(Some(2048))
        .pattern(Some("^https?://"))
        .description(Some(told))
        .examples([json!("https://example.com/callbacks")])
        .into()
}

pub(crate) fn callback_description() -> RefOr<Schema> {
    optional_text(MAX_DESCRIPTION, "What people say of it", "orders")
}

pub(crate) fn callback_types() -> Array {
    let names: Vec<_> = CallbackTypes::all().names().collect();
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(text_object().enum_values(Some(names)))
        .min_items(Some(1))
        .max_items(Some(100))
        .description(Some("What it is told of; left out, all."))
        .examples([json!(["message.delivered", "message.failed"])])
        .build()
}

pub(crate) fn enabled() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]))
        .description(Some("Whether it is told anything."))
        .examples([json!(true)])
        .into()
}

pub(crate) fn per_second() -> RefOr<Schema> {
    integer(Some(1), Some(MAX_PER_SECOND.into()))
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .description(Some("The most that it is sent in a second, from each relay; null is no limit."))
        .examples([json!(50)])
        .into()
}

pub(crate) fn recover_time() -> RefOr<Schema> {
    text_object()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(RFC3339))
        .description(Some("RFC 3339 with an offset, from 1970 on."))
        .examples([json!("2026-01-31T12:00:00Z")])
        .into()
}

fn positive(most: i64) -> ObjectBuilder {
    integer(Some(1), Some(most))
}

fn integer(least: Option<i64>, most: Option<i64>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(least)
        .maximum(most)
}

fn visible_ascii(most: usize) -> ObjectBuilder {
    text_object().min_length(Some(1)).max_length(Some(most)).pattern(Some("^[!-~]+$"))
}

fn text_object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

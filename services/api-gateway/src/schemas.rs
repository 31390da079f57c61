//! What clients may send, as the OpenAPI document tells it: made from the constants and names that requests are held
//! against.

use std::fmt::Write as _;

use domain::{
    MessageStatus, MessageType,
    id::MAX_IDENTIFIER_LENGTH,
    idempotency::MAX_KEY_LENGTH,
    invisible::INVISIBLE,
    message::{MAX_RECIPIENTS, MAX_TEXT_CHARACTERS},
    money::MAX_TOP_UP,
};
use serde_json::{Value, json};
use utoipa::openapi::{
    Array, KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type,
    schema::{ArrayBuilder, SchemaType},
};

use crate::query::{DEFAULT_LIMIT, LIMITS};

/// The schema of a parameter or header, the same on every route. Optional ones may be left out, but are never null.
pub(crate) fn parameter(name: &str) -> Option<RefOr<Schema>> {
    let schema = match name {
        "user_id" => positive(i64::MAX),
        "status" => text_object().enum_values(Some(MessageStatus::ALL.map(MessageStatus::as_str))),
        "message_identifier" => visible_ascii(MAX_IDENTIFIER_LENGTH),
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

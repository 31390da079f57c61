//! What the head of a request says of its body. What is not taken is refused before a byte of it is read.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};

use crate::error::{ApiError, Unsupported};

/// Largest body, in bytes: 1000 recipients and 1600 escaped characters need a tenth of it.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// Names of UTF-8 and of what is a part of it.
const CHARSETS: [&str; 3] = ["utf-8", "utf8", "us-ascii"];

/// # Errors
/// The body is said not to be JSON in UTF-8, to be encoded, or to be too large.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    check_type(headers).map_err(ApiError::UnsupportedMediaType)?;
    if !headers.get_all(CONTENT_ENCODING).all(|value| value.to_str().is_ok_and(is_identity)) {
        return Err(ApiError::UnsupportedMediaType(Unsupported::Encoding));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(ApiError::PayloadTooLarge { most: "256 KiB" });
    }
    Ok(())
}

fn check_type(headers: &HeaderMap) -> Result<(), Unsupported> {
    let mut values = headers.get_all(CONTENT_TYPE);
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Unsupported::Type) };
    let value = value.to_str().map_err(|_| Unsupported::Type)?;
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    if kind != "application/json" && !kind.ends_with("+json") {
        return Err(Unsupported::Type);
    }
    let charsets = parts.filter_map(|parameter| {
        let (name, charset) = parameter.split_once('=')?;
        name.trim_end().eq_ignore_ascii_case("charset").then(|| charset.trim().trim_matches('"'))
    });
    let is_known = |charset: &str| CHARSETS.iter().any(|known| charset.eq_ignore_ascii_case(known));
    if charsets.into_iter().all(is_known) { Ok(()) } else { Err(Unsupported::Charset) }
}

fn is_identity(codings: &str) -> bool {
    codings.split(',').map(str::trim).all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}

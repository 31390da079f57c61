//! `POST /operators/{name}/receipts`

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, BytesMut, Data, Path, Payload},
};
use domain::{
    ErrorCode, Invalid, ProviderMessageId, Receipt, ReceiptState, ReportedNumber, provider_message_id::MAX_GIVEN,
};
use futures_util::StreamExt as _;
use persistence::NewReceipt;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Number;
use utoipa::ToSchema;

use crate::{
    error::{ApiError, ErrorBody},
    receipts::Sender,
    schemas,
    state::State,
    time::now,
};

/// Largest body, in bytes: a thousand receipts need a fifth of it.
const MAX_BODY: usize = 1024 * 1024;
/// Most receipts of one request.
const MAX_RECEIPTS: usize = 1_000;
/// How long an operator may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What an operator reports of a message that it took.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it only describes the body in the OpenAPI document")]
pub(crate) struct ReceiptRequest {
    #[schema(schema_with = schemas::provider_message_id)]
    provider_message_id: String,
    #[schema(schema_with = schemas::receipt_status)]
    status: String,
    #[schema(schema_with = schemas::receipt_recipient)]
    recipient: Option<String>,
    #[schema(schema_with = schemas::receipt_error_code)]
    error_code: Option<String>,
    #[schema(schema_with = schemas::receipt_part)]
    part: Option<u8>,
}

/// The receipts are stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptsTaken {
    /// How many the request held.
    #[schema(example = 1)]
    accepted: usize,
}

/// Takes delivery receipts: one object, or a list of up to 1000. Each is stored once, however often it is sent, and in any order; one
/// whose message is not known yet waits for it.
///
/// The operator signs with its secret in `RECEIPT_SECRETS` as Standard Webhooks has it (`webhook-id`, `webhook-timestamp`,
/// `webhook-signature`; the timestamp within 300 seconds), or sends its token as `Authorization: Bearer`.
#[utoipa::path(
    post, path = "/operators/{name}/receipts", tag = "operators", operation_id = "takeReceipts",
    params(("name" = String, Path, description = "The operator's name in `OPERATORS` and `RECEIPT_SECRETS`.")),
    request_body(content = ReceiptRequest, description = "JSON in UTF-8, at most 1 MiB: this, or a list of up to 1000 of these. \
        Other fields are ignored."),
    responses(
        (status = 202, body = ReceiptsTaken, description = "All of them are stored.", example = json!({"accepted": 1})),
        (status = 400, body = ErrorBody, description = "invalid_input: of a list nothing is stored then."),
        (status = 401, body = ErrorBody, description = "unauthorized"),
        (status = 404, body = ErrorBody, description = "not_found: no operator of this name sends receipts here."),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 429, body = ErrorBody, description = "rate_limit_exceeded: of this operator, or of all who are none."),
        (status = 503, body = ErrorBody, description = "unavailable or system_overloaded: send all of them again."),
    )
)]
pub(crate) async fn handler(
    state: Data<State>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (sender, body) = match known(&state, &name, &request, payload).await {
        Ok(known) => known,
        Err(error) => {
            state.limits.check_receipts(None)?;
            return Err(error);
        }
    };
    state.limits.check_receipts(Some(&sender.operator))?;
    let receipts = read(&body).inspect_err(|_| sender.count_invalid())?;
    let accepted = receipts.len();
    let new = |receipt| NewReceipt { operator: sender.operator.clone(), receipt, exact: false };
    state.receipts.store(receipts.into_iter().map(new).collect()).await?;
    Ok(HttpResponse::Accepted().json(ReceiptsTaken { accepted }))
}

/// The operator and what it sends, where it has shown that it is this one.
async fn known<'a>(
    state: &'a State,
    name: &str,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(Sender<'a>, Bytes), ApiError> {
    let sender = state.receipts.sender(name)?;
    sender.check_head(request.headers())?;
    let body = tokio::time::timeout(BODY_TIMEOUT, collect(payload)).await;
    let body = body.map_err(|_| ApiError::InvalidInput("the body did not arrive within 10 seconds".into()))??;
    sender.check_body(request.headers(), now().timestamp(), &body)?;
    Ok((sender, body))
}

async fn collect(mut payload: Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::InvalidInput(format!("the body could not be read: {error}")))?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(ApiError::PayloadTooLarge { most: "1 MiB" });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What a member says: some write as a string what others write as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Text(String),
    Number(Number),
    Else(IgnoredAny),
}

impl Said {
    /// As a text; `None` where it is neither.
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(number.to_string()),
            Self::Else(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Members {
    provider_message_id: Option<Said>,
    status: Option<Said>,
    recipient: Option<Said>,
    error_code: Option<Said>,
    part: Option<Said>,
}

/// The receipts of a body; a mistake in one of them is one of all.
fn read(body: &[u8]) -> Result<Vec<Receipt>, ApiError> {
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let read = if is_list { serde_json::from_slice(body) } else { serde_json::from_slice(body).map(|one| vec![one]) };
    // The library's own text would quote what came.
    let wrong = |error: serde_json::Error| {
        let place = format!("line {} column {}", error.line(), error.column());
        ApiError::InvalidInput(format!(
            "the body must be a JSON object with provider_message_id and status, or a list of these ({place})"
        ))
    };
    let all: Vec<Members> = read.map_err(wrong)?;
    if !(1..=MAX_RECEIPTS).contains(&all.len()) {
        return Err(ApiError::InvalidInput(format!("the body must hold 1 to {MAX_RECEIPTS} receipts")));
    }
    let receipt = |(place, members): (usize, Members)| {
        receipt(members).map_err(|invalid| {
            let of = if is_list { format!("receipt number {}: ", place + 1) } else { String::new() };
            ApiError::InvalidInput(format!("{of}{invalid}"))
        })
    };
    all.into_iter().enumerate().map(receipt).collect()
}

fn receipt(members: Members) -> Result<Receipt, Invalid> {
    let Members { provider_message_id, status, recipient, error_code, part } = members;
    let missing = |field| Invalid::new(field, "is missing");
    let no_text = |field| Invalid::new(field, "must be a string or a number");
    let text = |field, said: Option<Said>| said.map(|said| said.text().ok_or_else(|| no_text(field))).transpose();
    let id = text("provider_message_id", provider_message_id)?.ok_or_else(|| missing("provider_message_id"))?;
    let no_id =
        || Invalid::new("provider_message_id", format!("must be 1 to {MAX_GIVEN} bytes without control characters"));
    let status = text("status", status)?.ok_or_else(|| missing("status"))?;
    let recipient = text("recipient", recipient)?.filter(|recipient| !recipient.trim().is_empty());
    Ok(Receipt {
        id: ProviderMessageId::parse(&id).ok_or_else(no_id)?,
        state: ReceiptState::parse(&status)?,
        recipient: recipient.as_deref().map(ReportedNumber::parse).transpose()?,
        error_code: text("error_code", error_code)?.and_then(|code| ErrorCode::read(&code)),
        part: part.map(read_part).transpose()?,
    })
}

fn read_part(said: Said) -> Result<u8, Invalid> {
    let number = match said {
        Said::Number(number) => number.as_u64().and_then(|number| u8::try_from(number).ok()),
        Said::Text(_) | Said::Else(_) => None,
    };
    let wrong = || Invalid::new("part", "must be a whole number from 1 to 255");
    number.filter(|part| *part > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_receipt_and_a_list_are_read() {
        let one = read(
            br#"{"provider_message_id":"x-1","status":"DELIVRD","recipient":"98912","error_code":"000","part":1}"#,
        );
        let one = one.expect("accepted").remove(0);
        assert_eq!((one.id.as_str(), one.state, one.part), ("x-1", ReceiptState::Delivered, Some(1)));
        let list =
            br#" [{"provider_message_id":439041048,"status":"expired","recipient":98912,"error_code":27,"more":{}},
            {"provider_message_id":"b","status":"unknown","recipient":null,"error_code":null,"part":null}]"#;
        let list = read(list).expect("accepted");
        assert_eq!((list.len(), list[0].id.as_str()), (2, "439041048"));
        assert_eq!(list[0].error_code.as_ref().map(ErrorCode::as_str), Some("27"));
        assert!(list[1].recipient.is_none() && list[1].error_code.is_none());
    }

    #[test]
    fn what_is_none_is_refused_without_being_quoted() {
        for (wrong, says) in [
            ("", "line 1"),
            ("[]", "1 to 1000"),
            ("7", "the body must be a JSON object"),
            ("{}", "provider_message_id is missing"),
            (r#"{"provider_message_id":"x"}"#, "status is missing"),
            (r#"{"provider_message_id":"","status":"delivered"}"#, "provider_message_id must be"),
            (r#"{"provider_message_id":"x","status":"hunter2"}"#, "status must be one of"),
            (r#"{"provider_message_id":"x","status":"delivered","recipient":"hunter2"}"#, "recipient must be"),
            (r#"{"provider_message_id":"x","status":"delivered","part":0}"#, "part must be"),
            (r#"{"provider_message_id":"x","status":"delivered","part":256}"#, "part must be"),
            (r#"{"provider_message_id":"x","status":"delivered","part":"1"}"#, "part must be"),
            (r#"{"provider_message_id":"x","status":"delivered","part":1.5}"#, "part must be"),
            (r#"{"provider_message_id":"x","status":"delivered","error_code":true}"#, "error_code must be"),
            (r#"{"provider_message_id":"x","status":2}"#, "status must be one of"),
            (r#"{"provider_message_id":"x","provider_message_id":"y","status":"delivered"}"#, "line 1"),
            (
                r#"[{"provider_message_id":"x","status":"delivered"},{"provider_message_id":"x"}]"#,
                "receipt number 2: status",
            ),
            (r#"{"provider_message_id":{"hunter2":1},"status":"delivered"}"#, "provider_message_id must be a string"),
        ] {
            let Err(ApiError::InvalidInput(message)) = read(wrong.as_bytes()) else { panic!("{wrong} was taken") };
            assert!(message.contains(says) && !message.contains("hunter2"), "{wrong}: {message}");
        }
        let many = format!("[{}]", vec![r#"{"provider_message_id":"x","status":"delivered"}"#; 1_001].join(","));
        assert!(read(many.as_bytes()).is_err());
    }
}

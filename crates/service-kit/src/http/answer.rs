//! What is sent: in pieces, so that a connection holds little of it, and whether the connection ends with it.

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_http::{
    ConnectionType, Response,
    body::{BodySize, BoxBody, MessageBody},
};
use actix_web::{HttpResponse, http::header::RETRY_AFTER};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::gate::Turn;

/// Sent at once.
const PIECE: usize = 8 * 1024;
/// Answers up to this size are not counted: a connection may hold one.
const SMALL_ANSWER: usize = 32 * 1024;
/// Most that all larger answers hold together until they are taken. The longest page has some hundred KiB.
const LARGE_ANSWERS: usize = 32 * 1024 * 1024;
const KIB: usize = 1024;

/// The room for answers that clients have not taken yet.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

/// Clients keep too much already.
struct NoRoom;

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_ANSWERS / KIB)))
    }

    /// The answer as it is sent; refused as overload where clients keep too much of us.
    pub(super) fn answer(&self, response: Response<BoxBody>, turn: Turn, closing: bool) -> Response<Answer> {
        let mut response = response.map_body(|_, body| Source::from(body));
        let room = self.take(response.body()).unwrap_or_else(|NoRoom| {
            response = overloaded().map_body(|_, body| Source::from(body));
            None
        });
        let ends = closing || turn.had_large_head();
        let mut response = response.map_body(|_, source| Answer { source, _turn: turn, _room: room });
        if ends {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }

    fn take(&self, source: &Source) -> Result<Option<OwnedSemaphorePermit>, NoRoom> {
        let size = match source {
            // One that is shared is held once, by whom it belongs to.
            Source::Whole(bytes) if bytes.len() > SMALL_ANSWER && bytes.is_unique() => bytes.len(),
            _ => return Ok(None),
        };
        let permits = u32::try_from(size.min(LARGE_ANSWERS).div_ceil(KIB)).map_err(|_| NoRoom)?;
        Arc::clone(&self.0).try_acquire_many_owned(permits).map(Some).map_err(|_| NoRoom)
    }
}

pub(super) fn overloaded() -> Response<BoxBody> {
    let body = json!({
        "error": "system_overloaded",
        "message": "The system is temporarily overloaded. Please retry later."
    });
    HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, 1)).json(body).into()
}

/// The body of an answer. The connection's turn ends when it is gone.
#[derive(Debug)]
pub(super) struct Answer {
    source: Source,
    _turn: Turn,
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Stream(BoxBody),
}

impl From<BoxBody> for Source {
    fn from(body: BoxBody) -> Self {
        if body.size() == BodySize::None {
            return Self::Stream(body);
        }
        body.try_into_bytes().map_or_else(Self::Stream, Self::Whole)
    }
}

impl MessageBody for Answer {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        match &self.source {
            Source::Whole(bytes) => BodySize::Sized(bytes.len() as u64),
            Source::Stream(body) => body.size(),
        }
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.get_mut().source {
            Source::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Whole(bytes) => Poll::Ready(Some(Ok(bytes.split_to(PIECE.min(bytes.len()))))),
            Source::Stream(body) => Pin::new(body).poll_next(context),
        }
    }
}

//! Whose turn it is on a connection: one request at a time is read, worked on and answered, and what the client
//! sends ahead waits, most of it in the kernel. The server underneath would read and parse it all meanwhile.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use actix_http::{Payload, Request, error::PayloadError};
use bytes::Bytes;
use futures_util::Stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    bounds::{SMALL_HEAD, STALL_TIMEOUT},
    framing::Framing,
};

/// What a connection does now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for a request, or reads the head of one.
    #[default]
    Head,
    /// It reads a body; nothing more of it while what was read is not used.
    Body { wanted: bool },
    /// It has the whole request and sends the answer.
    Answer,
}

/// Shared by a connection and the request that it serves.
#[derive(Debug, Default)]
pub(super) struct Gate {
    phase: Cell<Phase>,
    /// Where what is read now ends.
    framing: Cell<Framing>,
    /// Something that comes behind the last piece is here already.
    kept: Cell<bool>,
    /// Requests answered so far.
    answered: Cell<u64>,
    /// Bytes of the request so far.
    read: Cell<usize>,
    /// The place of a request that costs more than an idle connection.
    place: RefCell<Option<OwnedSemaphorePermit>>,
    /// What allows a request to be large.
    large: RefCell<Option<OwnedSemaphorePermit>>,
    /// Who was told not to read.
    refused: RefCell<Option<Waker>>,
}

impl Gate {
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing.get()
    }

    pub(super) fn set_framing(&self, framing: Framing) {
        self.framing.set(framing);
    }

    pub(super) fn set_kept(&self, kept: bool) {
        self.kept.set(kept);
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// Bytes of the current request that were read so far.
    pub(super) fn read(&self) -> usize {
        self.read.get()
    }

    pub(super) fn add_read(&self, bytes: usize) {
        self.read.set(self.read.get().saturating_add(bytes));
    }

    /// Gives the current request its place; ends with it.
    pub(super) fn give_place(&self, permit: OwnedSemaphorePermit) {
        *self.place.borrow_mut() = Some(permit);
    }

    pub(super) fn has_place(&self) -> bool {
        self.place.borrow().is_some()
    }

    /// Lets the current request be large; ends with it.
    pub(super) fn allow_large(&self, permit: OwnedSemaphorePermit) {
        *self.large.borrow_mut() = Some(permit);
    }

    pub(super) fn is_large(&self) -> bool {
        self.large.borrow().is_some()
    }

    /// Remembers whom to wake when reading goes on.
    pub(super) fn refuse(&self, context: &Context<'_>) {
        let mut refused = self.refused.borrow_mut();
        match &mut *refused {
            Some(waker) => waker.clone_from(context.waker()),
            None => *refused = Some(context.waker().clone()),
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.refused.borrow_mut().take() {
            waker.wake();
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.wake();
    }

    /// A body that nobody wanted has come to its end: what it cost is given back, and the next request begins.
    pub(super) fn drained(&self) {
        self.read.set(0);
        self.large.take();
        self.place.take();
    }

    /// The request has its answer. What still comes of its body is thrown away.
    fn end(&self) {
        self.answered.set(self.answered.get() + 1);
        self.drained();
        self.enter(Phase::Head);
    }
}

fn gate_of(request: &Request) -> Rc<Gate> {
    Rc::clone(request.conn_data::<Rc<Gate>>().expect("every connection has a gate"))
}

/// `request` is answered with a refusal of its body.
pub(super) async fn declined(mut request: Request) {
    Turn::begin(&mut request).has_what_is_here().await;
}

/// One request and its answer; ends when the answer has been handed on in whole.
#[derive(Debug)]
pub(super) struct Turn {
    gate: Rc<Gate>,
    /// The buffer that the head was read into stays with its connection.
    had_large_head: bool,
}

impl Turn {
    /// The head of `request` has arrived.
    pub(super) fn begin(request: &mut Request) -> Self {
        let gate = gate_of(request);
        let had_large_head = gate.read() > SMALL_HEAD;
        match request.take_payload() {
            Payload::None => gate.enter(Phase::Answer),
            payload => {
                gate.set_framing(Framing::of_body(request));
                gate.enter(Phase::Body { wanted: false });
                let body = Body { payload, gate: Rc::clone(&gate) };
                *request.payload() = Payload::Stream { payload: Box::pin(body) };
            }
        }
        Self { gate, had_large_head }
    }

    /// Whether the connection costs more than others from now on, and so had better end.
    pub(super) fn had_large_head(&self) -> bool {
        self.had_large_head
    }

    /// Waits until what is here already of the body was handed on: a body that came with its head is no unread one, and
    /// the connection goes on behind it. The task that asks is the one that reads, so it is awake until then.
    async fn has_what_is_here(&self) {
        let gate = &self.gate;
        poll_fn(|_| if gate.kept.get() && !gate.framing().is_head() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// Waits for one of `places`, where there are any: those who have them are answered or cut off.
    pub(super) async fn begun(&self, places: Option<&Arc<Semaphore>>) -> Result<(), NoPlace> {
        self.has_what_is_here().await;
        let Some(places) = places.filter(|_| !self.gate.has_place()) else { return Ok(()) };
        let place = timeout(STALL_TIMEOUT, Arc::clone(places).acquire_owned()).await;
        let place = place.map_err(|_| NoPlace)?.map_err(|_| NoPlace)?;
        self.gate.give_place(place);
        Ok(())
    }
}

/// Too many requests are worked on or wait for their clients.
#[derive(Debug)]
pub(super) struct NoPlace;

impl Drop for Turn {
    fn drop(&mut self) {
        self.gate.end();
    }
}

/// The body of a request; the connection reads on only while somebody waits for more of it.
struct Body {
    payload: Payload,
    gate: Rc<Gate>,
}

impl Body {
    /// Unless the answer has come before the body.
    fn enter(&self, phase: Phase) {
        if matches!(self.gate.phase(), Phase::Body { .. }) {
            self.gate.enter(phase);
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = Pin::new(&mut self.payload).poll_next(context);
        self.enter(match &piece {
            Poll::Pending => Phase::Body { wanted: true },
            Poll::Ready(Some(Ok(_))) => Phase::Body { wanted: false },
            Poll::Ready(_) => Phase::Answer,
        });
        piece
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.enter(Phase::Answer);
    }
}

//! Whose turn it is on a connection: one request at a time is read, worked on and answered, and what the client
//! sends ahead waits in the kernel. The server underneath would read and parse it all meanwhile.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_http::{Payload, Request, error::PayloadError};
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;

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
    /// Nothing was begun since the connection last looked whether there is something to read.
    rested: Cell<bool>,
    /// Requests answered so far.
    answered: Cell<u64>,
    /// Bytes of the request so far.
    read: Cell<usize>,
    /// What allows a request to be large.
    large: RefCell<Option<OwnedSemaphorePermit>>,
    /// Who was told not to read.
    refused: RefCell<Option<Waker>>,
}

impl Gate {
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn rest(&self) {
        self.rested.set(true);
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
}

/// One request and its answer; ends when the answer has been handed on in whole.
#[derive(Debug)]
pub(super) struct Turn {
    gate: Rc<Gate>,
    follows: bool,
}

impl Turn {
    /// The head of `request` has arrived.
    pub(super) fn begin(request: &mut Request) -> Self {
        let gate = request.conn_data::<Rc<Gate>>().expect("every connection has a gate");
        let gate = Rc::clone(gate);
        match request.take_payload() {
            Payload::None => gate.enter(Phase::Answer),
            payload => {
                gate.enter(Phase::Body { wanted: false });
                let body = Body { payload, gate: Rc::clone(&gate) };
                *request.payload() = Payload::Stream { payload: Box::pin(body) };
            }
        }
        let follows = !gate.rested.replace(false);
        Self { gate, follows }
    }

    /// Lets other connections go first where this one has just been served: it was sent ahead.
    pub(super) async fn begun(&self) {
        if self.follows {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let gate = &self.gate;
        gate.answered.set(gate.answered.get() + 1);
        gate.read.set(0);
        gate.large.take();
        gate.enter(Phase::Head);
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

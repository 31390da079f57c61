//! The server's side of one connection: it reads what is due and no more, and ends with a client that does not read,
//! or does not come to the end of its request.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};
use tokio_util::{sync::PollSemaphore, task::task_tracker::TaskTrackerToken};

use super::{
    bounds::{HEAD_TIMEOUT, KEEP_ALIVE, SMALL_HEAD, STALL_TIMEOUT},
    gate::{Gate, Phase},
};

/// A request that is larger needs a place among the large ones.
const SMALL_REQUEST: usize = 20 * 1024;
/// Least that a client takes of an answer in [`STALL_TIMEOUT`], once it keeps us waiting. The kernel tells in steps of
/// some KiB.
const LEAST_TAKEN: usize = 16 * 1024;
/// Most that is thrown away of what a client sent ahead when its connection ends.
const THROWN_AWAY: usize = 64 * 1024;
/// What the server underneath ends by itself is left to it.
const MARGIN: Duration = Duration::from_secs(1);

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    io: TcpStream,
    gate: Rc<Gate>,
    /// Places for requests.
    places: PollSemaphore,
    /// Places for large ones.
    large: PollSemaphore,
    /// Requests answered when `reading` began.
    answered: u64,
    /// For how long the request, or its next byte, has been waited for.
    reading: Deadline,
    /// What was read behind the end of a head or of a body; less than a kilobyte.
    kept: Bytes,
    /// A head or a body has ended, or a buffer is full: what was read is to be looked at before more is.
    look: bool,
    /// Since when the client has kept us waiting.
    writing: Deadline,
    /// What it has taken since.
    taken: usize,
    /// It takes nothing more at this moment.
    blocked: bool,
    _open: TaskTrackerToken,
}

impl Connection {
    pub(super) fn new(io: TcpStream, places: Arc<Semaphore>, large: Arc<Semaphore>, open: TaskTrackerToken) -> Self {
        Self {
            io,
            gate: Rc::default(),
            places: PollSemaphore::new(places),
            large: PollSemaphore::new(large),
            answered: 0,
            reading: Deadline::default(),
            kept: Bytes::new(),
            look: false,
            writing: Deadline::default(),
            taken: 0,
            blocked: false,
            _open: open,
        }
    }

    pub(super) fn gate(&self) -> Rc<Gate> {
        Rc::clone(&self.gate)
    }

    /// Nothing came. A client that takes too long is treated as one that left.
    fn nothing_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let within = match (self.gate.phase(), self.gate.read()) {
            (Phase::Head, 0) => KEEP_ALIVE,
            (Phase::Head, _) => HEAD_TIMEOUT,
            // Whoever reads the body looks at the time.
            _ => return Poll::Pending,
        };
        if self.reading.is_over(within + MARGIN, context) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Whether a request that has begun takes too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.gate.phase() == Phase::Head && self.gate.read() > 0 && self.reading.is_over(HEAD_TIMEOUT + MARGIN, context)
    }

    /// Whether more is wanted of what the client sends.
    fn is_due(&self) -> bool {
        match self.gate.phase() {
            Phase::Head => !self.blocked,
            // What is here already of a body keeps nobody from going on without it.
            Phase::Body { wanted } => !self.gate.framing().is_head() && (wanted || !self.kept.is_empty()),
            Phase::Answer => false,
        }
    }

    /// Reads at most so much as is expected, and hands on what belongs to the head or the body that comes now.
    fn read_part(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let mut framing = self.gate.framing();
        let most = framing.most().min(buffer.remaining());
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        if self.kept.is_empty() {
            ready!(Pin::new(&mut self.io).poll_read(context, &mut piece))?;
        } else {
            let length = most.min(self.kept.len());
            piece.put_slice(&self.kept[..length]);
            self.kept.advance(length);
        }
        let taken = framing.take(piece.filled());
        let behind = &piece.filled()[taken.length..];
        if !behind.is_empty() {
            self.kept = [behind, &self.kept].concat().into();
        }
        self.look = taken.ends || taken.length == most;
        self.gate.set_framing(framing);
        self.gate.set_kept(!self.kept.is_empty());
        buffer.advance(taken.length);
        Poll::Ready(Ok(taken.length))
    }

    /// Whether the request may go on; one that costs more may have to wait until others end.
    fn has_room(&mut self, context: &mut Context<'_>) -> bool {
        let read = self.gate.read();
        if read >= SMALL_HEAD && self.gate.phase() == Phase::Head && !self.gate.has_place() {
            let Some(place) = taken(&mut self.places, context) else { return false };
            self.gate.give_place(place);
        }
        if read >= SMALL_REQUEST && !self.gate.is_large() {
            let Some(place) = taken(&mut self.large, context) else { return false };
            self.gate.allow_large(place);
        }
        true
    }
}

/// Nobody closes the places; without one there is no room.
fn taken(places: &mut PollSemaphore, context: &mut Context<'_>) -> Option<OwnedSemaphorePermit> {
    match places.poll_acquire(context) {
        Poll::Ready(place) => place,
        Poll::Pending => None,
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.answered != this.gate.answered() {
            this.answered = this.gate.answered();
            this.reading.clear();
            // The last request may still stand in line.
            this.places = PollSemaphore::new(this.places.clone_inner());
            this.large = PollSemaphore::new(this.large.clone_inner());
        }
        if !this.is_due() {
            this.gate.refuse(context);
            return Poll::Pending;
        }
        // Also where something always comes, as of a body without end that nobody wants.
        if this.is_late(context) {
            return Poll::Ready(Ok(()));
        }
        if std::mem::take(&mut this.look) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.kept.is_empty() && !this.has_room(context) {
            return this.nothing_read(context);
        }
        let was_body = !this.gate.framing().is_head();
        let Poll::Ready(read) = this.read_part(context, buffer)? else { return this.nothing_read(context) };
        if this.gate.read() == 0 {
            this.reading.clear();
        }
        this.gate.add_read(read);
        if was_body && this.gate.phase() == Phase::Head && this.gate.framing().is_head() {
            this.gate.drained();
            this.reading.clear();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, buffer);
        if let Poll::Ready(Ok(taken)) = &written {
            this.taken = this.taken.saturating_add(*taken);
            return written;
        }
        if written.is_ready() {
            return written;
        }
        this.blocked = true;
        while this.writing.is_over(STALL_TIMEOUT, context) {
            if this.taken < LEAST_TAKEN {
                // Closing alone would leave the kernel with what was not taken.
                this.io.set_zero_linger()?;
                let error = io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answers");
                return Poll::Ready(Err(error));
            }
            this.taken = 0;
            this.writing.clear();
        }
        Poll::Pending
    }

    /// Called when everything has been written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.blocked) {
            this.gate.wake();
        }
        // Within an answer the time goes on: each of its pieces is written for itself.
        if this.gate.phase() == Phase::Head {
            this.writing.clear();
            this.taken = 0;
        }
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
        // A connection that is closed with something unread is reset, and the end of its answer may be lost.
        let mut scrap = [0; 1024];
        for _ in 0..THROWN_AWAY / scrap.len() {
            if !matches!(this.io.try_read(&mut scrap), Ok(1..)) {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A time limit that begins when it is first asked about.
#[derive(Debug, Default)]
struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    is_set: bool,
}

impl Deadline {
    /// Whether `limit` has passed since the first question; otherwise the task is woken when it has.
    fn is_over(&mut self, limit: Duration, context: &mut Context<'_>) -> bool {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !std::mem::replace(&mut self.is_set, true) {
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(context).is_ready()
    }

    fn clear(&mut self) {
        self.is_set = false;
    }
}

//! A socket that carries PDUs, with what was read and not understood yet, and what is still to be written.

use std::io;

use bytes::BytesMut;
use smpp::{Frame, NotSmpp, Pdu};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};

/// Bytes that are read at once.
const READ_AT_ONCE: usize = 16 * 1024;
/// With so many bytes to be written nothing is read: an SMSC that does not read is not served.
const MOST_UNWRITTEN: usize = 256 * 1024;

/// One end of a session.
pub(super) struct Link<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    received: BytesMut,
    unwritten: BytesMut,
    needs_flush: bool,
    /// Bytes that were given to the socket so far.
    written: u64,
}

/// Why a link is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the SMSC closed the connection")]
    Closed,
    #[error("the connection was lost: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    NotSmpp(#[from] NotSmpp),
}

impl<S: AsyncRead + AsyncWrite> Link<S> {
    pub(super) fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (received, unwritten) = (BytesMut::new(), BytesMut::new());
        Self { reader, writer, received, unwritten, needs_flush: false, written: 0 }
    }

    /// Has a PDU written; tells after how many bytes.
    pub(super) fn put(&mut self, pdu: &Pdu) -> u64 {
        let offset = self.written + self.unwritten.len() as u64;
        pdu.write(&mut self.unwritten);
        offset
    }

    /// Whether more may be put.
    pub(super) fn takes_more(&self) -> bool {
        self.unwritten.len() < MOST_UNWRITTEN
    }

    /// Whether nothing is left to be written.
    pub(super) fn all_written(&self) -> bool {
        self.unwritten.is_empty() && !self.needs_flush
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The next PDU that is here as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, NotSmpp> {
        Frame::take(&mut self.received)
    }

    /// Reads or writes some bytes. Cancel safe: what it has not told of has not happened.
    pub(super) async fn step(&mut self) -> Result<(), Broken> {
        let is_read = self.takes_more();
        let has_unwritten = !self.unwritten.is_empty();
        if is_read {
            self.received.reserve(READ_AT_ONCE);
        }
        tokio::select! {
            written = write_some(&mut self.writer, &mut self.unwritten), if has_unwritten || self.needs_flush => {
                match written {
                    Ok(written) => self.written += written as u64,
                    Err(error) => {
                        // TLS may have sent some of it before it failed, and does not say how much.
                        self.written += self.unwritten.len() as u64;
                        return Err(error.into());
                    }
                }
                self.needs_flush = has_unwritten;
            }
            read = self.reader.read_buf(&mut self.received), if is_read => {
                if read? == 0 {
                    return Err(Broken::Closed);
                }
            }
        }
        Ok(())
    }

    /// Waits for the next PDU.
    pub(super) async fn receive(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(frame);
            }
            self.step().await?;
        }
    }

    /// Has bytes written that are no PDU.
    #[cfg(test)]
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.unwritten.extend_from_slice(bytes);
    }

    /// The socket itself.
    #[cfg(test)]
    pub(super) fn into_stream(self) -> S
    where
        S: Unpin,
    {
        self.reader.unsplit(self.writer)
    }

    /// Closes the socket, as far as the other side lets it be closed in order.
    pub(super) async fn close(&mut self) {
        let _closed = self.writer.shutdown().await;
    }
}

/// Writes some bytes, or sees to it that those before are on their way. Cancel safe, as it waits but once.
async fn write_some(writer: &mut (impl AsyncWrite + Unpin), unwritten: &mut BytesMut) -> io::Result<usize> {
    if unwritten.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write_buf(unwritten).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

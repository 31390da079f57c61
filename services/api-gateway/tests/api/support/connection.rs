//! One HTTP/1.1 connection, bare: no retries, no redirects, nothing added.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{Answer, Request};

/// After this a gateway that does not answer counts as hanging.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// An open connection to a gateway.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer }
    }

    /// Sends the request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Answer {
        self.exchange_bytes(&request.bytes(), request.method == "HEAD").await.expect("an answer")
    }

    /// Sends bytes while reading the answer, as the gateway may answer before it has read all. `None` where the
    /// connection closes instead.
    pub(crate) async fn exchange_bytes(&mut self, bytes: &[u8], is_head: bool) -> Option<Answer> {
        let Self { reader, writer } = self;
        // The gateway may close while we write: the answer tells.
        let write = async { writer.write_all(bytes).await.is_ok() };
        let (_, answer) = tokio::join!(timeout(DEADLINE, write), timeout(DEADLINE, read_answer(reader, is_head)));
        answer.expect("an answer or a closed connection in time")
    }

    /// The same for bytes after which nothing more comes, so that the gateway need not wait for the rest.
    pub(crate) async fn exchange_bytes_and_finish(&mut self, bytes: &[u8]) -> Option<Answer> {
        let Self { reader, writer } = self;
        let write = async { writer.write_all(bytes).await.is_ok() && writer.shutdown().await.is_ok() };
        let (_, answer) = tokio::join!(timeout(DEADLINE, write), timeout(DEADLINE, read_answer(reader, false)));
        answer.expect("an answer or a closed connection in time")
    }

    /// An interim answer (`100 Continue`): its status line.
    pub(crate) async fn interim(&mut self) -> String {
        let line = timeout(DEADLINE, read_line(&mut self.reader)).await.expect("in time").expect("an answer");
        let end = timeout(DEADLINE, read_line(&mut self.reader)).await.expect("in time");
        assert_eq!(end.as_deref(), Some(""), "an interim answer without headers");
        line
    }

    /// Sends bytes and waits for nothing.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.expect("the gateway reads");
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish_writing(&mut self) {
        self.writer.shutdown().await.expect("the connection is open");
    }

    /// The next answer, or `None` where the connection closes.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        timeout(DEADLINE, read_answer(&mut self.reader, false)).await.expect("an answer or a close in time")
    }

    /// Whether the gateway closes the connection without a further word.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.answer().await.is_none()
    }
}

async fn read_answer(reader: &mut (impl AsyncBufRead + Unpin), is_head: bool) -> Option<Answer> {
    let status_line = read_line(reader).await?;
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').expect("a header");
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if !is_head && status != 204 {
        let length = answer.header("Content-Length").expect("bodies have a length").parse().expect("a length");
        answer.body = vec![0; length];
        reader.read_exact(&mut answer.body).await.ok()?;
    }
    Some(answer)
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    // A reset is a close, too.
    let read = reader.read_until(b'\n', &mut line).await.unwrap_or(0);
    let line = (read > 0).then_some(line)?;
    Some(String::from_utf8(line).expect("heads are text").trim_end().to_owned())
}

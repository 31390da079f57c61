//! A bare SMPP client: it shows what an SMSC really does with a connection.

use std::net::SocketAddr;

use bytes::BytesMut;
use operator_simulator::Smsc;
use smpp::{Address, Bind, BindMode, Body, Frame, Pdu, Receipt, Response, Sm, Status};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::smsc::DEADLINE;

/// One connection.
pub(crate) struct Esme<S = TcpStream> {
    stream: S,
    input: BytesMut,
    last_sequence: u32,
}

/// A request for a session with this secret.
pub(crate) fn bind_as(system_id: &str, password: &str) -> Bind {
    let (system_id, password) = (system_id.to_owned(), password.to_owned());
    Bind { system_id, password, interface_version: 0x34, ..Bind::default() }
}

/// A message that asks for receipts.
pub(crate) fn message(recipient: &str) -> Sm {
    Sm {
        source: Address::source("BANK"),
        destination: Address::destination(recipient),
        registered_delivery: 1,
        short_message: "hi".into(),
        ..Sm::default()
    }
}

impl Esme {
    /// Connects, without a session.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.expect("the SMSC listens"))
    }

    /// Connects and gets a session.
    pub(crate) async fn bound(smsc: &Smsc, mode: BindMode) -> Self {
        let mut esme = Self::connect(smsc.address()).await;
        assert_eq!(esme.bind(mode, bind_as("esme1", "secret")).await, Status::OK);
        esme
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Esme<S> {
    pub(crate) fn on(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), last_sequence: 0 }
    }

    pub(crate) async fn bind(&mut self, mode: BindMode, bind: Bind) -> Status {
        let sequence = self.request(Body::Bind(mode, bind)).await;
        let answer = self.next().await;
        assert_eq!(answer.sequence, sequence);
        assert!(matches!(answer.body, Body::BindResp(answered, _) if answered == mode), "{answer:?}");
        answer.status
    }

    /// Sends a request, and returns its number.
    pub(crate) async fn request(&mut self, body: Body) -> u32 {
        self.last_sequence += 1;
        self.send(&[Pdu::request(self.last_sequence, body)]).await;
        self.last_sequence
    }

    /// Sends all of these at once.
    pub(crate) async fn send(&mut self, pdus: &[Pdu]) {
        let mut bytes = BytesMut::new();
        for pdu in pdus {
            pdu.write(&mut bytes);
        }
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the SMSC reads");
        self.stream.flush().await.expect("the SMSC reads");
    }

    /// Sends a message to each of these at once, and returns the number of the first.
    pub(crate) async fn submit_all(&mut self, recipients: &[&str]) -> u32 {
        let first = self.last_sequence + 1;
        let pdus: Vec<_> = (first..)
            .zip(recipients)
            .map(|(sequence, recipient)| Pdu::request(sequence, Body::SubmitSm(Box::new(message(recipient)))))
            .collect();
        self.last_sequence += u32::try_from(pdus.len()).expect("a few");
        self.send(&pdus).await;
        first
    }

    /// Submits a message and returns its answer: the status and the id. Nothing else may come before it.
    pub(crate) async fn submit(&mut self, recipient: &str) -> (Status, String) {
        let sequence = self.submit_all(&[recipient]).await;
        let (answered, status, id) = self.answer().await;
        assert_eq!(answered, sequence);
        (status, id)
    }

    /// The next PDU, which answers a submit: its number, the status and the id.
    pub(crate) async fn answer(&mut self) -> (u32, Status, String) {
        match self.next().await {
            Pdu { status, sequence, body: Body::SubmitSmResp(Response { message_id }) } => {
                (sequence, status, message_id)
            }
            other => panic!("no answer to a submit: {other:?}"),
        }
    }

    /// The next PDU, which is a receipt, with its number.
    pub(crate) async fn receipt(&mut self) -> (u32, Receipt) {
        match self.next().await {
            Pdu { sequence, body: Body::DeliverSm(sm), .. } => (sequence, Receipt::of(&sm).expect("a receipt")),
            other => panic!("no receipt: {other:?}"),
        }
    }

    /// The same, answered with `status`.
    pub(crate) async fn receipt_answered(&mut self, status: Status) -> Receipt {
        let (sequence, receipt) = self.receipt().await;
        self.send(&[Pdu::response(sequence, status, Body::DeliverSmResp(Response::default()))]).await;
        receipt
    }

    /// The next PDU.
    pub(crate) async fn next(&mut self) -> Pdu {
        self.next_or_end().await.expect("the SMSC did not close")
    }

    /// The next PDU; `None` where the SMSC closed.
    pub(crate) async fn next_or_end(&mut self) -> Option<Pdu> {
        loop {
            if let Some(frame) = Frame::take(&mut self.input).expect("SMPP") {
                return Some(Pdu::read(frame).expect("a PDU"));
            }
            let read = timeout(DEADLINE, self.stream.read_buf(&mut self.input)).await.expect("something comes in time");
            // A reset is an end as well as an orderly close.
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }
}

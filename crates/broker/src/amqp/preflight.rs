//! The conversation with which a connection begins, held once before amqprs holds it, to learn what that one hides.
//!
//! RabbitMQ closes the socket on a wrong password without a word unless the client has said that it understands
//! `authentication_failure_close`, which amqprs 2.1.5 does not say. And amqprs agrees to every heartbeat that the server
//! proposes, but sends its own every half of it in whole seconds: at one second, without a pause.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::frames::{self, Method, Unexpected};
use crate::uri::Server;

/// The shortest heartbeat in seconds that amqprs can keep.
const SHORTEST_HEARTBEAT: u16 = 2;

/// How long the broker may take to agree to the end of this conversation, which is of no use any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the broker would not serve a connection. Without the password, which it never repeats.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("connecting failed: {0}")]
    Unreachable(io::Error),
    #[error("TLS could not be set up: {0} (is it the port for amqps?)")]
    Tls(io::Error),
    #[error("{0}")]
    NoBroker(Unexpected),
    #[error("it closed the connection after the login: the user, the password or the virtual host may be wrong ({0})")]
    ClosedAfterLogin(Unexpected),
    #[error("it refuses the user or the password of the broker uri: {code} {text}")]
    Login { code: u16, text: String },
    #[error("it refuses the virtual host of the broker uri: {code} {text}")]
    VirtualHost { code: u16, text: String },
    #[error(
        "it asks for a heartbeat of {0} s, and fewer than {SHORTEST_HEARTBEAT} cannot be kept: set heartbeat = \
         {SHORTEST_HEARTBEAT} or more in its rabbitmq.conf"
    )]
    Heartbeat(u16),
    #[error("it said {0:?} where it should have agreed")]
    Unasked(Method),
}

/// Asks the broker for a connection as `name`, and says good-bye when it agrees. Cancel safe: a connection of its own.
pub(super) async fn ask(server: &Server, name: &str) -> Result<(), Refusal> {
    let stream = TcpStream::connect(server.address()).await.map_err(Refusal::Unreachable)?;
    match &server.tls {
        None => converse(stream, server, name).await,
        Some(tls) => {
            let stream = tls.connector.connect(tls.name.clone(), stream).await.map_err(Refusal::Tls)?;
            converse(stream, server, name).await
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    server: &Server,
    name: &str,
) -> Result<(), Refusal> {
    stream.write_all(frames::PROTOCOL).await.map_err(|error| Refusal::NoBroker(error.into()))?;
    match frames::read(&mut stream).await.map_err(Refusal::NoBroker)? {
        Method::Start => {}
        Method::Close { code, text } => return Err(Refusal::Login { code, text }),
        other => return Err(Refusal::Unasked(other)),
    }
    let heartbeat = log_in(&mut stream, server, name).await?;
    // None at all is fine: then ours counts.
    if (1..SHORTEST_HEARTBEAT).contains(&heartbeat) {
        return Err(Refusal::Heartbeat(heartbeat));
    }
    send(&mut stream, frames::open(&server.vhost)).await?;
    match frames::read(&mut stream).await.map_err(Refusal::ClosedAfterLogin)? {
        Method::OpenOk => {}
        Method::Close { code, text } => return Err(Refusal::VirtualHost { code, text }),
        other => return Err(Refusal::Unasked(other)),
    }
    send(&mut stream, frames::close()).await?;
    let _agreed_or_not = timeout(FAREWELL, frames::read(&mut stream)).await;
    Ok(())
}

/// The heartbeat that the broker proposes to who has logged in.
async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    server: &Server,
    name: &str,
) -> Result<u16, Refusal> {
    send(stream, frames::start_ok(name, &server.user, &server.password)).await?;
    match frames::read(stream).await.map_err(Refusal::ClosedAfterLogin)? {
        Method::Tune { channels, frame, heartbeat } => {
            send(stream, frames::tune_ok(channels, frame)).await?;
            Ok(heartbeat)
        }
        Method::Close { code, text } => Err(Refusal::Login { code, text }),
        other => Err(Refusal::Unasked(other)),
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, frame: Vec<u8>) -> Result<(), Refusal> {
    stream.write_all(&frame).await.map_err(|error| Refusal::ClosedAfterLogin(error.into()))
}

//! From an address to a bound session: TCP, TLS where it is asked for, and the bind.

use std::{io, path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject as _},
};
use smpp::{Bind, BindMode, Body, Pdu, Status};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    config::{SmppConfig, Trust},
    link::{Broken, Link},
};

/// What an SMSC may send before it answers a bind.
const MOST_EARLY: usize = 1_000;

/// What carries a session.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSession {
    /// No connection could be made.
    #[error("could not connect: {0}")]
    Connect(#[source] io::Error),
    /// The SMSC's certificate is not accepted, or it speaks no TLS.
    #[error("could not make a TLS session: {0}")]
    Tls(#[source] io::Error),
    /// It took too long.
    #[error("could not connect and bind within {0:?}")]
    TooLong(Duration),
    /// The connection ended before the bind was answered.
    #[error("the bind was not answered: {0}")]
    Broken(#[from] Broken),
    /// The SMSC gives no session.
    #[error("the SMSC refused the bind with {0}")]
    Refused(Status),
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of the authority cannot be read, or holds no certificate.
    #[error("could not read certificates from the file of parameter ca")]
    File(#[source] rustls::pki_types::pem::Error),
    /// It holds what is none.
    #[error("the file of parameter ca holds a certificate that cannot be used, or none")]
    Certificate,
    /// The machine has no authorities.
    #[error(
        "this machine has no root certificates; install ca-certificates, or name the SMSC's authority with parameter ca"
    )]
    NoRoots,
    /// The host is no name that a certificate can have.
    #[error("the host is no name or address that a certificate can have")]
    Host(#[from] InvalidDnsNameError),
    /// The library refuses.
    #[error("could not set up TLS")]
    Library(#[from] rustls::Error),
}

/// Makes sessions with one SMSC.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    pub(super) fn new(config: &SmppConfig) -> Result<Self, TlsError> {
        let Some(trust) = &config.tls else { return Ok(Self { tls: None }) };
        let roots = match trust {
            Trust::System => system_roots()?,
            Trust::File(path) => roots_of(path)?,
        };
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(config.host.clone())?;
        Ok(Self { tls: Some((TlsConnector::from(Arc::new(client)), name)) })
    }

    /// Connects and binds, within the operator's time for that. With the link comes what the SMSC sent before its answer.
    pub(super) async fn bind(
        &self,
        config: &SmppConfig,
        mode: BindMode,
    ) -> Result<(Link<Box<dyn Stream>>, Vec<Pdu>), NoSession> {
        let limit = config.connect_timeout;
        timeout(limit, async {
            let mut link = Link::new(self.connect(config).await?);
            let early = bind(&mut link, config, mode).await?;
            Ok((link, early))
        })
        .await
        .unwrap_or(Err(NoSession::TooLong(limit)))
    }

    async fn connect(&self, config: &SmppConfig) -> Result<Box<dyn Stream>, NoSession> {
        let stream = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(NoSession::Connect)?;
        stream.set_nodelay(true).map_err(NoSession::Connect)?;
        let Some((connector, name)) = &self.tls else { return Ok(Box::new(stream)) };
        let stream = connector.connect(name.clone(), stream).await.map_err(NoSession::Tls)?;
        Ok(Box::new(stream))
    }
}

/// Asks for a session, as number one of it.
async fn bind<S: AsyncRead + AsyncWrite>(
    link: &mut Link<S>,
    config: &SmppConfig,
    mode: BindMode,
) -> Result<Vec<Pdu>, NoSession> {
    const NUMBER: u32 = 1;
    let mut early = Vec::new();
    let bind = Bind {
        system_id: config.system_id.clone(),
        password: config.password.clone(),
        system_type: config.system_type.clone(),
        interface_version: config.version,
        address_range: config.address_range.clone(),
        ..Bind::default()
    };
    link.put(&Pdu::request(NUMBER, Body::Bind(mode, bind)));
    loop {
        let Ok(Pdu { status, sequence, body }) = Pdu::read(link.receive().await?) else { continue };
        match body {
            Body::BindResp(..) if status == Status::OK => return Ok(early),
            Body::BindResp(..) => return Err(NoSession::Refused(status)),
            Body::GenericNack if sequence == NUMBER || sequence == 0 => return Err(NoSession::Refused(status)),
            Body::EnquireLink => {
                link.put(&Pdu::response(sequence, Status::OK, Body::EnquireLinkResp));
            }
            // Receipts that wait for us: left without an answer they would hold up what is behind them.
            body @ (Body::DeliverSm(_) | Body::DataSm(_)) if early.len() < MOST_EARLY => {
                early.push(Pdu { status, sequence, body });
            }
            // Nothing else has a meaning before the bind.
            _ => {}
        }
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(TlsError::File)? {
        roots.add(certificate.map_err(TlsError::File)?).map_err(|_| TlsError::Certificate)?;
    }
    if roots.is_empty() { Err(TlsError::Certificate) } else { Ok(roots) }
}

//! What one SMPP operator is like: its URL, and what the URL's parameters mean.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use smpp::{Charset, Long, Status, SubmitClass};
use url::Url;

use super::parameters::{self, Parameters, Wrong};

/// Where SMSCs listen where nothing else is said, without and with TLS.
const PORTS: (u16, u16) = (2775, 3550);
/// Longest user and secret, in bytes.
const MAX_SYSTEM_ID: usize = 15;
const MAX_PASSWORD: usize = 64;

/// One SMPP operator: where it is, who we are there, and how it wants messages.
#[derive(Clone, PartialEq, Eq)]
pub struct SmppConfig {
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The certificate authority that alone is trusted, or the system's where none is named; `None` without TLS.
    pub tls: Option<Trust>,
    pub(super) system_id: String,
    pub(super) password: String,
    /// Which sessions there are.
    pub bind: Binding,
    /// Sessions of this process; twice as many sockets with [`Binding::Pair`]. At least 1.
    pub binds: u16,
    /// Unanswered messages of a session at most, at least 1.
    pub window: u16,
    /// Segments a second of this process at most; 0 is without a limit.
    pub tps: u32,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long connecting, the TLS handshake and the bind may take together.
    pub connect_timeout: Duration,
    /// After so long without a PDU the SMSC is asked whether it is there.
    pub enquire_after: Duration,
    pub(super) source: Plan,
    pub(super) destination: Plan,
    pub(super) plain: Charset,
    pub(super) long: Long,
    /// Which receipts are asked for.
    pub receipts: Receipts,
    pub(super) validity: Validity,
    pub(super) receipt_id: ReceiptId,
    /// What is done about a message that the SMSC may have.
    pub unknown: UnknownRule,
    pub(super) statuses: BTreeMap<u32, SubmitClass>,
    pub(super) system_type: String,
    pub(super) service_type: String,
    pub(super) version: u8,
    pub(super) address_range: String,
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The machine's authorities.
    System,
    /// Those of this PEM file alone.
    File(PathBuf),
}

/// Which sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Transceivers.
    Transceiver,
    /// Transmitters: no receipts come.
    Transmitter,
    /// A transmitter and a receiver, for SMSCs without transceivers.
    Pair,
}

/// Which receipts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipts {
    /// Of every end.
    All,
    /// Where a message is not delivered.
    Failure,
    /// None.
    None,
}

/// How an SMSC is told for how long a message is worth delivering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    /// So long from when it gets it.
    Relative,
    /// Until that time, in UTC.
    Absolute,
    /// It is not told.
    None,
}

/// How ids in receipts are written, as against those in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiptId {
    /// In the same way, or as the same number in other digits: both are tried.
    Auto,
    /// In the same way.
    Same,
    /// Answers are hexadecimal, receipts decimal.
    HexDec,
    /// The other way round.
    DecHex,
}

/// What is done about a message that an SMSC may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownRule {
    /// It is sent again later: late is worse than twice.
    Resubmit,
    /// It is never sent again: a late answer or a receipt tells, or nobody ever knows.
    Hold,
}

/// Type of number and numbering plan, where they are not found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub(super) ton: Option<u8>,
    pub(super) npi: Option<u8>,
}

/// What is wrong with the URL of an operator. Values are not repeated: a URL holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WrongUrl {
    /// It is none of these at all.
    Form,
    /// A parameter is not known, or has a value that is not accepted.
    Parameter { parameter: String, expected: String },
}

impl SmppConfig {
    /// Reads `smpp://user:secret@host:port?parameter=value`.
    pub(crate) fn parse(url: &Url) -> Result<Self, WrongUrl> {
        let wrong = |Wrong { parameter, expected }| WrongUrl::Parameter { parameter, expected };
        let decoded = |part| parameters::decode(part).ok_or(WrongUrl::Form);
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(WrongUrl::Form)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() || url.port() == Some(0) {
            return Err(WrongUrl::Form);
        }
        let has_tls = url.scheme() == "smpps";
        let (system_id, password) = (decoded(url.username())?, decoded(url.password().unwrap_or_default())?);
        for (part, name, most) in [(&system_id, "the user", MAX_SYSTEM_ID), (&password, "the password", MAX_PASSWORD)] {
            if part.len() > most
                || part.contains('\0')
                || !part.chars().all(|character| u8::try_from(character).is_ok())
            {
                return Err(wrong(Wrong::new(name, format!("at most {most} bytes of ISO 8859-1"))));
            }
        }
        let mut given = Parameters::read(url.query().unwrap_or_default()).map_err(wrong)?;
        let mut config = Self::of(&mut given, has_tls).map_err(wrong)?;
        given.all_used().map_err(wrong)?;
        host.trim_start_matches('[').trim_end_matches(']').clone_into(&mut config.host);
        config.port = url.port().unwrap_or(if has_tls { PORTS.1 } else { PORTS.0 });
        (config.system_id, config.password) = (system_id, password);
        Ok(config)
    }

    fn of(given: &mut Parameters, has_tls: bool) -> Result<Self, Wrong> {
        use parameters::{milliseconds, seconds};
        let ca = given.text("ca", 4_096)?.map(PathBuf::from);
        if ca.is_some() && !has_tls {
            return Err(Wrong::new("ca", "only with smpps://"));
        }
        let mut statuses = BTreeMap::new();
        for (name, class) in
            [("temporary", SubmitClass::Temporary), ("reject", SubmitClass::Rejected(smpp::Fault::Message))]
        {
            statuses.extend(given.statuses(name)?.into_iter().map(|status| (status, class)));
        }
        // That the SMSC took it is no matter of opinion.
        statuses.remove(&Status::OK.0);
        let bind = given
            .choice("bind", &[("trx", Binding::Transceiver), ("tx", Binding::Transmitter), ("tx+rx", Binding::Pair)])?;
        Ok(Self {
            host: String::new(),
            port: 0,
            tls: has_tls.then(|| ca.map_or(Trust::System, Trust::File)),
            system_id: String::new(),
            password: String::new(),
            bind,
            binds: given.number("binds", 1, 1..=100)?,
            window: given.number("window", 10, 1..=1_000)?,
            tps: given.number("tps", 0, 0..=100_000)?,
            timeout: given.number("timeout_ms", 10_000, 100..=60_000).map(milliseconds)?,
            connect_timeout: given.number("connect_ms", 5_000, 100..=60_000).map(milliseconds)?,
            enquire_after: given.number("enquire_s", 30, 1..=3_600).map(seconds)?,
            source: Plan { ton: given.octet("src_ton")?, npi: given.octet("src_npi")? },
            destination: Plan { ton: given.octet("dst_ton")?, npi: given.octet("dst_npi")? },
            plain: given.choice(
                "gsm",
                &[("gsm0338", Charset::Gsm0338), ("latin1", Charset::Latin1), ("ascii", Charset::Ascii)],
            )?,
            long: given.choice(
                "long",
                &[("udh", Long::Udh), ("udh16", Long::Udh16), ("sar", Long::Sar), ("payload", Long::Payload)],
            )?,
            receipts: given.choice("receipts", receipts_of(bind))?,
            validity: given.choice(
                "validity",
                &[("relative", Validity::Relative), ("absolute", Validity::Absolute), ("none", Validity::None)],
            )?,
            receipt_id: given.choice(
                "receipt_id",
                &[
                    ("auto", ReceiptId::Auto),
                    ("same", ReceiptId::Same),
                    ("hex_dec", ReceiptId::HexDec),
                    ("dec_hex", ReceiptId::DecHex),
                ],
            )?,
            unknown: given.choice("unknown", &[("resubmit", UnknownRule::Resubmit), ("hold", UnknownRule::Hold)])?,
            statuses,
            system_type: given.text("system_type", 12)?.unwrap_or_default(),
            service_type: given.text("service_type", 5)?.unwrap_or_default(),
            version: given.choice("version", &[("34", 0x34), ("50", 0x50), ("33", 0x33)])?,
            address_range: given.text("addr_range", 40)?.unwrap_or_default(),
        })
    }

    /// What a status means for a message here.
    pub(super) fn class_of(&self, status: Status) -> SubmitClass {
        self.statuses.get(&status.0).copied().unwrap_or_else(|| status.submit_class())
    }

    /// Whether receipts of what it took come on its sessions.
    pub fn reports(&self) -> bool {
        self.receipts != Receipts::None && self.bind != Binding::Transmitter
    }

    /// How long a message may wait for a session with room for it.
    pub(crate) fn wait(&self) -> Duration {
        self.timeout / 2
    }

    /// How long one attempt may take: waiting, the answer, and a second for what is between.
    pub(crate) fn attempt(&self) -> Duration {
        self.wait() + self.timeout + Duration::from_secs(1)
    }
}

/// The first is the default: none where nobody could hear them. Who asks for them all the same gets them in another way.
fn receipts_of(bind: Binding) -> &'static [(&'static str, Receipts)] {
    const ALL: (&str, Receipts) = ("all", Receipts::All);
    const FAILURE: (&str, Receipts) = ("failure", Receipts::Failure);
    const NONE: (&str, Receipts) = ("none", Receipts::None);
    match bind {
        Binding::Transmitter => &[NONE, ALL, FAILURE],
        Binding::Transceiver | Binding::Pair => &[ALL, FAILURE, NONE],
    }
}

impl fmt::Debug for SmppConfig {
    /// Only where it is: the rest of the URL may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "smpps" } else { "smpp" };
        write!(f, "Smpp({scheme}://{}:{})", self.host, self.port)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn parsed(url: &str) -> Result<SmppConfig, WrongUrl> {
        SmppConfig::parse(&url.parse().expect("a URL"))
    }

    #[test]
    fn the_defaults_are_the_contracts() {
        let config = parsed("smpp://esme1:secret@smsc.example").expect("accepted");
        assert_eq!((config.host.as_str(), config.port, config.tls.clone()), ("smsc.example", 2775, None));
        assert_eq!((config.system_id.as_str(), config.password.as_str()), ("esme1", "secret"));
        assert_eq!((config.bind, config.binds, config.window, config.tps), (Binding::Transceiver, 1, 10, 0));
        let seconds = [config.timeout, config.connect_timeout, config.enquire_after].map(|time| time.as_secs());
        assert_eq!(seconds, [10, 5, 30]);
        assert_eq!((config.plain, config.long, config.receipts), (Charset::Gsm0338, Long::Udh, Receipts::All));
        assert_eq!((config.validity, config.receipt_id), (Validity::Relative, ReceiptId::Auto));
        assert_eq!((config.unknown, config.version, config.source), (UnknownRule::Resubmit, 0x34, Plan::default()));
        assert!(config.reports() && config.wait() == Duration::from_secs(5));
    }

    #[test]
    fn every_parameter_is_read() {
        let url = "smpps://us%3Aer:p%40ss%2Cw@[::1]:9000/?bind=tx+rx&binds=2&window=50&tps=100&timeout_ms=2000&connect_ms=900\
            &enquire_s=10&src_ton=5&src_npi=auto&dst_ton=2&dst_npi=8&gsm=latin1&long=sar&receipts=failure&validity=absolute\
            &receipt_id=hex_dec&unknown=hold&reject=400,0x401&temporary=0B&system_type=VMS&service_type=CMT&version=50\
            &addr_range=98&ca=/etc/smsc.pem";
        let config = parsed(url).expect("accepted");
        assert_eq!((config.host.as_str(), config.port), ("::1", 9000));
        assert_eq!((config.system_id.as_str(), config.password.as_str()), ("us:er", "p@ss,w"));
        assert_eq!(config.tls, Some(Trust::File("/etc/smsc.pem".into())));
        assert_eq!((config.bind, config.binds, config.window, config.tps), (Binding::Pair, 2, 50, 100));
        assert_eq!((config.source.ton, config.source.npi), (Some(5), None));
        assert_eq!((config.destination.ton, config.destination.npi), (Some(2), Some(8)));
        assert_eq!(config.class_of(Status(0x401)), SubmitClass::Rejected(smpp::Fault::Message));
        assert_eq!(config.class_of(Status(0x0B)), SubmitClass::Temporary);
        assert_eq!(config.class_of(Status::OK), SubmitClass::Accepted);
        assert_eq!((config.long, config.version, config.unknown), (Long::Sar, 0x50, UnknownRule::Hold));
        assert_eq!((config.system_type.as_str(), config.service_type.as_str()), ("VMS", "CMT"));
        assert_eq!(format!("{config:?}"), "Smpp(smpps://::1:9000)");
        let asked = |parameters: &str| parsed(&format!("smpp://h?{parameters}")).expect("accepted").receipts;
        assert_eq!((asked("bind=tx"), asked("bind=tx&receipts=all")), (Receipts::None, Receipts::All));
        for (bind, binding) in [("trx", Binding::Transceiver), ("tx", Binding::Transmitter), ("tx%2Brx", Binding::Pair)]
        {
            assert_eq!(parsed(&format!("smpp://h?bind={bind}")).expect("accepted").bind, binding);
        }
    }

    #[test]
    fn wrong_parameters_are_named_and_their_values_not_shown() {
        let long = format!("smpp://{}:x@h", "u".repeat(16));
        let secret = format!("smpp://u:{}@h", "s".repeat(65));
        for (url, name) in [
            ("smpp://h?windows=10", "windows"),
            ("smpp://h?window=0", "window"),
            ("smpp://h?window=hunter2", "window"),
            ("smpp://h?window=1001", "window"),
            ("smpp://h?window=1&window=2", "window"),
            ("smpp://h?bind=both", "bind"),
            ("smpp://h?src_ton=256", "src_ton"),
            ("smpp://h?reject=xyz", "reject"),
            ("smpp://h?ca=/a.pem", "ca"),
            ("smpp://h?system_type=0123456789012", "system_type"),
            ("smpp://h?version=40", "version"),
            ("smpp://h?=1", ""),
            (&long, "the user"),
            (&secret, "the password"),
        ] {
            match parsed(url) {
                Err(WrongUrl::Parameter { parameter, expected }) => {
                    assert_eq!(parameter, name, "{url}");
                    assert!(!expected.contains("hunter2"), "{expected}");
                }
                other => panic!("{url} gave {other:?}"),
            }
        }
        for url in ["smpp://h/path", "smpp://h#x", "smpp://h:0", "smpp:h", "smpp://u%ff@h"] {
            assert_eq!(parsed(url).expect_err(url), WrongUrl::Form, "{url}");
        }
    }
}

//! `operator-simulator --listen 127.0.0.1:0 --journal FILE --smsc 127.0.0.1:0`: see the library's documentation.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use operator_simulator::{Options, Simulator, Smsc, SmscOptions};
use tokio::signal::unix::{SignalKind, signal};

/// HTTP operators and SMSCs that accept, fail, stall or reset on demand and keep a journal.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A file to which every journal entry is appended as one line of JSON.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Most journal entries in memory, and most keys that each operator remembers.
    #[arg(long, default_value_t = Options::default().capacity)]
    capacity: usize,
    /// Where an SMSC is to listen besides; may be given several times. Names are smsc1, smsc2 and so on unless they are given.
    #[arg(long, value_name = "[NAME=]ADDRESS")]
    smsc: Vec<SmscPlace>,
    /// The account of every SMSC.
    #[arg(long, value_name = "USER:SECRET", default_value = "esme1:secret")]
    smsc_account: Account,
    /// A file to which every entry of every SMSC is appended as one line of JSON.
    #[arg(long)]
    smsc_journal: Option<PathBuf>,
    /// Start nothing: succeed if the simulator that runs at this `--listen` answers.
    #[arg(long)]
    healthcheck: bool,
}

/// Where an SMSC listens, and what it is called.
#[derive(Debug, Clone)]
struct SmscPlace {
    name: Option<String>,
    address: SocketAddr,
}

impl FromStr for SmscPlace {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, address) = match text.split_once('=') {
            Some((name, address)) => (Some(name.to_owned()), address),
            None => (None, text),
        };
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if name.as_ref().is_some_and(|name| name.is_empty() || !name.bytes().all(is_allowed)) {
            bail!("a name has letters, digits, '_', '.' or '-'");
        }
        Ok(Self { name, address: address.parse()? })
    }
}

/// Who may have sessions.
#[derive(Debug, Clone)]
struct Account {
    system_id: String,
    password: String,
}

impl FromStr for Account {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (system_id, password) = text.split_once(':').context("an account is a user, a colon and a secret")?;
        Ok(Self { system_id: system_id.to_owned(), password: password.to_owned() })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Args { listen, journal, capacity, healthcheck, smsc, smsc_account, smsc_journal } = Args::parse();
    if healthcheck {
        return ask(listen).with_context(|| format!("no healthy simulator at {listen}"));
    }
    let Account { system_id, password } = smsc_account;
    let options = SmscOptions { system_id, password, journal: smsc_journal, capacity, ..SmscOptions::default() };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let simulator = Simulator::start_with(listen, &Options { journal, capacity })?;
    // Whoever needs the address reads it; it serves all the same where nobody does.
    let _unread = writeln!(io::stdout(), "listening on {}", simulator.base_url());
    let smscs = start_smscs(&smsc, &options, &simulator)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    simulator.stop().await;
    for smsc in &smscs {
        smsc.stop().await;
    }
    Ok(())
}

/// Starts the SMSCs beside `simulator`, and says where each listens.
fn start_smscs(places: &[SmscPlace], options: &SmscOptions, simulator: &Simulator) -> anyhow::Result<Vec<Smsc>> {
    let mut names = Vec::new();
    let mut smscs = Vec::new();
    for (SmscPlace { name, address }, number) in places.iter().zip(1..) {
        let name = name.clone().unwrap_or_else(|| format!("smsc{number}"));
        ensure!(!names.contains(&name), "there are two SMSCs of the name {name}");
        names.push(name.clone());
        let smsc = Smsc::start(*address, SmscOptions { name: name.clone(), ..options.clone() })?;
        simulator.add_smsc(&smsc);
        let _unread = writeln!(io::stdout(), "smsc {name} listening on {}", smsc.address());
        smscs.push(smsc);
    }
    Ok(smscs)
}

/// Asks the simulator at `address`, over loopback where that means all interfaces.
fn ask(mut address: SocketAddr) -> anyhow::Result<()> {
    const LIMIT: Duration = Duration::from_secs(2);
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"GET /stats HTTP/1.0\r\n\r\n")?;
    let mut status = *b"HTTP/1.0 000";
    stream.read_exact(&mut status)?;
    ensure!(status.starts_with(b"HTTP/1.") && status.ends_with(b" 200"), "it does not answer as a simulator does");
    let _unread = writeln!(io::stdout(), "healthy");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Args::command().debug_assert();
    }

    #[test]
    fn an_smsc_is_an_address_and_maybe_a_name() {
        let named = |text: &str| text.parse::<super::SmscPlace>().map(|place| place.name);
        assert_eq!(named("127.0.0.1:2775").expect("an address"), None);
        assert_eq!(named("a-1=127.0.0.1:2775").expect("both"), Some("a-1".to_owned()));
        for wrong in ["", "127.0.0.1", "=127.0.0.1:1", "a/b=127.0.0.1:1", "a=b"] {
            assert!(named(wrong).is_err(), "{wrong} was taken");
        }
    }
}

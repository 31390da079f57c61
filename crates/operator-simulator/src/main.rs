//! `operator-simulator --listen 127.0.0.1:0 --journal FILE`: see the library's documentation.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use operator_simulator::{Options, Simulator};
use tokio::signal::unix::{SignalKind, signal};

/// HTTP operators that accept, fail, stall or reset on demand and keep a journal.
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
    /// Start nothing: succeed if the simulator that runs at this `--listen` answers.
    #[arg(long)]
    healthcheck: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Args { listen, journal, capacity, healthcheck } = Args::parse();
    if healthcheck {
        return ask(listen).with_context(|| format!("no healthy simulator at {listen}"));
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let simulator = Simulator::start_with(listen, &Options { journal, capacity })?;
    // Whoever needs the address reads it; it serves all the same where nobody does.
    let _unread = writeln!(io::stdout(), "listening on {}", simulator.base_url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    simulator.stop().await;
    Ok(())
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
}

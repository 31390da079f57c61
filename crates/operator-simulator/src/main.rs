//! `operator-simulator --listen 127.0.0.1:0 --journal FILE`: see the library's documentation.

use std::{net::SocketAddr, path::PathBuf};

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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Args { listen, journal, capacity } = Args::parse();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let simulator = Simulator::start_with(listen, &Options { journal, capacity })?;
    println!("listening on {}", simulator.base_url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    simulator.stop().await;
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

//! `cargo xtask peers`: the platform sends to SMSCs made of other people's libraries, a message for each way in which
//! they behave.
//!
//! What becomes of it is asked over the REST API, what went over the wire is read in the SMSC's journal. All of it
//! stays on loopback, and ends with the command.

mod cases;
mod contents;
mod course;
mod cut;
mod events;
mod folder;
mod journal;
mod node;
mod platform;
mod report;
mod smpp34;
mod smsc;
mod stranger;
mod wait;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{servers, test, up};
use folder::Folder;
use report::Report;
use smsc::Kind;

/// Where the SMSCs are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the SMSCs; it is copied, and its `setup.sh` brings packages of npm and Python into the copy
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Take the packages that were brought into the folder before
    #[arg(long)]
    installed: bool,
}

/// What every course is run with.
struct Site {
    folder: Folder,
    /// The program that is all three services.
    standalone: PathBuf,
    /// Where what processes wrote is kept if something is not as it should be.
    logs: PathBuf,
}

impl Site {
    /// Those of earlier runs.
    fn forget_logs(&self) -> anyhow::Result<()> {
        let Self { logs, .. } = self;
        if logs.exists() {
            fs::remove_dir_all(logs).with_context(|| format!("removing {}", logs.display()))?;
        }
        Ok(())
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    test::build().await?;
    let start = Instant::now();
    let rows = servers::unless_interrupted(Box::pin(run_all(&arguments))).await?;
    Ok(conclude(&rows, start.elapsed()))
}

/// The SMSCs beside each other: most of the time is waiting.
async fn run_all(arguments: &Arguments) -> anyhow::Result<Vec<Report>> {
    let binaries = up::binaries(false)?;
    let site = Site {
        folder: Folder::prepare(&arguments.folder, arguments.installed).await?,
        standalone: binaries.join("standalone"),
        logs: binaries.with_file_name("peers"),
    };
    site.forget_logs()?;
    report::print_head();
    let (plain, secured, other) = tokio::try_join!(
        Box::pin(node::run(&site, Kind::Node)),
        Box::pin(node::run(&site, Kind::NodeTls)),
        Box::pin(smpp34::run(&site)),
    )?;
    Ok([plain, secured, other].concat())
}

fn conclude(reports: &[Report], took: Duration) -> ExitCode {
    let (rows, wrong) =
        reports.iter().fold((0, 0), |(rows, wrong), report| (rows + report.rows(), wrong + report.mismatches().len()));
    println!("\n{rows} rows in {:.0} s, {wrong} not as expected", took.as_secs_f32());
    for report in reports {
        for mismatch in report.mismatches() {
            println!("{mismatch}");
        }
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

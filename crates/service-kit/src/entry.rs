//! The frame of every `main`: the command line, a runtime, and one line on stderr when the process cannot start.

use std::{env, fmt::Display, process::ExitCode};

use crate::{
    healthcheck::readiness,
    http,
    settings::{ListenAddr, Source},
};

/// Runs a process to its exit code. An error is printed in one line, with its causes (`{:#}`), and gives exit code 1.
///
/// With `--healthcheck` it runs nothing: it asks the process that serves on `listen` whether it is ready, prints its
/// report in one line, and gives exit code 0 (ready) or 1. There are no other arguments.
pub fn run<E: Display>(name: &str, listen: ListenAddr, process: impl Future<Output = Result<ExitCode, E>>) -> ExitCode {
    match env::args_os().nth(1) {
        None => serve(name, process),
        Some(argument) if argument == "--healthcheck" => healthcheck(name, listen),
        Some(argument) => {
            let accepted =
                "settings are environment variables, and --healthcheck asks a running process if it is ready";
            fail(name, format_args!("{} is not an argument: {accepted}", argument.display()))
        }
    }
}

fn serve<E: Display>(name: &str, process: impl Future<Output = Result<ExitCode, E>>) -> ExitCode {
    http::descriptors::raise();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(process).unwrap_or_else(|error| fail(name, error)),
        Err(error) => fail(name, format_args!("cannot start the runtime: {error}")),
    }
}

#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
fn healthcheck(name: &str, listen: ListenAddr) -> ExitCode {
    match readiness(&Source::process(), listen) {
        Ok(report) => {
            println!("{name}: {report}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(name, with_cause(&error)),
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[expect(clippy::print_stderr, reason = "logging may not be set up when a setting is wrong")]
fn fail(name: &str, error: impl Display) -> ExitCode {
    eprintln!("{name}: {error:#}");
    ExitCode::FAILURE
}

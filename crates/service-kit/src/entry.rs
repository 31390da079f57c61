//! The frame of every `main`: a runtime, and one line on stderr when the process cannot start.

use std::{fmt::Display, process::ExitCode};

/// Runs a process to its exit code. An error is printed in one line, with its causes (`{:#}`), and gives exit code 1.
#[expect(clippy::print_stderr, reason = "logging may not be set up when a setting is wrong")]
pub fn run<E: Display>(name: &str, process: impl Future<Output = Result<ExitCode, E>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(process),
        Err(error) => {
            eprintln!("{name}: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        ExitCode::FAILURE
    })
}

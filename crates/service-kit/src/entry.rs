//! The frame of every `main`: the command line, a runtime, and one line on stderr when the process cannot start.

use std::{
    env,
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use settings::{ListenAddr, SettingError, Source, processors};

use crate::{healthcheck::readiness, http};

/// Runs a process to its exit code. An error is printed in one line, with its causes, and gives exit code 1.
///
/// With `--healthcheck` it runs nothing: it asks the process that serves on `listen` whether it is ready, prints its
/// report in one line, and gives exit code 0 (ready) or 1. There are no other arguments.
pub fn run<E>(name: &str, listen: ListenAddr, process: impl Future<Output = Result<ExitCode, E>>) -> ExitCode
where
    E: AsRef<dyn Error + Send + Sync>,
{
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

fn serve<E>(name: &str, process: impl Future<Output = Result<ExitCode, E>>) -> ExitCode
where
    E: AsRef<dyn Error + Send + Sync>,
{
    http::descriptors::raise();
    let threads = match runtime_threads(&Source::process()) {
        Ok(threads) => threads,
        Err(error) => return fail(name, error),
    };
    match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime.block_on(process).unwrap_or_else(|error| fail(name, with_causes(error.as_ref()))),
        Err(error) => fail(name, format_args!("cannot start the runtime: {error}")),
    }
}

/// `RUNTIME_THREADS`: threads of the async runtime. Half of the processors unless it is set: what runs here mostly waits for servers, and
/// two threads that wake each other for the little that there is to do take more of the processor than one.
///
/// # Errors
/// Another value than 1 to 256.
pub fn runtime_threads(source: &Source) -> Result<usize, SettingError> {
    source.integer("RUNTIME_THREADS", processors().div_ceil(2), 1..=256)
}

fn healthcheck(name: &str, listen: ListenAddr) -> ExitCode {
    match readiness(&Source::process(), listen) {
        Ok(report) => {
            // The exit code is the answer, even where nobody reads the report.
            let _unread = writeln!(io::stdout(), "{name}: {report}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(name, with_causes(&error)),
    }
}

/// In one line. What a cause says that the error before it has said already is left out.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Logging may not be set up when a setting is wrong, so the line goes to stderr; where that is gone too, the exit code
/// is left.
fn fail(name: &str, error: impl Display) -> ExitCode {
    let _unread = writeln!(io::stderr(), "{name}: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Saying {
        said: &'static str,
        source: Option<Box<Saying>>,
    }

    fn saying(said: &'static str, source: Option<Saying>) -> Saying {
        Saying { said, source: source.map(Box::new) }
    }

    #[test]
    fn the_runtime_has_half_as_many_threads_as_processors_unless_told() {
        let threads = |pairs: &[(&str, &str)]| runtime_threads(&Source::from_pairs(pairs.iter().copied()));
        assert_eq!(threads(&[]).unwrap(), processors().div_ceil(2));
        assert_eq!(threads(&[("RUNTIME_THREADS", "3")]).unwrap(), 3);
        let refused = threads(&[("RUNTIME_THREADS", "0")]).unwrap_err().to_string();
        assert_eq!(refused, "RUNTIME_THREADS=0 is not accepted: it must be a whole number from 1 to 256");
    }

    #[test]
    fn causes_are_told_once_and_in_one_line() {
        let error = saying("opening the file failed: it is full", Some(saying("it is full", None)));
        assert_eq!(with_causes(&saying("no start", Some(error))), "no start: opening the file failed: it is full");
        assert_eq!(with_causes(&saying("no start", Some(saying("one\n  two\r\n", None)))), "no start: one two");
    }
}

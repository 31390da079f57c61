//! `cargo xtask test`: the binaries, the servers, the tests.

use std::process::{Command, ExitCode, Stdio};

use test_support::provision::Given;

use crate::{cargo, servers};

pub(crate) async fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    build().await?;
    let (backend, servers) = servers::provision(Given::ForTests).await?;
    let mut tests = runner(arguments);
    tests
        .args(arguments)
        .env("TEST_DATABASE_URL", servers.database_url())
        .env("TEST_RABBIT_URI", servers.rabbit_uri())
        .env("TEST_BACKEND", backend.to_string());
    let status = cargo::finish(&mut tests).await;
    servers::stop(servers).await;
    Ok(cargo::exit_code(status?))
}

/// Builds all programs, with the tests: on their own they would have other features, and all be built twice.
pub(crate) async fn build() -> anyhow::Result<()> {
    cargo::succeed(&["build", "--workspace", "--bins", "--tests"]).await
}

/// The whole workspace, unless the arguments name packages themselves.
fn runner(arguments: &[String]) -> Command {
    let mut command = if has_nextest() { cargo::command(&["nextest", "run"]) } else { cargo::command(&["test"]) };
    if !names_packages(arguments) {
        command.arg("--workspace");
    }
    command
}

fn names_packages(arguments: &[String]) -> bool {
    let names = |argument: &String| {
        matches!(argument.as_str(), "--workspace" | "--package" | "--exclude")
            || argument.starts_with("--package=")
            || argument.starts_with("-p")
    };
    arguments.iter().any(names)
}

fn has_nextest() -> bool {
    let mut command = Command::new(cargo::program());
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::names_packages;

    #[test]
    fn naming_a_package_narrows_the_run() {
        let of = |line: &str| names_packages(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert!(of("-p persistence"));
        assert!(of("-ppersistence"));
        assert!(of("--no-capture --package=broker"));
        assert!(!of(""));
        assert!(!of("--profile ci some_test"));
    }
}

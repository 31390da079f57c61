//! `cargo xtask lint`: the static checks, all of them, then the verdict.

use std::process::ExitCode;

use crate::{cargo, directions};

struct Check {
    name: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const CHECKS: [Check; 4] = [
    Check { name: "format", arguments: &["fmt", "--all", "--check"], variables: &[] },
    Check {
        name: "clippy",
        arguments: &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"],
        variables: &[],
    },
    Check {
        name: "docs",
        arguments: &["doc", "--quiet", "--workspace", "--no-deps"],
        variables: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    Check {
        name: "cargo-deny",
        arguments: &["deny", "--log-level", "error", "check", "bans", "licenses", "sources"],
        variables: &[],
    },
];

pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let mut failed = Vec::new();
    for Check { name, arguments, variables } in CHECKS {
        eprintln!("== {name}: cargo {}", arguments.join(" "));
        let mut command = cargo::command(arguments);
        command.envs(variables.iter().copied());
        if !cargo::finish(&mut command).await?.success() {
            failed.push(name);
        }
    }
    eprintln!("== directions");
    if directions::run()? != ExitCode::SUCCESS {
        failed.push("directions");
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!("failed: {}", failed.join(", "))
}

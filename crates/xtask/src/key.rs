//! `cargo xtask key`: a key to begin with.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use domain::{ApiKey, KeyKind};
use rand::{rand_core::UnwrapErr, rngs::SysRng};

/// The key alone on stdout, so that it can be put where it belongs; what to do with it on stderr.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let key = ApiKey::generate(KeyKind::Platform, &mut UnwrapErr(SysRng));
    writeln!(io::stdout(), "{}", key.expose()).context("printing the key")?;
    eprintln!("Set ADMIN_API_KEY of the gateways to it, make a stored admin key with POST /admin/keys, and unset it.");
    Ok(ExitCode::SUCCESS)
}

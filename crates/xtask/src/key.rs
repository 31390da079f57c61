//! `cargo xtask key`: a key to begin with, or a token for an operator.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use domain::{ApiKey, KeyKind};
use rand::{rand_core::UnwrapErr, rngs::SysRng};

/// The key alone on stdout, so that it can be put where it belongs; what to do with it on stderr.
pub(crate) fn run(receipt: bool) -> anyhow::Result<ExitCode> {
    let (kind, what_to_do) = if receipt {
        (
            KeyKind::Receipt,
            "Set RECEIPT_SECRETS=name=<this> of gateways and workers, with the operator's name, and give it to the operator.",
        )
    } else {
        (
            KeyKind::Platform,
            "Set ADMIN_API_KEY of the gateways to it, make a stored admin key with POST /admin/keys, and unset it.",
        )
    };
    let key = ApiKey::generate(kind, &mut UnwrapErr(SysRng));
    writeln!(io::stdout(), "{}", key.expose()).context("printing the key")?;
    eprintln!("{what_to_do}");
    Ok(ExitCode::SUCCESS)
}

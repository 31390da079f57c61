//! One process for one database file: a second one would take the first one's messages for leftovers of a crash.

use std::fs::{File, TryLockError};

use anyhow::{Context as _, bail};

/// Takes the lock of the database file. It is held while the value lives, and ends with the process.
pub(crate) fn take(database_file: &str) -> anyhow::Result<File> {
    let path = format!("{database_file}.lock");
    let file = File::create(&path).with_context(|| format!("creating {path} beside the database file"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("{database_file} is in use by another process: stop that one, or set DATABASE_URL to another file")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {path}")),
    }
}

//! The master key of callbacks, kept beside the database file where nobody gave one: its endpoints' secrets are the same after a restart.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use callbacks::MasterKey;
use rand::{RngExt as _, rand_core::UnwrapErr, rngs::SysRng};

/// Owner only: whoever reads it can sign as the platform.
const MODE: u32 = 0o600;
/// What a mode lets everybody but the owner do.
const OF_OTHERS: u32 = 0o077;

/// The key, and whether it was made just now.
pub(crate) struct Kept {
    pub(crate) key: MasterKey,
    pub(crate) is_new: bool,
}

/// The key beside this database file, which is made where there is none. Taken under the lock of the database file.
///
/// # Errors
/// A file that cannot be read or made, is open to others, or holds something else.
pub(crate) fn beside(database: &Path) -> anyhow::Result<Kept> {
    let path = path(database);
    let shown = path.display();
    let (text, is_new) = match fs::read_to_string(&path) {
        Ok(text) => {
            let mode = fs::metadata(&path).with_context(|| format!("looking at {shown}"))?.permissions().mode();
            ensure!(mode & OF_OTHERS == 0, "others may read the master key of callbacks: run chmod 600 {shown}");
            (text, false)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            (make(&path).with_context(|| format!("writing a master key of callbacks to {shown}"))?, true)
        }
        Err(error) => return Err(error).with_context(|| format!("reading the master key of callbacks in {shown}")),
    };
    let key = MasterKey::parse(text.trim_end()).with_context(|| {
        format!(
            "{shown} holds no master key of callbacks: restore it, or remove it and give customers their new secrets"
        )
    })?;
    Ok(Kept { key, is_new })
}

/// Says what to do where a key was made although there are endpoints, whose customers know secrets of another one.
pub(crate) fn warn_of_new_secrets(database: &Path) {
    let file = path(database);
    tracing::warn!(
        file = %file.display(),
        "the master key of callbacks was missing and a new one was made: no customer's secret fits any more. Restore the file and \
         restart, or show customers their new secrets (GET /callbacks/endpoints/{{id}}/secret)"
    );
}

fn path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".callback-key");
    name.into()
}

/// Whole or not at all: under its name only once it is on disk.
fn make(path: &Path) -> std::io::Result<String> {
    let bytes: [u8; 32] = UnwrapErr(SysRng).random();
    let text = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let unfinished = path.with_extension("callback-key.new");
    let _left_over = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use callbacks::MasterKeys;

    use super::*;

    fn secret(kept: Kept) -> String {
        MasterKeys { current: kept.key, previous: None }.secret("ep_1", 1).expose()
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let [a, b] = ["a.sqlite", "b.sqlite"].map(|name| folder.path().join(name));
        let made = beside(&a).expect("it is made");
        let read = beside(&a).expect("it is read");
        assert_eq!((made.is_new, read.is_new), (true, false));
        let first = secret(made);
        assert_eq!(first, secret(read));
        assert_ne!(first, secret(beside(&b).expect("another")), "another file has another key");
        let kept = fs::metadata(path(&a)).expect("it is there");
        assert_eq!(kept.permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn a_file_that_is_no_key_or_open_to_others_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("a.sqlite");
        drop(beside(&database).expect("it is made"));
        fs::set_permissions(path(&database), fs::Permissions::from_mode(0o644)).expect("it is changed");
        let error = beside(&database).err().expect("others may read it").to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(path(&database), fs::Permissions::from_mode(MODE)).expect("it is changed");
        fs::write(path(&database), "short\n").expect("it is written");
        let error = beside(&database).err().expect("it is no key").to_string();
        assert!(error.contains("a.sqlite.callback-key") && !error.contains("short"), "{error}");
    }
}

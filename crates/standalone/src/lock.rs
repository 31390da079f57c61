//! One process for one database file: a second one would take the first one's messages for leftovers of a crash.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

/// How each `SQLite` file that is not empty begins.
const HEADER: &[u8] = b"SQLite format 3\0";

/// Takes the lock of the database file, which is created where it is missing, and returns the file's real path. The lock
/// is on the file itself, whatever it is called, and ends with the process.
///
/// A file that is refused is left as it is, and so is its folder.
pub(crate) fn take(path: &Path) -> anyhow::Result<PathBuf> {
    let shown = path.display();
    check(path)?;
    let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = open.with_context(|| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            format!("cannot open the database file {shown} (DATABASE_URL), make its folder first")
        }
        _ => format!("cannot open the database file {shown} (DATABASE_URL) to read and write"),
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            bail!("{shown} is in use by another process: stop that one, or set DATABASE_URL to another file")
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {shown}")),
    }
    check_header(&mut file).with_context(|| format!("cannot use the database file {shown} (DATABASE_URL)"))?;
    // SQLite has POSIX locks on the same file, and a process loses those when it closes any descriptor of it: this one
    // stays open to the end.
    std::mem::forget(file);
    fs::canonicalize(path).with_context(|| format!("cannot find the real path of {shown}"))
}

fn check(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at the database file {shown} (DATABASE_URL)"));
        }
    };
    ensure!(!found.is_dir(), "the database file {shown} (DATABASE_URL) is a folder: name a file in it");
    ensure!(found.is_file(), "the database file {shown} (DATABASE_URL) is no regular file");
    // What SQLite has not moved into the file yet is beside it, under the name it was opened by.
    ensure!(
        found.nlink() <= 1,
        "the database file {shown} (DATABASE_URL) has {} names (hard links), and SQLite keeps its log beside one of them: \
         remove the others",
        found.nlink()
    );
    Ok(())
}

fn check_header(file: &mut File) -> anyhow::Result<()> {
    let mut start = Vec::new();
    file.take(HEADER.len() as u64).read_to_end(&mut start)?;
    ensure!(start.is_empty() || start == HEADER, "it is no SQLite database, and is left as it is");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        format!("{:#}", take(path).expect_err("refused"))
    }

    #[test]
    fn a_file_is_locked_by_whatever_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.db");
        let real = take(&file).expect("the first");
        assert_eq!(real, fs::canonicalize(&file).expect("created"));
        let by_symlink = folder.path().join("b.db");
        std::os::unix::fs::symlink(&file, &by_symlink).expect("a link");
        let by_folder = folder.path().join("linked");
        std::os::unix::fs::symlink(folder.path(), &by_folder).expect("a link");
        for name in [&file, &by_symlink, &by_folder.join("a.db"), &folder.path().join("./linked/./linked/a.db")] {
            let refusal = refusal(name);
            assert!(refusal.contains("in use by another process") && refusal.contains("DATABASE_URL"), "{refusal}");
        }
    }

    #[test]
    fn a_symlink_to_nothing_is_locked_where_it_leads() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        assert_eq!(take(&link).expect("taken"), fs::canonicalize(&file).expect("created"));
        assert!(refusal(&file).contains("in use"));
    }

    #[test]
    fn what_is_no_database_file_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let within = |name: &str| folder.path().join(name);
        fs::write(within("text"), "this is a letter to somebody").expect("written");
        fs::write(within("short"), "SQLite").expect("written");
        fs::write(within("one"), "").expect("written");
        fs::hard_link(within("one"), within("two")).expect("a link");
        let before = listing(folder.path());
        for (path, says) in [
            (folder.path().to_owned(), "is a folder"),
            (within("missing/a.db"), "make its folder first"),
            (within("text/a.db"), "Not a directory"),
            (within("text"), "it is no SQLite database"),
            (within("short"), "it is no SQLite database"),
            (within("one"), "has 2 names (hard links)"),
            (within(&"n".repeat(300)), "File name too long"),
            ("/dev/null".into(), "is no regular file"),
        ] {
            let refusal = refusal(&path);
            assert!(refusal.contains(says) && refusal.contains("DATABASE_URL"), "{refusal}");
        }
        assert_eq!(listing(folder.path()), before, "nothing was created");
    }

    fn listing(folder: &Path) -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    }
}

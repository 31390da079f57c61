//! A file system with little room, to be filled and emptied on purpose.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::lifeline::Lifeline;

const PIECE: usize = 4_096;

/// A small tmpfs of its own; unmounted when dropped, or when this process ends in whatever way.
pub struct SmallDisk {
    /// Declared before the folder, which can be removed only then.
    _lifeline: Lifeline,
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts a file system of so many bytes.
    ///
    /// # Errors
    ///
    /// When this process may not mount: it has to be root, or `sudo` has to work without a password.
    pub fn mount(bytes: u64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a folder to mount a small disk on")?;
        let lifeline = Lifeline::unmounts(folder.path())?;
        let size = format!("size={bytes},mode=0777");
        let mount = |program: &str, before: &[&str]| {
            let mut command = Command::new(program);
            command.args(before).args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path());
            command.output().is_ok_and(|output| output.status.success())
        };
        let mounted = mount("mount", &[]) || mount("sudo", &["-n", "mount"]);
        ensure!(mounted, "a small disk needs the right to mount a tmpfs: run as root, or with sudo without a password");
        Ok(Self { _lifeline: lifeline, folder })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left, until [`SmallDisk::free`].
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).context("filling a disk")?;
        loop {
            match ballast.write(&[0; PIECE]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("filling a disk"),
            }
        }
    }

    /// Gives the room back that [`SmallDisk::fill`] took.
    pub fn free(&self) -> anyhow::Result<()> {
        fs::remove_file(self.ballast()).context("freeing a disk")
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_it_is_freed() {
        let disk = SmallDisk::mount(1 << 20).expect("the right to mount");
        let file = disk.path().join("file");
        disk.fill().expect("fills");
        let refused = fs::write(&file, [1; PIECE]).expect_err("no room");
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.free().expect("frees");
        fs::write(&file, [1; PIECE]).expect("room again");
        let folder = disk.path().to_owned();
        drop(disk);
        assert!(!folder.exists(), "{} is left over", folder.display());
    }
}

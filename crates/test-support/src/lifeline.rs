//! Clean-up that happens even when this process is killed with -9.
//!
//! A lifeline is a small shell that reads from a pipe whose only write end is held here (the end is close-on-exec, so
//! no other child inherits it). The pipe closes when the lifeline is dropped or when this process ends in whatever
//! way; the shell then runs its clean-up. A parent-death signal would be less: it fires when the *thread* that
//! spawned the child ends, and async runtimes end threads at will.

use std::{
    ffi::OsStr,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// How a guarded process group is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGKILL at once.
    Kill,
    /// SIGTERM, and SIGKILL for what is left after ten seconds.
    Terminate,
}

const KILL_GROUP: &str = r#"read -r _; kill -s KILL -- "-$1""#;

const TERMINATE_GROUP: &str = r#"read -r _
kill -s TERM -- "-$1"
tries=0
while [ "$tries" -lt 100 ] && kill -s 0 -- "-$1"; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL -- "-$1""#;

// A server that is being killed at the same moment may still create files: remove until the folder is gone.
const REMOVE_FOLDER: &str = r#"read -r _
tries=0
until rm -rf -- "$1" || [ "$tries" -ge 50 ]; do sleep 0.1; tries=$((tries + 1)); done"#;

// A container may still be in creation when its owner ends: look for it a while longer where none was found.
const REMOVE_CONTAINER: &str = r#"read -r _
tries=0
until docker inspect "$1" || [ "$tries" -ge 10 ]; do sleep 0.5; tries=$((tries + 1)); done
docker rm --force --volumes "$1""#;

// Lazily, as a process that is being killed at the same moment may still have files open there.
const UNMOUNT: &str = r#"read -r _
mountpoint -q "$1" || exit 0
umount -l -- "$1" || sudo -n umount -l -- "$1"
rmdir -- "$1""#;

/// The clean-up of one thing; runs when this is dropped or when this process ends.
pub(crate) struct Lifeline {
    watcher: Child,
}

impl Lifeline {
    /// Ends the process group led by `leader`.
    pub(crate) fn ends_group(leader: u32, ending: Ending) -> anyhow::Result<Self> {
        let script = match ending {
            Ending::Kill => KILL_GROUP,
            Ending::Terminate => TERMINATE_GROUP,
        };
        Self::start(script, &[leader.to_string().as_ref()])
    }

    /// Removes a folder with all it holds.
    pub(crate) fn removes_folder(folder: &Path) -> anyhow::Result<Self> {
        Self::start(REMOVE_FOLDER, &[folder.as_os_str()])
    }

    /// Unmounts and removes a folder that something was mounted on; arm it before that is done.
    pub(crate) fn unmounts(folder: &Path) -> anyhow::Result<Self> {
        Self::start(UNMOUNT, &[folder.as_os_str()])
    }

    /// Removes a container and its anonymous volumes; arm it before the container is created.
    pub(crate) fn removes_container(name: &str) -> anyhow::Result<Self> {
        Self::start(REMOVE_CONTAINER, &[name.as_ref()])
    }

    fn start(script: &str, arguments: &[&OsStr]) -> anyhow::Result<Self> {
        let watcher = Command::new("/bin/sh")
            .args(["-c", script, "lifeline"])
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // a Ctrl-C meant for its owner must not end it
            .spawn()
            .context("starting the shell that cleans up after this process")?;
        Ok(Self { watcher })
    }

    /// Starts the clean-up without waiting for it; dropping then waits.
    pub(crate) fn release(&mut self) {
        drop(self.watcher.stdin.take());
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.release();
        let _ = self.watcher.wait();
    }
}

//! Child processes that cannot outlive this one.
//!
//! A guarded child leads its own process group and has a shell watching over it that ends the whole group when this
//! process ends, also by `kill -9`. The child waits for a go on its standard input before it runs its program, so
//! there is no moment in which it runs unwatched.

use std::{
    ffi::OsStr,
    io::Write as _,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, kill_process, kill_process_group};

use crate::lifeline::Lifeline;

pub use crate::lifeline::Ending;
pub use rustix::process::Signal;

const POLL: Duration = Duration::from_millis(20);
const GATE: &str = r#"read -r _ && exec "$@" </dev/null"#;

/// A command for [`Guarded::spawn`]; its standard input will be empty. Environment, output and folder are the caller's.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GATE, "guarded"]).arg(program).stdin(Stdio::piped()).process_group(0);
    command
}

/// A running child process with all that it started; dropping it ends the group and waits.
pub struct Guarded {
    child: Child,
    group: Pid,
    lifeline: Option<Lifeline>,
    status: Option<ExitStatus>,
}

impl Guarded {
    /// Starts a command made by [`command`]. A missing program shows as exit code 127.
    pub fn spawn(command: &mut Command, ending: Ending) -> anyhow::Result<Self> {
        // On an early return the gate's input closes and the child ends without having run anything.
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let group = Pid::from_raw(child.id().cast_signed()).context("the child has no process id")?;
        let lifeline = Lifeline::ends_group(child.id(), ending)?;
        let mut gate = child.stdin.take().context("the command was not made by guarded::command")?;
        gate.write_all(b"go\n").context("letting the child run")?;
        Ok(Self { child, group, lifeline: Some(lifeline), status: None })
    }

    /// The process id, which is the group's id too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The output pipes, where the command asked for them.
    pub fn output(&mut self) -> (Option<std::process::ChildStdout>, Option<std::process::ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// How the process ended, or `None` while it runs. What it left running in its group is ended then.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                self.lifeline = None;
            }
        }
        self.status
    }

    /// Waits until the process ends by itself; `None` when it still runs after `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(deadline, self.ended()).await.ok()
    }

    /// Waits until the process ends by itself, however long it takes.
    pub async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.try_wait() {
                return status;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends the whole group with SIGKILL and waits for it.
    pub fn kill(&mut self) {
        if self.try_wait().is_none() {
            let _ = kill_process_group(self.group, Signal::KILL);
            self.finish();
        }
    }

    /// Sends a signal to the process itself; nothing happens when it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.try_wait().is_none() {
            let _ = kill_process(self.group, signal);
        }
    }

    /// Sends a signal to the whole group; nothing happens when the process has ended.
    pub fn signal_group(&mut self, signal: Signal) {
        if self.try_wait().is_none() {
            let _ = kill_process_group(self.group, signal);
        }
    }

    /// SIGTERM, then SIGKILL at the deadline; says how the process ended.
    pub async fn terminate(&mut self, deadline: Duration) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        if self.wait(deadline).await.is_none() {
            self.kill();
        }
        self.status
    }

    // The watcher must go before the process id is free for reuse, hence: release it, reap the child, wait for it.
    fn finish(&mut self) {
        if let Some(lifeline) = &mut self.lifeline {
            lifeline.release();
        }
        self.status = self.child.wait().ok();
        self.lifeline = None;
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            self.finish();
        }
    }
}

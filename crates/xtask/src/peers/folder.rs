//! The folder of the SMSCs with the packages that they need.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use test_support::guarded::{self, Ending, Guarded};

const SETUP: &str = "setup.sh";
/// What `setup.sh` makes.
const MADE: [&str; 3] = ["npm/node_modules/smpp", "venv/bin/python", "tls/ca.pem"];
/// Packages come within seconds; registries that do not answer are given up.
const SETUP_LIMIT: Duration = Duration::from_mins(5);
const SHOWN_LINES: usize = 20;

/// The folder, which is gone with this where it is a copy.
pub(super) struct Folder {
    path: PathBuf,
    _copy: Option<TempDir>,
}

impl Folder {
    /// Takes the folder as it is, or copies it and brings the packages into the copy.
    ///
    /// # Errors
    /// When it has no packages, or they cannot be had.
    pub(super) async fn prepare(given: &Path, installed: bool) -> anyhow::Result<Self> {
        // Programs that it holds are started from it.
        let given = given.canonicalize().with_context(|| format!("looking for the SMSCs in {}", given.display()))?;
        if installed {
            for made in MADE {
                ensure!(given.join(made).exists(), "{} has no {made}: run its {SETUP} first", given.display());
            }
            return Ok(Self { path: given, _copy: None });
        }
        let copy = TempDir::with_prefix("smsc-peers-").context("making a folder for the SMSCs")?;
        copy_files(&given, copy.path()).with_context(|| format!("copying {}", given.display()))?;
        set_up(copy.path()).await?;
        Ok(Self { path: copy.path().to_owned(), _copy: Some(copy) })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Its files, and nothing that was made in its folders.
fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

async fn set_up(folder: &Path) -> anyhow::Result<()> {
    eprintln!("bringing the packages of the SMSCs from npm and PyPI");
    let (start, log) = (Instant::now(), folder.join("setup.log"));
    let output = fs::File::create(&log).context("making a file for what it writes")?;
    let mut command = guarded::command("bash");
    command.arg(SETUP).current_dir(folder);
    command.stdout(Stdio::from(output.try_clone()?)).stderr(Stdio::from(output));
    let mut running = Guarded::spawn(&mut command, Ending::Kill)?;
    let ended = running.wait(SETUP_LIMIT).await;
    if !ended.is_some_and(|status| status.success()) {
        let how = ended.map_or_else(|| format!("still ran after {SETUP_LIMIT:?}"), |status| status.to_string());
        bail!(
            "{SETUP} failed ({how}): it needs npm, python3 with venv and openssl, and the registries of npm and PyPI \
             must be reachable from here; it wrote last:\n{}",
            last_lines(&log)
        );
    }
    eprintln!("they are there after {:.0} s", start.elapsed().as_secs_f32());
    Ok(())
}

fn last_lines(file: &Path) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

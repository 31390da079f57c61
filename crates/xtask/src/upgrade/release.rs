//! A release: the programs of a revision, or of this tree.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use test_support::{Process, guarded};
use tokio::time::{Instant, sleep};

use crate::{
    cargo,
    services::{self, SERVICES},
    up,
};

/// What is built of a revision. `migrations` is a library of the services, so it changes nothing of how they are built.
const PACKAGES: [&str; 4] = ["migrations", SERVICES[0], SERVICES[1], SERVICES[2]];
const PROGRAMS: [&str; 4] = ["migrate", SERVICES[0], SERVICES[1], SERVICES[2]];
/// How long a change of an almost empty schema may take.
const MIGRATION: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(20);

/// Programs that belong together.
pub(super) struct Release {
    /// `old` or `new`, for lines of progress.
    pub(super) name: &'static str,
    /// Where the programs are.
    pub(super) folder: PathBuf,
}

/// What `migrate` wrote, and its exit code.
pub(super) struct Migrated {
    pub(super) code: Option<i32>,
    pub(super) output: String,
}

impl Release {
    /// Builds what is started of this tree.
    pub(super) async fn of_this_tree(optimised: bool) -> anyhow::Result<Self> {
        cargo::succeed(&services::build(&PACKAGES, optimised)).await?;
        cargo::succeed(&services::build(&["operator-simulator"], optimised)).await?;
        Ok(Self { name: "new", folder: up::binaries(optimised)? })
    }

    /// Builds a revision in `target/upgrade`, or takes what was built there before.
    pub(super) async fn of_revision(revision: &str, optimised: bool) -> anyhow::Result<Self> {
        let commit = commit(revision)?;
        let home = up::binaries(optimised)?.with_file_name("upgrade");
        let own = home.join(&commit);
        let folder = own.join(if optimised { "release" } else { "debug" });
        if PROGRAMS.iter().any(|program| !folder.join(program).is_file()) {
            eprintln!("building {revision} ({commit}) in {}", own.display());
            let _one_at_a_time = lock(&home)?;
            let source = check_out(&commit, &own).await?;
            // One for all revisions: what they depend on is built once, and their programs are copied out of it.
            let target = home.join("build");
            build(&source, &target, optimised).await?;
            keep(&up::profile(&target, optimised), &folder)?;
        }
        Ok(Self { name: "old", folder })
    }

    /// `migrate <command>` on a database.
    ///
    /// # Errors
    /// When it still runs after 5 minutes.
    pub(super) async fn migrate(&self, command: &str, database_url: &str) -> anyhow::Result<Migrated> {
        let mut process = Process::start(&self.folder.join("migrate"), &[command], [("DATABASE_URL", database_url)]);
        let end = Instant::now() + MIGRATION;
        while process.is_running() {
            ensure!(Instant::now() < end, "{} migrate {command} still runs after {MIGRATION:?}", self.name);
            sleep(POLL).await;
        }
        let code = process.wait(MIGRATION).await.code();
        Ok(Migrated { code, output: process.output() })
    }

    /// `migrate up`.
    ///
    /// # Errors
    /// When it fails.
    pub(super) async fn migrate_up(&self, database_url: &str) -> anyhow::Result<()> {
        let Migrated { code, output } = self.migrate("up", database_url).await?;
        ensure!(code == Some(0), "{} migrate up failed:\n{output}", self.name);
        Ok(())
    }
}

fn commit(revision: &str) -> anyhow::Result<String> {
    let name = format!("{revision}^{{commit}}");
    let output = Command::new("git")
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options", &name])
        .current_dir(cargo::root())
        .output()
        .context("starting git")?;
    ensure!(output.status.success(), "{revision} is no revision of this repository");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Held while a revision is built: what is in the build folder is then of this one.
fn lock(home: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(home).with_context(|| format!("making {}", home.display()))?;
    let path = home.join("lock");
    let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}

/// The files of a commit in `source` below `own`.
///
/// They are as old as this moment: to cargo, packages of two revisions in one build folder are the same, and the files'
/// age is all by which it sees that what it built before is of the other one.
async fn check_out(commit: &str, own: &Path) -> anyhow::Result<PathBuf> {
    let (source, archive) = (own.join("source"), own.join("source.tar"));
    if source.exists() {
        std::fs::remove_dir_all(&source).with_context(|| format!("removing {}", source.display()))?;
    }
    std::fs::create_dir_all(&source).with_context(|| format!("making {}", source.display()))?;
    let mut packing = guarded::command("git");
    packing.args(["archive", "--output"]).arg(&archive).arg(commit).current_dir(cargo::root());
    run(&mut packing, "git archive").await?;
    let mut unpacking = guarded::command("tar");
    unpacking.arg("--touch").arg("-xf").arg(&archive).arg("-C").arg(&source);
    run(&mut unpacking, "tar").await?;
    std::fs::remove_file(&archive).with_context(|| format!("removing {}", archive.display()))?;
    Ok(source)
}

async fn build(source: &Path, target: &Path, optimised: bool) -> anyhow::Result<()> {
    let arguments = [services::build(&PACKAGES, optimised), vec!["--locked"]].concat();
    let mut building = cargo::command(&arguments);
    building.current_dir(source).env("CARGO_TARGET_DIR", target);
    run(&mut building, "building the older revision").await
}

async fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = cargo::finish(command).await?;
    ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}

/// Copies the programs out of a build folder; all of them, or the next run builds again.
fn keep(built: &Path, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for program in PROGRAMS {
        let (from, partial) = (built.join(program), folder.join(format!("{program}.partial")));
        std::fs::copy(&from, &partial).with_context(|| format!("copying {}", from.display()))?;
        std::fs::rename(&partial, folder.join(program)).with_context(|| format!("naming {program}"))?;
    }
    Ok(())
}

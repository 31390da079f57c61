//! `cargo xtask directions`: imports between crates point inward only, and no files of a crate import each other in a
//! circle.
//!
//! The rules for crates are a table, so a new crate or a new arrow is a decision somebody writes down here.

mod files;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::cargo;
use files::Imports;

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A workspace package as `cargo metadata` describes it.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

/// A library, program or test of a package.
#[derive(Debug, Deserialize)]
struct Target {
    /// `"lib"`, `"bin"`, `"test"` and the like.
    kind: Vec<String>,
    /// The file of its root module.
    src_path: PathBuf,
}

impl Target {
    fn is_shipped(&self) -> bool {
        self.kind.iter().any(|kind| kind == "lib" || kind == "bin")
    }
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None`, `"dev"` or `"build"`.
    kind: Option<String>,
    /// Set for a package of this workspace.
    path: Option<String>,
}

impl Dependency {
    fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

const SERVICES: [&str; 3] = ["api-gateway", "outbox-relay", "delivery-worker"];
/// What every service is made of.
const LIBRARIES: [&str; 6] = ["domain", "settings", "persistence", "broker", "telemetry", "service-kit"];
/// Of those that send or take signed requests.
const SIGNED: [&str; 1] = ["callbacks"];
/// Any crate may use these in its tests, none may ship them.
const TEST_ONLY: [&str; 2] = ["test-support", "operator-simulator"];
/// Shipped where somebody talks to SMSCs; in tests any crate may look at what goes over the wire.
const WIRE: &str = "smpp";
/// Nothing but tests, which may use anything.
const TESTS: [&str; 3] = ["e2e-tests", "deploy-tests", "observability-tests"];

/// What a package may import of this workspace; `None` for a package that has no rule yet.
fn allowed(package: &str) -> Option<Vec<&'static str>> {
    let rule: &[&[&'static str]] = match package {
        "domain"
        | "instruments"
        | "settings"
        | "migrations"
        | "smpp"
        | "test-support"
        | "e2e-tests"
        | "deploy-tests"
        | "observability-tests" => &[],
        "callbacks" => &[&["domain", "settings"]],
        "telemetry" => &[&["instruments"]],
        // Balances and backlogs are stored by what the gateway stores them with.
        "loadtest" => &[&["domain", "persistence"]],
        "broker" => &[&["domain", "instruments", "settings"]],
        // Both ends of a session.
        "operators" => &[&["domain", "instruments", "settings", "smpp"]],
        "operator-simulator" => &[&["smpp"]],
        "persistence" => &[&["domain", "instruments", "migrations", "settings"]],
        "service-kit" => &[&["settings", "telemetry"]],
        "xtask" => &[&["domain", "loadtest", "test-support"]],
        "api-gateway" | "outbox-relay" => &[&LIBRARIES, &SIGNED],
        // Nobody else talks to operators.
        "delivery-worker" => &[&LIBRARIES, &SIGNED, &["operators"]],
        "standalone" => &[&LIBRARIES, &SIGNED, &["operators"], &SERVICES],
        _ => return None,
    };
    Some(rule.concat())
}

/// External crates that only these packages may name; the flag says whether tests of any package may too.
const EXCLUSIVE: [(&str, &[&str], bool); 8] = [
    ("sea-orm", &["persistence", "migrations"], false),
    ("sea-orm-migration", &["persistence", "migrations"], false),
    ("sea-query-sqlx", &["persistence"], false),
    // The bare client beside which the platform is measured, and plain looks at tables in tests.
    ("sqlx", &["loadtest", "test-support"], true),
    // Named for its `rsa` feature alone.
    ("sqlx-mysql", &["migrations"], false),
    ("amqprs", &["broker"], false),
    ("reqwest", &["callbacks", "operator-simulator", "operators"], true),
    ("testcontainers", &["test-support"], false),
];

/// One line for each import that should not be.
fn violations(packages: &[Package]) -> Vec<String> {
    let mut lines = Vec::new();
    for package in packages {
        let Some(allowed) = allowed(&package.name) else {
            lines.push(format!(
                "{} has no rule: say in crates/xtask/src/directions.rs what it may import",
                package.name
            ));
            continue;
        };
        lines.extend(package.dependencies.iter().filter_map(|dependency| violation(package, dependency, &allowed)));
    }
    lines
}

fn violation(package: &Package, dependency: &Dependency, allowed: &[&str]) -> Option<String> {
    let (importer, imported) = (package.name.as_str(), dependency.name.as_str());
    if dependency.path.is_some() {
        let for_tests =
            dependency.is_dev() && (TEST_ONLY.contains(&imported) || imported == WIRE || TESTS.contains(&importer));
        let fine = allowed.contains(&imported) || for_tests || (dependency.is_dev() && importer == imported);
        return (!fine).then(|| {
            let kind = dependency.kind.as_deref().unwrap_or("normal");
            format!("{importer} imports {imported} ({kind} dependency): {}", reason(imported, allowed))
        });
    }
    let (_, owners, in_tests) = EXCLUSIVE.iter().find(|(name, ..)| *name == imported)?;
    let fine = owners.contains(&importer) || (*in_tests && dependency.is_dev());
    (!fine).then(|| format!("{importer} imports {imported}: only {} may", owners.join(" and ")))
}

fn reason(imported: &str, allowed: &[&str]) -> String {
    if TEST_ONLY.contains(&imported) {
        return "only ever a dev-dependency".to_owned();
    }
    match allowed {
        [] => "it imports nothing of ours".to_owned(),
        allowed => format!("it may import {}", allowed.join(", ")),
    }
}

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let output = Command::new(cargo::program())
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(cargo::root())
        .output()
        .context("starting cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("reading what cargo metadata printed")?;
    let mut lines = violations(&metadata.packages);
    let mut files = 0;
    for package in &metadata.packages {
        for target in package.targets.iter().filter(|target| target.is_shipped()) {
            let imports = Imports::of(&target.src_path)?;
            files += imports.files();
            lines.extend(imports.circles().iter().map(|circle| format!("{}: {circle}", package.name)));
        }
    }
    for line in &lines {
        println!("{line}");
    }
    if lines.is_empty() {
        println!("imports of {} packages point inward, those of {files} files in no circle", metadata.packages.len());
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(importer: &str, imported: &str, kind: Option<&str>, ours: bool) -> Vec<String> {
        let dependency = Dependency {
            name: imported.to_owned(),
            kind: kind.map(str::to_owned),
            path: ours.then(|| format!("/workspace/{imported}")),
        };
        violations(&[Package { name: importer.to_owned(), dependencies: vec![dependency], targets: Vec::new() }])
    }

    #[test]
    fn arrows_that_point_inward_are_fine() {
        for (importer, imported) in [
            ("persistence", "domain"),
            ("persistence", "migrations"),
            ("broker", "domain"),
            ("operators", "domain"),
            ("service-kit", "telemetry"),
            ("api-gateway", "persistence"),
            ("delivery-worker", "operators"),
            ("standalone", "outbox-relay"),
            ("xtask", "test-support"),
            ("xtask", "loadtest"),
            ("loadtest", "persistence"),
        ] {
            assert_eq!(check(importer, imported, None, true), Vec::<String>::new(), "{importer} -> {imported}");
        }
    }

    #[test]
    fn arrows_that_point_outward_or_sideways_are_violations() {
        for (importer, imported) in [
            ("domain", "telemetry"),
            ("persistence", "broker"),
            ("broker", "persistence"),
            ("operators", "persistence"),
            ("telemetry", "domain"),
            ("service-kit", "persistence"),
            ("migrations", "domain"),
            ("outbox-relay", "api-gateway"),
            ("outbox-relay", "operators"),
            ("api-gateway", "operators"),
            ("api-gateway", "instruments"),
            ("api-gateway", "standalone"),
            ("api-gateway", "test-support"),
            ("test-support", "persistence"),
            ("e2e-tests", "persistence"),
            ("deploy-tests", "api-gateway"),
            ("loadtest", "broker"),
        ] {
            assert_eq!(check(importer, imported, None, true).len(), 1, "{importer} -> {imported}");
        }
    }

    #[test]
    fn tests_may_use_the_test_crates_but_not_cross_the_layers() {
        assert!(check("persistence", "test-support", Some("dev"), true).is_empty());
        assert!(check("operators", "operator-simulator", Some("dev"), true).is_empty());
        assert!(check("e2e-tests", "api-gateway", Some("dev"), true).is_empty());
        assert!(check("deploy-tests", "api-gateway", Some("dev"), true).is_empty());
        assert_eq!(check("broker", "persistence", Some("dev"), true).len(), 1);
        assert_eq!(check("api-gateway", "e2e-tests", Some("dev"), true).len(), 1);
        assert_eq!(check("persistence", "test-support", Some("build"), true).len(), 1);
    }

    #[test]
    fn exclusive_crates_stay_with_their_adapters() {
        for (importer, imported) in [
            ("persistence", "sea-orm"),
            ("migrations", "sea-orm-migration"),
            ("broker", "amqprs"),
            ("operators", "reqwest"),
            ("loadtest", "sqlx"),
        ] {
            assert!(check(importer, imported, None, false).is_empty(), "{importer} -> {imported}");
            assert_eq!(check("api-gateway", imported, None, false).len(), 1, "api-gateway -> {imported}");
        }
        assert!(check("api-gateway", "reqwest", Some("dev"), false).is_empty());
        assert!(check("outbox-relay", "sqlx", Some("dev"), false).is_empty());
        assert_eq!(check("api-gateway", "amqprs", Some("dev"), false).len(), 1);
        assert!(check("api-gateway", "actix-web", None, false).is_empty());
    }

    #[test]
    fn a_violation_names_both_sides_and_the_rule() {
        let lines = check("broker", "persistence", None, true);
        assert_eq!(
            lines,
            ["broker imports persistence (normal dependency): it may import domain, instruments, settings"]
        );
        assert_eq!(
            check("api-gateway", "sea-orm", None, false),
            ["api-gateway imports sea-orm: only persistence and migrations may"]
        );
    }

    #[test]
    fn a_package_without_a_rule_is_a_violation() {
        assert_eq!(check("newcomer", "domain", None, true).len(), 1);
    }
}

//! What the tests of deployment files share. The tests themselves are in `tests`, a folder for each kind of file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Seconds that a process takes at most to end once its work in hand is finished or given up: for sessions with
/// operators and the broker (6), the database's connections (2) and the last traces (5).
pub const CLOSING_SECONDS: i64 = 13;

/// The root of the repository.
pub fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is two folders below the root")
}

/// The text of a file.
///
/// # Errors
/// It cannot be read; the error names it.
pub fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// All files below a folder, in order.
///
/// # Errors
/// A folder cannot be read; the error names it.
pub fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The documents of a YAML text. A key that stands twice in one mapping is an error.
///
/// # Errors
/// The text is not YAML; the error shows where.
pub fn yaml_documents(text: &str) -> anyhow::Result<Vec<serde_json::Value>> {
    serde_saphyr::from_multiple(text).context("parsing YAML")
}

/// The names of the variables that `.env.example` lists for the services, without those of `cargo xtask`.
///
/// # Errors
/// The file cannot be read.
pub fn service_variables() -> anyhow::Result<Vec<String>> {
    let text = read(&repository_root().join(".env.example"))?;
    let of_services = text.split("# --- cargo xtask").next().unwrap_or(&text);
    Ok(of_services.lines().filter_map(variable).map(str::to_owned).collect())
}

/// The name in a line such as `# DB_PORT=3306`.
fn variable(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("# ")?.split_once('=')?;
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    (!name.is_empty() && is_name(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_set_a_variable_name_one() {
        assert_eq!(variable("# DB_PORT=3306"), Some("DB_PORT"));
        assert_eq!(variable("# OTEL_EXPORTER_OTLP_ENDPOINT="), Some("OTEL_EXPORTER_OTLP_ENDPOINT"));
        assert_eq!(variable("# Which operators, as name=url."), None);
        assert_eq!(variable("DB_PORT"), None);
        let all = service_variables().expect("the file is there");
        assert!(all.iter().any(|name| name == "LISTEN_ADDR") && !all.iter().any(|name| name == "TEST_BACKEND"));
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error() {
        assert!(yaml_documents("a: 1\nb: 2\n---\na: 3\n").is_ok_and(|documents| documents.len() == 2));
        assert!(yaml_documents("a: 1\na: 2\n").is_err());
    }
}

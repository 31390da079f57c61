//! What documents point to is there.

use std::path::{Path, PathBuf};

use deploy_tests::{files_below, read, repository_root};

/// The documents for people.
fn documents() -> Vec<PathBuf> {
    let root = repository_root();
    let of_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    of_root.into_iter().chain(files_below(&root.join("docs")).expect("the folder")).collect()
}

/// The targets of links in a line, `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Whole paths in a line, such as `crates/domain/src/money.rs`; patterns are left out.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 7] =
        ["crates/", "services/", "migrations/", "deploy/", "docs/", "observability/", "postman/"];
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|text| FOLDERS.iter().any(|folder| text.starts_with(folder)) && !text.contains(['{', '*', ' ', 'N']))
}

#[test]
fn links_and_paths_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        let folder = document.parent().expect("it is in a folder");
        for (number, line) in read(&document).expect("it is there").lines().enumerate() {
            let relative = links(line).filter(|target| !target.contains("://") && !target.starts_with('#'));
            let linked = relative.map(|target| folder.join(target.split('#').next().unwrap_or(target)));
            let named = paths(line).map(|path| repository_root().join(path));
            let missing = linked.chain(named).filter(|path| !Path::new(path).exists());
            wrong.extend(missing.map(|path| format!("{}:{}: {}", document.display(), number + 1, path.display())));
        }
    }
    assert!(wrong.is_empty(), "nothing is there:\n{}", wrong.join("\n"));
}

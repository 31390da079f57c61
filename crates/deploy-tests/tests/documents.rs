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

/// What docs/features.md names in quotes that look like a test's name.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter(|name| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        name.matches('_').count() >= 3 && name.bytes().all(is_word)
    })
}

/// Settings of servers.
const NOT_OURS: [&str; 1] = ["max_prepared_stmt_count"];

#[test]
fn tests_that_documents_name_are_there() {
    let root = repository_root();
    let folders =
        ["crates", "services", "migrations"].map(|folder| files_below(&root.join(folder)).expect("the folder"));
    let sources =
        folders.into_iter().flatten().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let code: String = sources.map(|path| read(&path).expect("it is there")).collect();
    for document in ["docs/features.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(&root.join(document)).expect("it is there");
        // Metrics, settings and columns have such names too, and stand in the code in quotes.
        let is_missing = |name: &&str| !code.contains(&format!("fn {name}")) && !code.contains(&format!("\"{name}"));
        let missing: Vec<_> = named_tests(&text).filter(is_missing).filter(|name| !NOT_OURS.contains(name)).collect();
        assert!(missing.is_empty(), "{document} names {missing:?}, but nothing is called so");
    }
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

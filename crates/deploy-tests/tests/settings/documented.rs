//! The tables of docs/settings.md.

use deploy_tests::{read, repository_root};

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) section: String,
    pub(crate) name: String,
    pub(crate) default: Option<String>,
    pub(crate) accepted: String,
    pub(crate) meaning: String,
}

/// All rows, in their order; no name stands twice in a section.
pub(crate) fn documented() -> Vec<Told> {
    let text = read(&repository_root().join("docs/settings.md")).expect("it is there");
    let (mut section, mut rows) = (String::new(), Vec::<Told>::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        let Some(told) = row(&section, line) else { continue };
        let stands_twice = rows.iter().any(|other| other.name == told.name && other.section == told.section);
        assert!(!stands_twice, "{} stands twice in {section}", told.name);
        rows.push(told);
    }
    rows
}

fn row(section: &str, line: &str) -> Option<Told> {
    let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
    let [name, default, accepted, meaning] = cells[..] else { return None };
    Some(Told {
        section: section.to_owned(),
        name: name.strip_prefix('`')?.strip_suffix('`')?.to_owned(),
        default: (default != "unset").then(|| default.trim_matches('`').to_owned()),
        accepted: accepted.trim_matches('`').to_owned(),
        meaning: meaning.to_owned(),
    })
}

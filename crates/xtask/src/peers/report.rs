//! The table, which is printed while it grows.

use std::path::Path;

/// Widths of peer, what is looked at, and both results.
const WIDTHS: [usize; 4] = [14, 24, 42, 42];

/// What was seen of one course.
#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    peer: String,
    rows: usize,
    /// In words.
    mismatches: Vec<String>,
}

impl Report {
    pub(super) fn of(peer: &str) -> Self {
        Self { peer: peer.to_owned(), ..Self::default() }
    }

    /// Adds a row and prints it.
    pub(super) fn row(&mut self, what: &str, expected: &str, seen: &str) {
        let is_fine = agrees(expected, seen);
        print_row([&self.peer, what, expected, seen], if is_fine { "yes" } else { "NO" });
        self.rows += 1;
        if !is_fine {
            self.mismatches.push(format!("{}: {what} is {seen}, not {expected}", self.peer));
        }
    }

    /// Says at each mismatch where to look.
    pub(super) fn look_in(&mut self, folder: &Path) {
        let place = format!("; see {}/{}-*.log", folder.display(), self.file_name());
        for mismatch in &mut self.mismatches {
            mismatch.push_str(&place);
        }
    }

    /// The peer as part of a file's name.
    pub(super) fn file_name(&self) -> String {
        self.peer.replace(", ", "-")
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn mismatches(&self) -> &[String] {
        &self.mismatches
    }
}

/// Whether each part between slashes is one of those expected there.
pub(super) fn agrees(expected: &str, seen: &str) -> bool {
    let (expected, seen): (Vec<_>, Vec<_>) = (expected.split('/').collect(), seen.split('/').collect());
    let agrees = |(expected, seen): (&&str, &&str)| expected.split('|').any(|one| one == *seen);
    expected.len() == seen.len() && expected.iter().zip(&seen).all(agrees)
}

pub(super) fn print_head() {
    print_row(["peer", "what", "expected", "seen"], "ok");
    print_row(WIDTHS.map(|width| "-".repeat(width)).each_ref().map(String::as_str), "---");
}

fn print_row(cells: [&str; 4], end: &str) {
    let cells: Vec<_> = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:width$}")).collect();
    println!("| {} | {end:3} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_must_be_one_of_what_is_expected() {
        assert!(agrees("done/delivered/0", "done/delivered/0") && agrees("yes", "yes"));
        assert!(agrees("done/delivered|unknown/0", "done/unknown/0"));
        for seen in ["done/delivered|unknown/0", "done/-/0", "done/delivered/1", "done/delivered", ""] {
            assert!(!agrees("done/delivered|unknown/0", seen), "{seen}");
        }
    }

    #[test]
    fn mismatches_say_what_was_seen_and_where_to_look() {
        let mut report = Report::of("node, TLS");
        report.row("0000", "done/delivered/0", "done/delivered/0");
        report.row("0003", "failed/-/1", "failed/-/0");
        report.look_in(Path::new("target/peers"));
        assert_eq!(report.rows(), 2);
        let expected = "node, TLS: 0003 is failed/-/0, not failed/-/1; see target/peers/node-TLS-*.log";
        assert_eq!(report.mismatches(), [expected]);
    }
}

//! The table of all orders.

use std::fmt;

/// What came of an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) order: String,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) delivered: u64,
    /// In words.
    pub(super) mismatches: Vec<String>,
}

/// Rows for people, with the first mismatches of each order below.
pub(super) struct Table<'a>(pub(super) &'a [Row]);

/// Mismatches of an order that are shown.
const SHOWN: usize = 10;

impl Table<'_> {
    /// Whether nothing is wrong with any order.
    pub(super) fn is_clean(&self) -> bool {
        self.0.iter().all(|row| row.mismatches.is_empty())
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.order.len()).chain(["order".len()]).max().unwrap_or(0);
        writeln!(
            f,
            "| {:width$} | accepted | refused | failed | delivered | mismatches |\n|{:-<2$}|---------:|--------:|-------:|----------:|-----------:|",
            "order",
            "",
            width + 2
        )?;
        for Row { order, accepted, refused, failed, delivered, mismatches } in self.0 {
            let wrong = mismatches.len();
            writeln!(f, "| {order:width$} | {accepted:8} | {refused:7} | {failed:6} | {delivered:9} | {wrong:10} |")?;
        }
        for row in self.0 {
            for mismatch in row.mismatches.iter().take(SHOWN) {
                writeln!(f, "{}: {mismatch}", row.order)?;
            }
            if row.mismatches.len() > SHOWN {
                writeln!(f, "{}: and {} more", row.order, row.mismatches.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mismatches: usize) -> Row {
        let mismatches = (0..mismatches).map(|number| format!("message {number} is lost")).collect();
        Row {
            order: "gateway, relay, worker".to_owned(),
            accepted: 1_000,
            delivered: 999,
            mismatches,
            ..Row::default()
        }
    }

    #[test]
    fn every_line_of_the_table_is_as_long() {
        let rows = [row(0), row(0)];
        let text = Table(&rows).to_string();
        assert_eq!(text.lines().count(), 4);
        assert!(text.lines().all(|line| Some(line.len()) == text.lines().next().map(str::len)), "{text}");
        assert!(text.contains("| gateway, relay, worker |     1000 |"), "{text}");
        assert!(Table(&rows).is_clean());
    }

    #[test]
    fn mismatches_are_listed_below_up_to_a_limit() {
        let rows = [row(0), row(SHOWN + 2)];
        let text = Table(&rows).to_string();
        assert_eq!(text.lines().filter(|line| line.ends_with("is lost")).count(), SHOWN);
        assert!(text.ends_with("worker: and 2 more\n"), "{text}");
        assert!(!Table(&rows).is_clean());
    }
}

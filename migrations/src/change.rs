//! A change of the schema: its steps forward, its statements back, and who may work on the result.

/// One migration, for both kinds of database.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// `m`, the number with four digits, and what it is about: `m0007_lean_tables`.
    pub name: &'static str,
    /// Which older releases may work on the schema once this was made.
    pub older: Older,
    /// Forward on MySQL and MariaDB.
    pub mysql: &'static [Step],
    /// Back on MySQL and MariaDB.
    pub mysql_down: &'static [&'static str],
    /// Forward on SQLite.
    pub sqlite: &'static [Step],
    /// Back on SQLite.
    pub sqlite_down: &'static [&'static str],
}

/// Which releases, among those that do not know a change, may work on the schema once it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// Made before releases asked (`m0001` to `m0006`): nothing is written down.
    Unasked,
    /// An expansion: all that could work before.
    GoOn,
    /// A contraction: only those that know the change of this number. They are kept off from before its first step.
    From(u32),
}

/// One step of a change.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// A statement that may be run again (`IF NOT EXISTS`, `MODIFY`).
    Repeatable(&'static str),
    /// Add a column unless it is there: table, column, statement.
    Column(&'static str, &'static str, &'static str),
    /// Add a CHECK unless it is there: constraint, statement. MySQL only; SQLite has it in CREATE TABLE.
    Check(&'static str, &'static str),
    /// A statement with a limit, run until it finds no row any more.
    Batches(&'static str),
    /// Store columns as ASCII and drop indexes, in one copy of the table. MySQL only.
    Lean(Lean),
}

/// Columns that are compared by their bytes, and indexes that are not there any more.
#[derive(Debug, Clone, Copy)]
pub struct Lean {
    /// The table.
    pub table: &'static str,
    /// Name, type, and what follows the collation. ASCII where every row fits, otherwise Unicode compared by code points: a
    /// database of the reference may hold anything.
    pub columns: &'static [(&'static str, &'static str, &'static str)],
    /// Dropped where they are there.
    pub without_indexes: &'static [&'static str],
}

impl Change {
    /// The number in its name.
    pub(crate) fn number(&self) -> u32 {
        let digits = self.name.strip_prefix('m').and_then(|rest| rest.split('_').next());
        digits.and_then(|digits| digits.parse().ok()).expect("names of changes begin with m and a number")
    }
}

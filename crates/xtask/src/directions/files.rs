//! Which files of a crate import each other in a circle.
//!
//! Who reads one file of a circle has to know all of them. A file and those in its folder (`x.rs`, `x/`) may import each
//! other: they are one module in parts; the parts among themselves may not.

mod source;
mod tokens;
mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use tree::{Id, Tree};

/// What the files of one crate import of each other. Code for tests only does not count, nor does a name that a file
/// only passes on: who imports that depends on where it is defined.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// The file of the parent module, for all but the root.
    parents: BTreeMap<PathBuf, Option<PathBuf>>,
    /// From who imports to who is imported, with what.
    arrows: BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>,
}

/// Files each of which imports itself through the others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle {
    arrows: BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>,
}

impl Imports {
    /// Reads the crate whose root module is in this file.
    pub(super) fn of(root: &Path) -> anyhow::Result<Self> {
        let tree = Tree::read(root)?;
        let mut imports = Self::default();
        for (id, module) in tree.modules.iter().enumerate() {
            let parent = module.parent.map(|parent| tree.modules[parent].file.clone());
            imports.parents.entry(module.file.clone()).or_insert(parent);
            let used = module.source.imports.iter().filter(|import| module.source.uses(import));
            let paths = used.map(|import| &import.path).chain(&module.source.paths);
            paths.for_each(|path| imports.add(&tree, id, path));
        }
        Ok(imports)
    }

    fn add(&mut self, tree: &Tree, from: Id, path: &[String]) {
        let Some(found) = tree.resolve(from, path) else { return };
        let (from, to) = (&tree.modules[from].file, &tree.modules[found.module].file);
        // Who imports a module names what it wants of it elsewhere.
        if let Some(item) = found.item.filter(|_| from != to) {
            self.arrows.entry((from.clone(), to.clone())).or_default().insert(item);
        }
    }

    /// How many files there are.
    pub(super) fn files(&self) -> usize {
        self.parents.len()
    }

    /// All circles, each as large as it is.
    pub(super) fn circles(&self) -> Vec<Circle> {
        self.circles_among(&self.parents.keys().collect())
    }

    fn circles_among(&self, files: &BTreeSet<&PathBuf>) -> Vec<Circle> {
        let mut circles = Vec::new();
        let mut left = files.clone();
        while let Some(file) = left.pop_first() {
            let reached = self.reached_from(file, files);
            let circle: BTreeSet<_> =
                reached.into_iter().filter(|other| self.reached_from(other, files).contains(file)).collect();
            left.retain(|other| !circle.contains(other));
            if circle.len() < 2 {
                continue;
            }
            match circle.iter().find(|parent| self.is_family_of(parent, &circle)) {
                Some(parent) => {
                    let parts = circle.iter().filter(|file| file != &parent).copied().collect();
                    circles.extend(self.circles_among(&parts));
                }
                None => circles.push(self.circle(&circle)),
            }
        }
        circles
    }

    /// Whether all of these are below this one.
    fn is_family_of(&self, parent: &PathBuf, files: &BTreeSet<&PathBuf>) -> bool {
        let above = |file: &PathBuf| self.parents.get(file).and_then(Option::clone);
        let is_below = |file: &PathBuf| std::iter::successors(above(file), above).any(|above| above == *parent);
        files.iter().all(|file| *file == parent || is_below(file))
    }

    /// All files that this one imports, also through others of these.
    fn reached_from<'a>(&'a self, file: &Path, among: &BTreeSet<&'a PathBuf>) -> BTreeSet<&'a PathBuf> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![file]);
        while let Some(from) = next.pop() {
            let imported = self.arrows.keys().filter(|(importer, _)| importer == from).map(|(_, to)| to);
            for to in imported.filter(|to| among.contains(to)) {
                if reached.insert(to) {
                    next.push(to);
                }
            }
        }
        reached
    }

    fn circle(&self, files: &BTreeSet<&PathBuf>) -> Circle {
        let within = self.arrows.iter().filter(|((from, to), _)| files.contains(from) && files.contains(to));
        Circle { arrows: within.map(|(arrow, what)| (arrow.clone(), what.clone())).collect() }
    }
}

impl fmt::Display for Circle {
    /// A line that says how many, and one for each arrow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: BTreeSet<_> = self.arrows.keys().map(|(from, _)| from).collect();
        write!(f, "{} files import each other in a circle", files.len())?;
        for ((from, to), what) in &self.arrows {
            let what: Vec<_> = what.iter().map(String::as_str).collect();
            write!(f, "\n  {} imports {} ({})", from.display(), to.display(), what.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate with these files, as the files that are in them.
    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, text).expect("written");
        }
        let imports = Imports::of(&folder.path().join("lib.rs")).expect("readable");
        assert_eq!(imports.files(), files.len());
        let files_of = |circle: Circle| circle.arrows.into_keys().map(|(from, _)| from.display().to_string());
        imports
            .circles()
            .into_iter()
            .map(|circle| files_of(circle).collect::<BTreeSet<_>>().into_iter().collect())
            .collect()
    }

    const NONE: Vec<Vec<String>> = Vec::new();

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let lib = ("lib.rs", "mod a; mod b; mod c; mod d;");
        let (a, b) = (
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use crate::{c, d::D}; pub fn b() { c::c() } pub struct B;"),
        );
        let (c, d) = (("c.rs", "pub fn c() -> super::a::A {}"), ("d.rs", "pub struct D;"));
        assert_eq!(circles(&[lib, a, b, c, d]), [["a.rs", "b.rs", "c.rs"]]);
        assert_eq!(circles(&[lib, a, b, ("c.rs", "pub fn c() {}"), d]), NONE);
    }

    #[test]
    fn two_circles_are_told_apart() {
        let lib = ("lib.rs", "mod a; mod b; mod c; mod d;");
        let files = [
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use crate::a::A; use crate::c::C; pub struct B;"),
            ("c.rs", "use crate::d::D; pub struct C;"),
            ("d.rs", "use crate::c::C; pub struct D;"),
        ];
        assert_eq!(circles(&[[lib].as_slice(), &files].concat()), [["a.rs", "b.rs"], ["c.rs", "d.rs"]]);
    }

    #[test]
    fn what_is_passed_on_leads_to_where_it_is_defined() {
        let lib = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::{B, part::*};");
        let b = ("b.rs", "pub mod part; pub use part::C as Other; pub struct B;");
        let part = ("b/part.rs", "pub struct C;");
        for imported in ["crate::B", "crate::b::B", "super::B"] {
            let a = format!("use {imported}; pub struct A;");
            let back = ("b.rs", "pub mod part; use crate::A; pub struct B;");
            assert_eq!(circles(&[lib, ("a.rs", &a), back, part]), [["a.rs", "b.rs"]], "{imported}");
            assert_eq!(circles(&[lib, ("a.rs", &a), b, part]), NONE, "{imported}");
        }
        for imported in ["crate::C", "crate::b::Other", "crate::b::part::C"] {
            let a = format!("use {imported}; pub struct A;");
            let back = ("b/part.rs", "use crate::A; pub struct C;");
            assert_eq!(circles(&[lib, ("a.rs", &a), b, back]), [["a.rs", "b/part.rs"]], "{imported}");
        }
    }

    #[test]
    fn a_file_and_its_folder_are_one_module_but_its_parts_are_several() {
        let lib = ("lib.rs", "mod a; pub struct Shared; pub fn start() { a::run() }");
        let a = ("a.rs", "mod one; mod two; use one::One; use two::Two; pub fn run() { crate::Shared }");
        let (one, two) =
            (("a/one.rs", "use super::run; pub struct One;"), ("a/two.rs", "use crate::Shared; pub struct Two;"));
        assert_eq!(circles(&[lib, a, one, two]), NONE);
        let one = ("a/one.rs", "use super::{run, two::Two}; pub struct One;");
        assert_eq!(circles(&[lib, a, one, two]), NONE);
        let two = ("a/two.rs", "use super::one::One; pub struct Two;");
        assert_eq!(circles(&[lib, a, one, two]), [["a/one.rs", "a/two.rs"]]);
    }

    #[test]
    fn a_circle_through_another_family_is_one() {
        let lib = ("lib.rs", "mod a; mod b;");
        let a = ("a.rs", "mod part; use part::Part; pub struct A;");
        let files =
            [lib, a, ("a/part.rs", "use crate::b::B; pub struct Part;"), ("b.rs", "use crate::a::A; pub struct B;")];
        assert_eq!(circles(&files), [["a.rs", "a/part.rs", "b.rs"]]);
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let lib = ("lib.rs", "mod a; mod b;");
        let a = ("a.rs", "use crate::b::B; pub struct A;");
        let b = ("b.rs", "pub struct B; #[cfg(test)] mod tests { use super::*; use crate::a::A; }");
        assert_eq!(circles(&[lib, a, b]), NONE);
    }

    #[test]
    fn other_crates_and_macros_are_no_arrows() {
        let lib = ("lib.rs", "mod metrics; mod b;");
        let metrics = ("metrics.rs", "use crate::b::B; use std::fmt; pub fn of(b: B) { ::metrics::counter!(\"a\") }");
        let b = ("b.rs", "use metrics::counter; macro_rules! write { () => {} } pub(crate) use write; pub struct B;");
        assert_eq!(circles(&[lib, metrics, b]), NONE);
    }

    #[test]
    fn a_circle_is_told_by_its_arrows() {
        let arrow = |from: &str, to: &str, what: &str| {
            ((PathBuf::from(from), PathBuf::from(to)), BTreeSet::from([what.to_owned()]))
        };
        let circle = Circle { arrows: BTreeMap::from([arrow("a.rs", "b.rs", "B"), arrow("b.rs", "a.rs", "A")]) };
        let expected = "2 files import each other in a circle\n  a.rs imports b.rs (B)\n  b.rs imports a.rs (A)";
        assert_eq!(circle.to_string(), expected);
    }
}

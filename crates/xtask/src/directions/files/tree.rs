//! The modules of a crate, and which file a path leads to.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::source::Source;

/// A module's place in [`Tree::modules`].
pub(super) type Id = usize;

/// All modules that are compiled into what is shipped; the first is the root.
pub(super) struct Tree {
    pub(super) modules: Vec<Module>,
}

pub(super) struct Module {
    /// Where its text is, from the root's folder on.
    pub(super) file: PathBuf,
    pub(super) parent: Option<Id>,
    pub(super) source: Source,
    children: HashMap<String, Id>,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The module it is defined in, or that it is.
    pub(super) module: Id,
    /// Its name; `None` for a module.
    pub(super) item: Option<String>,
}

impl Tree {
    /// Reads the file of the root module and those of all modules below.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let folder = root.parent().context("a crate's root is in a folder")?;
        let file = root.file_name().context("a crate's root is a file")?;
        let mut tree = Self { modules: Vec::new() };
        let text = read(root)?;
        tree.add(folder, Path::new(""), Path::new(file), None, Source::of(&text))?;
        Ok(tree)
    }

    /// Adds a module whose own modules have their files in `below`.
    fn add(
        &mut self,
        folder: &Path,
        below: &Path,
        file: &Path,
        parent: Option<Id>,
        mut source: Source,
    ) -> anyhow::Result<Id> {
        let (files, inline) = (std::mem::take(&mut source.files), std::mem::take(&mut source.inline));
        let id = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), parent, source, children: HashMap::new() });
        for name in files {
            let beside = below.join(&name).with_extension("rs");
            let within = below.join(&name).join("mod.rs");
            let found = if folder.join(&beside).is_file() { beside } else { within };
            let text = read(&folder.join(&found))?;
            let child = self.add(folder, &below.join(&name), &found, Some(id), Source::of(&text))?;
            self.modules[id].children.insert(name, child);
        }
        for (name, source) in inline {
            let child = self.add(folder, &below.join(&name), file, Some(id), source)?;
            self.modules[id].children.insert(name, child);
        }
        Ok(id)
    }

    /// What a path in this module leads to, through all that others pass on; `None` for other crates.
    pub(super) fn resolve(&self, from: Id, path: &[String]) -> Option<Found> {
        self.follow(from, path, 0)
    }

    fn follow(&self, from: Id, path: &[String], steps: usize) -> Option<Found> {
        // A name that is passed on in a circle.
        if steps > self.modules.len() {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(0, rest, steps),
            "self" => self.descend(from, rest, steps),
            "super" => match rest {
                [next, ..] if next == "super" => self.follow(self.modules[from].parent?, rest, steps),
                _ => self.descend(self.modules[from].parent?, rest, steps),
            },
            name => {
                let module = &self.modules[from];
                let import = || module.source.imports.iter().any(|import| import.name == name && import.path != path);
                let is_here = module.children.contains_key(name) || module.source.items.contains(name) || import();
                if is_here { self.descend(from, path, steps) } else { None }
            }
        }
    }

    fn descend(&self, at: Id, path: &[String], steps: usize) -> Option<Found> {
        let Some((name, rest)) = path.split_first() else { return Some(Found { module: at, item: None }) };
        let Module { source, children, .. } = &self.modules[at];
        if let Some(child) = children.get(name) {
            return self.descend(*child, rest, steps);
        }
        let here = || Some(Found { module: at, item: Some(name.clone()) });
        if source.items.contains(name) {
            return here();
        }
        if let Some(import) = source.imports.iter().find(|import| import.name == *name) {
            return self.follow(at, &[&import.path, rest].concat(), steps + 1);
        }
        let everything = source.imports.iter().filter(|import| import.name == "*");
        let mut modules = everything.filter_map(|import| Some(self.follow(at, &import.path, steps + 1)?.module));
        let passed_on = modules.find(|module| {
            let Module { source, children, .. } = &self.modules[*module];
            children.contains_key(name) || source.items.contains(name)
        });
        // What nobody defines is made by a macro, here.
        passed_on.map_or_else(here, |module| self.descend(module, path, steps + 1))
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

//! What one file says of modules: which it has, what it imports, what it defines. Code for tests only is left out.

use std::collections::{HashMap, HashSet};

use super::tokens::{Token, tokens};

/// `crate::error::Error` as its words.
pub(super) type Path = Vec<String>;

/// A module, as its text says.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Modules in files of their own.
    pub(super) files: Vec<String>,
    /// Modules written between braces.
    pub(super) inline: HashMap<String, Source>,
    /// Names brought in by `use`.
    pub(super) imports: Vec<Import>,
    /// Paths written where they are used.
    pub(super) paths: Vec<Path>,
    /// Functions, types, constants, traits and macros.
    pub(super) items: HashSet<String>,
    /// All words outside of imports.
    words: HashSet<String>,
}

/// One name of a `use`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// What it is called here; `*` for everything.
    pub(super) name: String,
    pub(super) path: Path,
    /// Whether it is passed on to others.
    pub(super) is_public: bool,
}

const DEFINE: [&str; 8] = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];

impl Source {
    /// Reads a file.
    pub(super) fn of(text: &str) -> Self {
        let tokens = tokens(text);
        Reader { tokens: &tokens, at: 0 }.module()
    }

    /// Whether this import is more than passed on.
    pub(super) fn uses(&self, import: &Import) -> bool {
        !import.is_public || self.words.contains(&import.name)
    }
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads to the end, or past the brace that closes the module.
    fn module(&mut self) -> Source {
        let (mut source, mut depth, mut is_public) = (Source::default(), 0_usize, false);
        while let Some(token) = self.next() {
            match token {
                Token::Sign('}') if depth == 0 => break,
                Token::Sign('}') => depth -= 1,
                Token::Sign('{') => depth += 1,
                Token::Sign('#') if self.attribute_is_for_tests() => self.skip_item(),
                Token::Word("pub") => {
                    is_public = true;
                    self.skip_group('(', ')');
                    continue;
                }
                Token::Word("use") if self.peek() != Some(Token::Sign('<')) => {
                    self.imports(&[], is_public, &mut source.imports);
                }
                Token::Word("mod") => self.submodule(&mut source),
                Token::Word("macro_rules") if self.peek() == Some(Token::Sign('!')) => {
                    self.at += 1;
                    source.items.extend(self.word().map(str::to_owned));
                }
                Token::Word(word) if DEFINE.contains(&word) && depth == 0 => {
                    // Of `const fn` the second word says more.
                    let is_name = |token| matches!(token, Token::Word(word) if !DEFINE.contains(&word));
                    let name = self.peek().filter(|token| is_name(*token)).and_then(|_| self.word());
                    source.items.extend(name.map(str::to_owned));
                }
                Token::Word(word) => self.path(word, &mut source),
                Token::Sign(_) | Token::Separator => {}
            }
            is_public = false;
        }
        source
    }

    fn submodule(&mut self, source: &mut Source) {
        let Some(name) = self.word().map(str::to_owned) else { return };
        match self.next() {
            Some(Token::Sign(';')) => source.files.push(name),
            Some(Token::Sign('{')) => drop(source.inline.insert(name, self.module())),
            _ => {}
        }
    }

    /// Takes a path from its first word on, unless the word stands alone.
    fn path(&mut self, first: &str, source: &mut Source) {
        source.words.insert(first.to_owned());
        if self.at >= 2 && self.tokens[self.at - 2] == Token::Separator {
            return;
        }
        let mut path = vec![first.to_owned()];
        while let (Some(Token::Separator), Some(Token::Word(word))) = (self.peek(), self.tokens.get(self.at + 1)) {
            path.push((*word).to_owned());
            self.at += 2;
        }
        if path.len() > 1 {
            source.paths.push(path);
        }
    }

    /// Takes the rest of a `use`, or of a group within one, up to what ends it.
    fn imports(&mut self, before: &[String], is_public: bool, found: &mut Vec<Import>) {
        let (mut path, mut name) = (before.to_vec(), None);
        while let Some(token) = self.next() {
            match token {
                Token::Word("as") => name = self.word().map(str::to_owned),
                Token::Word("self") if !before.is_empty() => name = before.last().cloned(),
                Token::Word(word) => {
                    path.push(word.to_owned());
                    name = Some(word.to_owned());
                }
                Token::Sign('*') => name = Some("*".to_owned()),
                Token::Sign('{') => {
                    self.imports(&path, is_public, found);
                    name = None;
                }
                Token::Sign(end @ (',' | '}' | ';')) => {
                    let path = std::mem::replace(&mut path, before.to_vec());
                    found.extend(name.take().map(|name| Import { name, path, is_public }));
                    if end != ',' {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the attribute whose `#` was read has what follows it compiled for tests alone; only then it is taken.
    fn attribute_is_for_tests(&mut self) -> bool {
        let is_for_tests = self.tokens[self.at..].starts_with(&tokens("[cfg(test)]"));
        if is_for_tests {
            self.skip_group('[', ']');
        }
        is_for_tests
    }

    /// Passes over an item, a field or a statement.
    fn skip_item(&mut self) {
        let (mut is_import, mut is_item) = (false, false);
        while let Some(token) = self.peek() {
            match token {
                Token::Sign('#') => {
                    self.at += 1;
                    self.skip_group('[', ']');
                }
                Token::Sign('(') => self.skip_group('(', ')'),
                Token::Sign('{') => {
                    self.skip_group('{', '}');
                    if !is_import {
                        return;
                    }
                }
                Token::Sign('}') => return,
                Token::Sign(';') => {
                    self.at += 1;
                    return;
                }
                Token::Sign(',') if !is_item => return,
                Token::Word(word) => {
                    is_import |= word == "use";
                    is_item |= DEFINE.contains(&word) || ["use", "mod", "impl", "macro_rules"].contains(&word);
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
    }

    /// Passes over everything between these two, if the first is next.
    fn skip_group(&mut self, open: char, close: char) {
        if self.peek() != Some(Token::Sign(open)) {
            return;
        }
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            match token {
                Token::Sign(sign) if sign == open => depth += 1,
                Token::Sign(sign) if sign == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// The next token, if it is a word.
    fn word(&mut self) -> Option<&'a str> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        self.at += 1;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<(String, String)> {
        Source::of(text).imports.into_iter().map(|import| (import.name, import.path.join("::"))).collect()
    }

    fn paths(text: &str) -> Vec<String> {
        Source::of(text).paths.into_iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn every_name_of_a_use_is_an_import() {
        let text = "use crate::{a::{self, B as C}, d::*, e::{self},}; pub(crate) use super::f::G; use self::h;";
        let expected = [
            ("a", "crate::a"),
            ("C", "crate::a::B"),
            ("*", "crate::d"),
            ("e", "crate::e"),
            ("G", "super::f::G"),
            ("h", "self::h"),
        ];
        assert_eq!(imports(text), expected.map(|(name, path)| (name.to_owned(), path.to_owned())));
        let public: Vec<_> = Source::of(text).imports.iter().map(|import| import.is_public).collect();
        assert_eq!(public, [false, false, false, false, true, false]);
    }

    #[test]
    fn paths_are_found_in_code_and_macros() {
        assert_eq!(
            paths("fn a() { crate::b::c(); $crate::d::E!(super::f::G::<H>::new()) }"),
            ["crate::b::c", "crate::d::E", "super::f::G"]
        );
        assert_eq!(paths("#[derive(crate::i::J)] struct A;"), ["crate::i::J"]);
        assert_eq!(paths("fn a() -> impl B + use<C> { d.e::<F>() }"), Vec::<String>::new());
    }

    #[test]
    fn what_is_for_tests_alone_is_left_out() {
        let text = "
            #[cfg(test)] use crate::{a::A, b::B};
            #[cfg(test)]
            #[expect(dead_code)]
            pub(crate) fn c<D, E>(d: D) { crate::f() }
            struct G { #[cfg(test)] h: crate::i::J, k: crate::l::M }
            #[cfg(test)] mod n;
            #[cfg(test)] mod tests { use super::*; mod o {} }
            #[derive(Debug)] struct P(crate::q::R);
            mod s;
        ";
        let source = Source::of(text);
        assert_eq!(paths(text), ["crate::l::M", "crate::q::R"]);
        assert_eq!((source.imports, source.files), (vec![], vec!["s".to_owned()]));
        assert_eq!(source.items, HashSet::from(["G", "P"].map(str::to_owned)));
    }

    #[test]
    fn modules_and_items_have_names() {
        let source =
            Source::of("pub mod a { pub const B: u8 = 1; } mod c; const fn d() {} macro_rules! e { () => {} }");
        assert_eq!(source.files, ["c"]);
        assert!(source.inline["a"].items.contains("B"));
        assert_eq!(source.items, HashSet::from(["d", "e"].map(str::to_owned)));
    }

    #[test]
    fn a_name_that_is_only_passed_on_is_not_used() {
        let source = Source::of("pub use a::{B, C}; use d::E; fn f() -> B {}");
        let uses: Vec<_> = source.imports.iter().map(|import| source.uses(import)).collect();
        assert_eq!(uses, [true, false, true]);
    }
}

//! An SMSC of somebody else's making as a process.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use test_support::{Process, free_port};

use super::{folder::Folder, journal::Journal, wait::until};

/// How long an answer of an SMSC is waited for: what it never answers is to be sent again soon.
const ANSWER: Duration = Duration::from_secs(3);

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// npm's `smpp`.
    Node,
    /// The same over TLS, with a private authority.
    NodeTls,
    /// Python's `smpp34`.
    Smpp34,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::NodeTls => "node, TLS",
            Self::Smpp34 => "smpp34",
        }
    }
}

/// Its process, which writes a journal; killed when dropped.
pub(super) struct Smsc {
    kind: Kind,
    port: u16,
    process: Process,
    authority: PathBuf,
    courses: u32,
}

impl Smsc {
    /// Starts one on a free port and waits until it listens.
    ///
    /// # Errors
    /// When it ends by itself, or does not listen within a minute.
    pub(super) async fn start(folder: &Folder, kind: Kind) -> anyhow::Result<Self> {
        let (program, script) = match kind {
            Kind::Node | Kind::NodeTls => (PathBuf::from("node"), "smsc-node.js"),
            Kind::Smpp34 => (folder.file("venv/bin/python"), "smsc-smpp34.py"),
        };
        let tls = folder.file("tls");
        let (script, port) = (text(&folder.file(script))?, free_port());
        let env = (kind == Kind::NodeTls).then(|| anyhow::Ok(("TLS_DIR", text(&tls)?))).transpose()?;
        let process = Process::start(&program, &[&script, &port.to_string()], env);
        let mut smsc = Self { kind, port, process, authority: tls.join("ca.pem"), courses: 0 };
        smsc.listens().await?;
        Ok(smsc)
    }

    async fn listens(&mut self) -> anyhow::Result<()> {
        let listens = until(async || {
            let listens = self.journal().count("listening") > 0;
            if !listens && !self.process.is_running() {
                bail!("{} has ended; it wrote:\n{}", self.kind.name(), self.process.output());
            }
            Ok(listens.then_some(()))
        });
        listens.await?.with_context(|| format!("{} does not listen", self.kind.name()))
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// What it has written until now.
    pub(super) fn journal(&self) -> Journal {
        Journal::read(&self.process.output())
    }

    /// All that it has written until now, as it was written.
    pub(super) fn output(&self) -> String {
        self.process.output()
    }

    /// It reads nothing until it is resumed.
    pub(super) fn pause(&mut self) {
        self.process.pause();
    }

    pub(super) fn resume(&mut self) {
        self.process.resume();
    }

    /// A number that no course with this SMSC had before, so that recipients differ.
    pub(super) fn next_course(&mut self) -> u32 {
        self.courses += 1;
        self.courses
    }

    /// The setting `OPERATORS` that names it, with further parameters; its certificate is trusted.
    pub(super) fn operators(&self, parameters: &str) -> anyhow::Result<String> {
        let authority = match self.kind {
            Kind::NodeTls => format!("&ca={}", encoded(&text(&self.authority)?)),
            Kind::Node | Kind::Smpp34 => String::new(),
        };
        Ok(format!("{}{authority}{parameters}", self.without_authority()))
    }

    /// The same for somebody who does not know who signed its certificate.
    pub(super) fn without_authority(&self) -> String {
        let scheme = if self.kind == Kind::NodeTls { "smpps" } else { "smpp" };
        format!("peer={scheme}://esme1:secret@127.0.0.1:{}?timeout_ms={}", self.port, ANSWER.as_millis())
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not written in UTF-8", path.display()))
}

/// As the value of a parameter: commas separate operators, and `+` is a blank.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => encoded.push(char::from(byte)),
            // Writing to a string never fails.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn a_path_is_one_value_of_a_parameter() {
        assert_eq!(encoded("/etc/peers-1/ca.pem"), "/etc/peers-1/ca.pem");
        assert_eq!(encoded("/a b,c+d&ü"), "/a%20b%2Cc%2Bd%26%C3%BC");
    }
}

//! The `OPERATORS` variable: an ordered list of `name=url`.

use std::{fmt, sync::Arc};

use url::Url;

use crate::smsc::{SmppConfig, WrongUrl};

/// Longest name of an operator, in bytes; it is stored with each message (`provider`).
const MAX_NAME: usize = 50;
/// The URLs of all kinds, for who is told what is accepted.
pub(crate) const ACCEPTED_URLS: &str = "simulated:, http(s)://host or smpp(s)://user:password@host";
/// The whole URL of a simulated operator.
const SIMULATED: &str = "simulated:";

/// What an operator is called in tables, logs and metrics: 1 to 50 of `A-Z a-z 0-9 _ . -`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorName(Arc<str>);

impl OperatorName {
    /// The name, or `None` where it is empty, too long or has other characters.
    pub fn parse(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let is_right = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed);
        is_right.then(|| Self(name.into()))
    }

    /// The name as it was configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How an operator is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// In this process: accepts at once and logs.
    Simulated,
    /// `POST` to this `http` or `https` URL.
    Http(Url),
    /// Sessions with the SMSC at this `smpp` or `smpps` URL.
    Smpp(Box<SmppConfig>),
}

impl fmt::Debug for Endpoint {
    /// Only scheme, host and port: the rest of the URL may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulated => f.write_str("Simulated"),
            Self::Http(url) => write!(f, "Http({})", url.origin().ascii_serialization()),
            Self::Smpp(config) => config.fmt(f),
        }
    }
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSpec {
    /// What it is called.
    pub name: OperatorName,
    /// How it is reached.
    pub endpoint: Endpoint,
}

/// Why a list of operators was refused. The text never repeats a URL, which may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The list is empty.
    #[error("list at least one operator as name=url, separated by commas")]
    NoOperators,
    /// An entry has no name, or a wrong one.
    #[error("operator number {position} must be name=url, the name 1 to {MAX_NAME} letters, digits, '_', '.' or '-'")]
    Name {
        /// Place in the list, counted from 1.
        position: usize,
    },
    /// An entry's URL is of no kind that is known here.
    #[error("the url of operator {name} must be {ACCEPTED_URLS}")]
    Url {
        /// Whose URL.
        name: OperatorName,
    },
    /// An SMPP URL is none.
    #[error(
        "the url of operator {name} must be smpp(s)://user:password@host:port?parameter=value, with user and password \
         percent-encoded: %2F for a slash, %3F for a question mark, %23 for a number sign, %2C for a comma"
    )]
    SmppUrl {
        /// Whose URL.
        name: OperatorName,
    },
    /// A parameter of an SMPP URL is not known, or has a value that is not accepted.
    #[error("the url of operator {name} is not accepted: {parameter}: {expected}")]
    Parameter {
        /// Whose URL.
        name: OperatorName,
        /// Which parameter.
        parameter: String,
        /// What is accepted.
        expected: String,
    },
    /// Two entries have one name.
    #[error("operator {name} is listed twice, but each operator needs a name of its own")]
    Repeated {
        /// The name.
        name: OperatorName,
    },
}

/// Parses an ordered list such as `operatorA=simulated:,operatorB=https://host/path`.
///
/// White space around entries is ignored. A comma inside a URL must be written `%2C`, but for those between statuses of an SMPP URL.
pub fn parse_operators(list: &str) -> Result<Vec<OperatorSpec>, ParseError> {
    if list.trim().is_empty() {
        return Err(ParseError::NoOperators);
    }
    let mut specs: Vec<OperatorSpec> = Vec::new();
    for (index, entry) in entries(list).into_iter().enumerate() {
        let spec = parse_entry(entry.trim(), index + 1)?;
        if specs.iter().any(|other| other.name == spec.name) {
            return Err(ParseError::Repeated { name: spec.name });
        }
        specs.push(spec);
    }
    Ok(specs)
}

/// The entries of a list. What goes on with statuses of an SMPP URL (`reject=400,401&...`) belongs to the entry before.
fn entries(list: &str) -> Vec<&str> {
    let (mut entries, mut start) = (Vec::new(), 0);
    for (place, _) in list.match_indices(',') {
        let (before, after) = (list[start..place].trim_start(), &list[place + 1..]);
        let word = after.split(['&', ',']).next().unwrap_or_default().trim_end();
        let is_status = !word.is_empty() && word.trim_start_matches("0x").bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_of_smpp = before.split_once('=').is_some_and(|(_, url)| url.trim_start().starts_with("smpp"));
        if !(is_of_smpp && is_status) {
            entries.push(&list[start..place]);
            start = place + 1;
        }
    }
    entries.push(&list[start..]);
    entries
}

fn parse_entry(entry: &str, position: usize) -> Result<OperatorSpec, ParseError> {
    let (name, url) = entry.split_once('=').ok_or(ParseError::Name { position })?;
    let name = OperatorName::parse(name.trim()).ok_or(ParseError::Name { position })?;
    match parse_endpoint(url.trim()) {
        Ok(endpoint) => Ok(OperatorSpec { name, endpoint }),
        Err(WrongUrl::Form) if url.trim_start().starts_with("smpp") => Err(ParseError::SmppUrl { name }),
        Err(WrongUrl::Form) => Err(ParseError::Url { name }),
        Err(WrongUrl::Parameter { parameter, expected }) => Err(ParseError::Parameter { name, parameter, expected }),
    }
}

fn parse_endpoint(url: &str) -> Result<Endpoint, WrongUrl> {
    if url == SIMULATED {
        return Ok(Endpoint::Simulated);
    }
    let url = parse_url(url).ok_or(WrongUrl::Form)?;
    match url.scheme() {
        "http" | "https" => Ok(Endpoint::Http(url)),
        "smpp" | "smpps" => Ok(Endpoint::Smpp(Box::new(SmppConfig::parse(&url)?))),
        _ => Err(WrongUrl::Form),
    }
}

fn parse_url(url: &str) -> Option<Url> {
    // The parser would skip what is too much (white space, a third slash) and take what comes next for the host.
    let authority = url.split_once("://")?.1.split(['/', '?', '#', '\\']).next()?;
    if authority.is_empty() || url.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return None;
    }
    let url = Url::parse(url).ok()?;
    // A fragment is never sent; whoever wrote one meant something else.
    let is_right = url.port() != Some(0) && url.fragment().is_none();
    is_right.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order() {
        let specs =
            parse_operators("operatorB=simulated:, op.A-1_x = http://host:1/path ,C=https://h/").expect("valid");
        let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, ["operatorB", "op.A-1_x", "C"]);
        assert_eq!(specs[0].endpoint, Endpoint::Simulated);
        assert_eq!(specs[1].endpoint, Endpoint::Http("http://host:1/path".parse().expect("a url")));
    }

    #[test]
    fn statuses_of_an_smpp_url_may_have_commas_between_them() {
        let specs =
            parse_operators("a=smpp://u:p@h?reject=400,0x401,402&temporary=0B,0C, abc=simulated:").expect("valid");
        assert_eq!(specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["a", "abc"]);
        assert!(matches!(&specs[0].endpoint, Endpoint::Smpp(config) if config.port == 2775));
    }

    #[test]
    fn hosts_are_names_and_addresses_of_every_kind() {
        for url in ["http://[::1]:8080/send", "HTTPS://10.0.0.7", "http://b\u{fc}cher.example/", "http://me:pw@h/?a=b"]
        {
            parse_operators(&format!("a={url}")).expect(url);
        }
    }

    #[test]
    fn wrong_lists_are_refused_with_what_is_accepted() {
        let long = format!("{}=simulated:", "a".repeat(51));
        for (wrong, says) in [
            ("", "at least one"),
            (" ", "at least one"),
            ("simulated:", "operator number 1 must be name=url"),
            ("a=simulated:,", "operator number 2 must be name=url"),
            ("=simulated:", "operator number 1"),
            ("a b=simulated:", "operator number 1"),
            ("é=simulated:", "operator number 1"),
            (&long, "1 to 50"),
            ("a=", "the url of operator a"),
            ("a=simulated", "the url of operator a"),
            ("a=simulated:x", "the url of operator a"),
            ("a=ftp://host", ACCEPTED_URLS),
            ("a=smpp://", "the url of operator a"),
            ("a=smpp://host/path", "the url of operator a"),
            ("a=smpp://user:se/cret@host", "%2F for a slash"),
            ("a=smpp://host?windows=1", "the url of operator a is not accepted: windows: no such parameter is known"),
            ("a=smpp://host?window=hunter2", "window: a whole number from 1 to 1000"),
            ("a=smpp://host?reject=400,x=1", "the url of operator x"),
            ("a=http://", "the url of operator a"),
            ("a=http:///path", "the url of operator a"),
            ("a=http:////path", "the url of operator a"),
            ("a=http:\\\\host/path", "the url of operator a"),
            ("a=http://\\host/path", "the url of operator a"),
            ("a=http:host/path", "the url of operator a"),
            ("a=http:/host/path", "the url of operator a"),
            ("a=http://:80", "the url of operator a"),
            ("a=http://user:hunter2@/path", "the url of operator a"),
            ("a=http://?x", "the url of operator a"),
            ("a=http://host:0/path", "the url of operator a"),
            ("a=http://host:65536/path", "the url of operator a"),
            ("a=http://host:x/path", "the url of operator a"),
            ("a=http://host/pa#th", "the url of operator a"),
            ("a=http://ho st/", "the url of operator a"),
            ("a=http://ho\tst/", "the url of operator a"),
            ("a=http://host/a b", "the url of operator a"),
            ("a=http://host/\nb", "the url of operator a"),
            ("a=http:// /path", "the url of operator a"),
            ("a=http://[::1/", "the url of operator a"),
            ("a=simulated://", "the url of operator a"),
            ("a=simulated:,a=http://h/", "operator a is listed twice"),
        ] {
            let error = parse_operators(wrong).expect_err(wrong).to_string();
            assert!(error.contains(says), "{wrong:?} gave {error:?}");
        }
    }

    #[test]
    fn credentials_in_urls_reach_neither_errors_nor_debug_output() {
        for wrong in [
            "http://user:hunter2@host/",
            "a=ftp://user:hunter2@host/",
            "http://user:hunter2@host/?a=b",
            "a=smpp://user:hunter2@host?a=b",
        ] {
            let error = parse_operators(wrong).expect_err(wrong);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let spec = parse_operators("a=http://user:hunter2@host:9/secret?key=hunter2").expect("valid");
        assert_eq!(format!("{:?}", spec[0].endpoint), "Http(http://host:9)");
        let spec = parse_operators("a=smpp://user:hunter2@host:9?system_type=hunter2").expect("valid");
        assert_eq!(
            format!("{:?}", spec[0]),
            r#"OperatorSpec { name: OperatorName("a"), endpoint: Smpp(smpp://host:9) }"#
        );
    }
}

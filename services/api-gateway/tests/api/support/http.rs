//! Requests and answers as plain values; a request may be as wrong as a test wants it.

use serde_json::Value;
use uuid::Uuid;

use super::keys::callbacks_key;

/// `ADMIN_API_KEY` of the gateways in tests.
pub(crate) const ADMIN_KEY: &str = "mpa_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ16kT6G";

/// A request, written out byte by byte.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers or body; where nobody gets in without a key, with one that may do all there.
    pub(crate) fn new(method: &str, target: impl Into<String>) -> Self {
        let request = Self::bare(method, target);
        if request.target.starts_with("/admin") {
            request.with_key(ADMIN_KEY)
        } else if request.target.starts_with("/callbacks") {
            request.with_key(callbacks_key().expose())
        } else {
            request
        }
    }

    /// A request without headers or body, wherever it goes.
    pub(crate) fn bare(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.to_owned(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// With an API key.
    pub(crate) fn with_key(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }

    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// A `POST` of a JSON body.
    pub(crate) fn post(target: &str, body: &Value) -> Self {
        Self::post_bytes(target, body.to_string())
    }

    /// A `POST` of these bytes, said to be JSON.
    pub(crate) fn post_bytes(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).header("Content-Type", "application/json").body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same to another target.
    pub(crate) fn target(self, target: &str) -> Self {
        Self { target: target.to_owned(), ..self }
    }

    /// With an `Idempotency-Key`.
    pub(crate) fn key(self, key: impl AsRef<[u8]>) -> Self {
        self.header("Idempotency-Key", key)
    }

    /// The request as HTTP/1.1; a body gets its length.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        if !self.body.is_empty() {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }

    /// The same with the body in chunks of `size` bytes.
    pub(crate) fn chunked_bytes(&self, size: usize) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in self.body.chunks(size) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }

    /// Everything up to the headers about the body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(name.bytes());
            bytes.extend(b": ");
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        bytes
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, which must not be there twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The JSON body; its content type must say so.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("Content-Type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The JSON body of a 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The identifier of a message that was accepted; the whole answer is checked.
    #[track_caller]
    pub(crate) fn accepted(&self) -> String {
        let body = self.ok();
        let identifier = body["message_identifier"].as_str().expect("an identifier").to_owned();
        assert_eq!(body, serde_json::json!({"status": "processing", "message_identifier": identifier}));
        let id = Uuid::parse_str(&identifier).expect("a UUID");
        assert_eq!((id.get_version_num(), id.hyphenated().to_string()), (7, identifier.clone()));
        identifier
    }

    /// Whether the answer says that it repeats an earlier one.
    pub(crate) fn is_replay(&self) -> bool {
        match self.header("Idempotency-Replay") {
            None => false,
            Some("true") => true,
            Some(other) => panic!("Idempotency-Replay: {other}"),
        }
    }

    /// An error of the contract: status, word, and a text for a person. Gives that text.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{:?}", self.text());
        let body = self.json();
        let message = body["message"].as_str().unwrap_or_default().to_owned();
        assert!(!message.trim().is_empty(), "an error without a message: {body}");
        assert_eq!(body, serde_json::json!({"error": code, "message": message}));
        if [429, 503].contains(&status) {
            let seconds: u64 = self.header("Retry-After").expect("Retry-After").parse().expect("whole seconds");
            assert!((1..=60).contains(&seconds), "Retry-After: {seconds}");
        }
        message
    }

    /// Whether it says that the database cannot be reached, or not in time.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status == 503 && self.body.starts_with(br#"{"error":"unavailable""#)
    }

    /// A 400 whose message names what is wrong.
    #[track_caller]
    pub(crate) fn invalid(&self, about: &str) {
        let message = self.error(400, "invalid_input");
        assert!(message.contains(about), "{message:?} does not mention {about:?}");
    }
}

/// The list in a member of a body.
#[track_caller]
pub(crate) fn list<'body>(body: &'body Value, member: &str) -> &'body [Value] {
    body[member].as_array().unwrap_or_else(|| panic!("{member} is no list in {body}"))
}

/// How many there are, as a number of credits.
pub(crate) fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).expect("a test's list is short")
}

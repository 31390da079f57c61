//! A message as a request describes it: read, normalised, counted and priced. What is sent and what is only previewed are read here.

use callbacks::{CallbackUrl, Origin};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    ClientReference, CustomerId, EncodingChoice, Invalid, Message, MessageText, MessageType, Quote, Recipient,
    Recipients, SegmentCount, Segmentation, SendAt, Sender, Validity,
};
use persistence::Database;
use serde::Serialize;

use crate::{
    body::JsonObject,
    error::ApiError,
    settings::{Composition, Senders},
};

/// A message that could be sent.
#[derive(Debug)]
pub(crate) struct Draft {
    /// What is sent, to whom in the form in which they are charged.
    pub(crate) message: Message,
    /// How its text is cut.
    pub(crate) segmentation: Segmentation,
    /// The number of its segments, which is accepted.
    pub(crate) segments: SegmentCount,
    /// What it costs.
    pub(crate) quote: Quote,
    /// What it says beyond text, recipients and type.
    pub(crate) options: Options,
    /// The recipients in the form in which they came, where that may be another.
    written: Option<Recipients>,
}

/// What a request may say beyond text, recipients and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) from: Option<Sender>,
    pub(crate) client_reference: Option<ClientReference>,
    pub(crate) encoding: Option<EncodingChoice>,
    pub(crate) validity: Option<Validity>,
    /// The time that it names, and when that is.
    pub(crate) send_at: Option<(DateTime<Utc>, SendAt)>,
    /// Where its customer wants to be told of it.
    pub(crate) callback_url: Option<CallbackUrl>,
}

impl Options {
    /// Whether it says none of it: such a request is answered, stored and charged as it always was.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { from, client_reference, encoding, validity, send_at, callback_url } = self;
        let is_composed = from.is_some() || client_reference.is_some() || encoding.is_some();
        !is_composed && validity.is_none() && send_at.is_none() && callback_url.is_none()
    }

    /// When it is to be sent.
    pub(crate) fn when(&self) -> SendAt {
        self.send_at.map_or(SendAt::Now, |(_, when)| when)
    }
}

impl Draft {
    /// Reads the message of `body`, which is `customer`'s and came at `now`.
    pub(crate) fn read(
        body: &JsonObject,
        customer: CustomerId,
        rules: &Composition,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let text = MessageText::parse(body.string("text")?)?;
        let written = Recipients::parse(body.strings("recipients")?)?;
        let kind = body.optional_string("type")?.as_deref().map(MessageType::parse).transpose()?.unwrap_or_default();
        let options = options(body, now)?;
        let segmentation = Segmentation::of(&text, options.encoding.unwrap_or_default())?;
        let segments = SegmentCount::new(segmentation.count(), rules.max_segments)?;
        let (recipients, written) = if rules.numbering.changes_numbers() {
            (rules.numbering.normalise(written.clone())?, Some(written))
        } else {
            (written, None)
        };
        let quote = rules.tariff.quote(kind, segments, &recipients);
        let encoding = (!options.is_empty()).then(|| segmentation.encoding());
        let message = Message { customer, text, recipients, kind, from: options.from.clone(), encoding };
        Ok(Self { message, segmentation, segments, quote, options, written })
    }

    /// Whether its customer may send from where it says, and be told of it where it says.
    ///
    /// # Errors
    /// 400 where it may not.
    pub(crate) async fn check(&self, rules: &Composition, database: &Database) -> Result<(), ApiError> {
        self.check_sender(rules, database).await?;
        self.check_callback_url(database).await
    }

    async fn check_sender(&self, rules: &Composition, database: &Database) -> Result<(), ApiError> {
        let (Senders::Registered, Some(sender)) = (rules.senders, &self.options.from) else { return Ok(()) };
        if database.is_registered(self.message.customer, sender).await? {
            Ok(())
        } else {
            Err(Invalid::new("from", "is not registered for this customer").into())
        }
    }

    /// The same server has an endpoint that wants callbacks.
    async fn check_callback_url(&self, database: &Database) -> Result<(), ApiError> {
        let Some(url) = &self.options.callback_url else { return Ok(()) };
        let endpoints = database.endpoints(self.message.customer).await?;
        // An http one is there only where http is allowed.
        let origins = endpoints.iter().filter(|endpoint| endpoint.enabled).map(|endpoint| origin(&endpoint.url));
        if origins.flatten().any(|origin| origin == url.origin()) { Ok(()) } else { Err(elsewhere().into()) }
    }

    /// What makes two requests the same. That of a plain one is what it was before there were others, so that its key still
    /// replays; recipients count as they came, whatever they are made into.
    pub(crate) fn fingerprinted(&self) -> impl Serialize {
        let Message { customer, text, recipients, kind, .. } = &self.message;
        let recipients = self.written.as_ref().unwrap_or(recipients).as_slice();
        let plain = (*customer, text.as_str(), recipients, *kind);
        let Options { from, client_reference, encoding, validity, send_at, callback_url } = &self.options;
        if self.options.is_empty() {
            Fingerprinted::Plain(plain)
        } else {
            let encoding = encoding.map(EncodingChoice::as_str);
            let members = [
                ("from", from.as_ref().map(Sender::as_str)),
                ("client_reference", client_reference.as_ref().map(ClientReference::as_str)),
                ("encoding", encoding),
            ];
            let members = members.map(|(name, value)| value.map(|value| (name, value)));
            let send_at = send_at.map(|(time, _)| ("send_at", time.to_rfc3339_opts(SecondsFormat::Micros, true)));
            let validity = validity.map(|validity| ("validity_seconds", validity.get().as_secs().to_string()));
            match callback_url {
                Some(url) => Fingerprinted::Called(plain, members, [send_at, validity], url.as_str()),
                None if send_at.is_none() && validity.is_none() => Fingerprinted::More(plain, members),
                None => Fingerprinted::Timed(plain, members, [send_at, validity]),
            }
        }
    }
}

type More<'a> = [Option<(&'static str, &'a str)>; 3];
type Timed = [Option<(&'static str, String)>; 2];
type Plain<'a> = (CustomerId, &'a str, &'a [Recipient], MessageType);

#[derive(Serialize)]
#[serde(untagged)]
enum Fingerprinted<'a> {
    Plain(Plain<'a>),
    More(Plain<'a>, More<'a>),
    Timed(Plain<'a>, More<'a>, Timed),
    Called(Plain<'a>, More<'a>, Timed, &'a str),
}

fn options(body: &JsonObject, now: DateTime<Utc>) -> Result<Options, ApiError> {
    Ok(Options {
        from: body.optional_string("from")?.map(Sender::parse).transpose()?,
        client_reference: body.optional_string("client_reference")?.map(ClientReference::parse).transpose()?,
        encoding: body.optional_string("encoding")?.as_deref().map(EncodingChoice::parse).transpose()?,
        validity: validity(body)?,
        send_at: send_at(body, now)?,
        callback_url: callback_url(body)?,
    })
}

fn send_at(body: &JsonObject, now: DateTime<Utc>) -> Result<Option<(DateTime<Utc>, SendAt)>, ApiError> {
    let text = body.optional_string("send_at").map_err(|_| SendAt::no_time())?;
    Ok(text.map(|text| SendAt::parse(&text, now)).transpose()?)
}

/// Whatever is no URL of an endpoint has one answer; which URLs are, is asked later.
fn callback_url(body: &JsonObject) -> Result<Option<CallbackUrl>, ApiError> {
    let parse = |text: String| CallbackUrl::parse(&text, true).map_err(|_| elsewhere());
    let text = body.optional_string("callback_url").map_err(|_| elsewhere())?;
    Ok(text.map(parse).transpose()?)
}

fn elsewhere() -> Invalid {
    Invalid::new("callback_url", "must start with the origin of one of the customer's callback endpoints")
}

/// `None` of a URL that is none, which nobody could have stored.
fn origin(url: &str) -> Option<Origin> {
    CallbackUrl::parse(url, true).ok().map(|url| url.origin())
}

/// Whatever is no such number has one answer.
fn validity(body: &JsonObject) -> Result<Option<Validity>, ApiError> {
    let seconds = body.optional_integer("validity_seconds").unwrap_or(Some(0));
    Ok(seconds.map(Validity::parse).transpose()?)
}

//! A message as a request describes it: read, normalised, counted and priced. What is sent and what is only previewed are read here.

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

/// Fields that come with a later release: a client that counts on one must not be told that all is well.
const NOT_YET: [&str; 1] = ["callback_url"];

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
}

impl Options {
    /// Whether it says none of it: such a request is answered, stored and charged as it always was.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { from, client_reference, encoding, validity, send_at } = self;
        from.is_none() && client_reference.is_none() && encoding.is_none() && validity.is_none() && send_at.is_none()
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

    /// Whether its customer may send from where it says.
    ///
    /// # Errors
    /// 400 where it may not.
    pub(crate) async fn check_sender(&self, rules: &Composition, database: &Database) -> Result<(), ApiError> {
        let (Senders::Registered, Some(sender)) = (rules.senders, &self.options.from) else { return Ok(()) };
        if database.is_registered(self.message.customer, sender).await? {
            Ok(())
        } else {
            Err(Invalid::new("from", "is not registered for this customer").into())
        }
    }

    /// What makes two requests the same. That of a plain one is what it was before there were others, so that its key still
    /// replays; recipients count as they came, whatever they are made into.
    pub(crate) fn fingerprinted(&self) -> impl Serialize {
        let Message { customer, text, recipients, kind, .. } = &self.message;
        let recipients = self.written.as_ref().unwrap_or(recipients).as_slice();
        let plain = (*customer, text.as_str(), recipients, *kind);
        let Options { from, client_reference, encoding, validity, send_at } = &self.options;
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
            if send_at.is_none() && validity.is_none() {
                Fingerprinted::More(plain, members)
            } else {
                Fingerprinted::Timed(plain, members, [send_at, validity])
            }
        }
    }
}

type More<'a> = [Option<(&'static str, &'a str)>; 3];
type Plain<'a> = (CustomerId, &'a str, &'a [Recipient], MessageType);

#[derive(Serialize)]
#[serde(untagged)]
enum Fingerprinted<'a> {
    Plain(Plain<'a>),
    More(Plain<'a>, More<'a>),
    Timed(Plain<'a>, More<'a>, [Option<(&'static str, String)>; 2]),
}

fn options(body: &JsonObject, now: DateTime<Utc>) -> Result<Options, ApiError> {
    let options = Options {
        from: body.optional_string("from")?.map(Sender::parse).transpose()?,
        client_reference: body.optional_string("client_reference")?.map(ClientReference::parse).transpose()?,
        encoding: body.optional_string("encoding")?.as_deref().map(EncodingChoice::parse).transpose()?,
        validity: validity(body)?,
        send_at: body.optional_string("send_at")?.map(|text| SendAt::parse(&text, now)).transpose()?,
    };
    match NOT_YET.into_iter().find(|field| body.is_given(field)) {
        Some(field) => Err(Invalid::new(field, "is not available yet").into()),
        None => Ok(options),
    }
}

/// Whatever is no such number has one answer.
fn validity(body: &JsonObject) -> Result<Option<Validity>, ApiError> {
    let seconds = body.optional_integer("validity_seconds").unwrap_or(Some(0));
    Ok(seconds.map(Validity::parse).transpose()?)
}

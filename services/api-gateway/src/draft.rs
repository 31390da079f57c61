//! A message as a request describes it: read, normalised, counted and priced. What is sent and what is only previewed are read here.

use domain::{
    ClientReference, CustomerId, EncodingChoice, Invalid, Message, MessageText, MessageType, Quote, Recipient,
    Recipients, SegmentCount, Segmentation, Sender,
};
use persistence::Database;
use serde::Serialize;

use crate::{
    body::JsonObject,
    error::ApiError,
    settings::{Composition, Senders},
};

/// Fields that come with a later release: a client that counts on one must not be told that all is well.
const NOT_YET: [&str; 3] = ["send_at", "validity_seconds", "callback_url"];

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
}

impl Options {
    /// Whether it says none of it: such a request is answered, stored and charged as it always was.
    pub(crate) fn is_empty(&self) -> bool {
        self.from.is_none() && self.client_reference.is_none() && self.encoding.is_none()
    }
}

impl Draft {
    /// Reads the message of `body`, which is `customer`'s.
    pub(crate) fn read(body: &JsonObject, customer: CustomerId, rules: &Composition) -> Result<Self, ApiError> {
        let text = MessageText::parse(body.string("text")?)?;
        let written = Recipients::parse(body.strings("recipients")?)?;
        let kind = body.optional_string("type")?.as_deref().map(MessageType::parse).transpose()?.unwrap_or_default();
        let options = options(body)?;
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
        let Options { from, client_reference, encoding } = &self.options;
        if self.options.is_empty() {
            Fingerprinted::Plain(plain)
        } else {
            let encoding = encoding.map(EncodingChoice::as_str);
            let members = [
                ("from", from.as_ref().map(Sender::as_str)),
                ("client_reference", client_reference.as_ref().map(ClientReference::as_str)),
                ("encoding", encoding),
            ];
            Fingerprinted::More(plain, members.map(|(name, value)| value.map(|value| (name, value))))
        }
    }
}

type Plain<'a> = (CustomerId, &'a str, &'a [Recipient], MessageType);

#[derive(Serialize)]
#[serde(untagged)]
enum Fingerprinted<'a> {
    Plain(Plain<'a>),
    More(Plain<'a>, [Option<(&'static str, &'a str)>; 3]),
}

fn options(body: &JsonObject) -> Result<Options, ApiError> {
    let options = Options {
        from: body.optional_string("from")?.map(Sender::parse).transpose()?,
        client_reference: body.optional_string("client_reference")?.map(ClientReference::parse).transpose()?,
        encoding: body.optional_string("encoding")?.as_deref().map(EncodingChoice::parse).transpose()?,
    };
    match NOT_YET.into_iter().find(|field| body.is_given(field)) {
        Some(field) => Err(Invalid::new(field, "is not available yet").into()),
        None => Ok(options),
    }
}

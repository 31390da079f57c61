//! Log lines on stdout: one JSON object each, or a coloured line for people.
//!
//! What comes from outside may hold line breaks and terminal escapes; in both formats they are
//! written as escapes, so nobody can forge a line or drive a terminal through a log.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    io::IsTerminal as _,
    str::FromStr,
    sync::Arc,
};

use instruments::propagation;
use opentelemetry::trace::SpanContext;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::Record,
};
use tracing_subscriber::{
    EnvFilter, Layer,
    field::{MakeExt as _, RecordFields},
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{self, Writer},
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::{
    Error,
    outages::{NOISY, Outages},
};

/// What is logged when `RUST_LOG` is unset.
pub const DEFAULT_FILTER: &str = "info";

/// Members of every JSON line; a field of the same name is written as `field.<name>`.
const RESERVED: [&str; 6] = ["timestamp", "level", "target", "message", "service", "trace_id"];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line, for collectors.
    #[default]
    Json,
    /// One line for people, coloured when stdout is a terminal.
    Pretty,
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err(UnknownLogFormat),
        }
    }
}

/// The text names no [`LogFormat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log format is json or pretty")]
pub struct UnknownLogFormat;

/// Checks that [`init`](crate::init) will accept `filter`.
///
/// # Errors
/// The filter is not in the syntax of `RUST_LOG`.
pub fn check_filter(filter: &str) -> Result<(), Error> {
    self::filter(filter).map(drop)
}

/// The log filter, with [`NOISY`] libraries at warn unless they are named or the whole is quieter than that.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, Error> {
    let quiet = directives.split(',').any(|part| matches!(part.trim().to_lowercase().as_str(), "off" | "error"));
    let mut all = String::new();
    if !quiet {
        for library in NOISY {
            let _ = write!(all, "{library}=warn,");
        }
    }
    // What comes later wins, so the given directives can raise a library again.
    all.push_str(directives);
    EnvFilter::builder().parse(all).map_err(|error| Error::Filter(Box::new(error)))
}

/// The layer that writes log lines to what `writer` makes, those of `outages` less often.
pub(crate) fn layer<S, W>(
    format: LogFormat,
    service: &'static str,
    outages: Arc<Outages>,
    writer: W,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // A line that cannot be written (a full disk, a closed pipe) is lost. Told on stderr, each would be one more, and a
    // panic where that is gone as well.
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Json => layer
            .fmt_fields(Members)
            .event_format(Sparing { outages, line: JsonLine { service }, count: count_in_json })
            .boxed(),
        LogFormat::Pretty => layer
            .with_ansi(std::io::stdout().is_terminal())
            .fmt_fields(format::debug_fn(write_for_people).delimited(" "))
            .event_format(Sparing { outages, line: format::Format::default(), count: count_for_people })
            .boxed(),
    }
}

/// Writes a line unless it is one too many of an outage, and adds how many were left out before it.
struct Sparing<F> {
    outages: Arc<Outages>,
    line: F,
    count: fn(&str, u64) -> String,
}

impl<S, N, F> FormatEvent<S, N> for Sparing<F>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match self.outages.admit(event.metadata()) {
            None => Ok(()),
            Some(0) => self.line.format_event(ctx, writer, event),
            Some(repeated) => {
                let mut line = String::new();
                self.line.format_event(ctx, Writer::new(&mut line), event)?;
                writeln!(writer, "{}", (self.count)(line.trim_end(), repeated))
            }
        }
    }
}

fn count_in_json(line: &str, repeated: u64) -> String {
    format!("{},\"repeated\":{repeated}}}", line.strip_suffix('}').unwrap_or(line))
}

fn count_for_people(line: &str, repeated: u64) -> String {
    format!("{line} repeated={repeated}")
}

fn write_for_people(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    for character in format!("{value:?}").chars() {
        if character.is_control() || is_line_separator(character) {
            write!(writer, "{}", character.escape_default())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}

fn is_line_separator(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

/// Formats an event as one flat JSON object: our own members first, then the fields of the
/// surrounding spans and of the event by name; the innermost wins.
struct JsonLine {
    service: &'static str,
}

impl<S> FormatEvent<S, Members> for JsonLine
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, Members>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = span_fields(ctx);
        event.record(&mut EachField(|field: &Field, value| drop(fields.insert(field.name().to_owned(), value))));
        let message = fields.remove("message").unwrap_or_else(|| Value::String(String::new()));
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;

        let mut line = String::from("{");
        push_member(&mut line, "timestamp", &Value::String(timestamp));
        push_member(&mut line, "level", &Value::from(event.metadata().level().as_str()));
        push_member(&mut line, "message", &message);
        push_member(&mut line, "target", &Value::from(event.metadata().target()));
        push_member(&mut line, "service", &Value::from(self.service));
        // Of the thread first: the spans of the event are those that are logged, which may be fewer.
        let span = propagation::current().or_else(|| ctx.lookup_current().and_then(|span| propagation::of(&span)));
        if let Some(trace_id) = span.filter(SpanContext::is_sampled).map(|span| span.trace_id().to_string()) {
            push_member(&mut line, "trace_id", &Value::String(trace_id));
        }
        for (name, value) in &fields {
            if RESERVED.contains(&name.as_str()) {
                push_member(&mut line, &format!("field.{name}"), value);
            } else {
                push_member(&mut line, name, value);
            }
        }
        line.push('}');
        writeln!(writer, "{}", escape_beyond_json(line))
    }
}

fn push_member(line: &mut String, name: &str, value: &Value) {
    if line.len() > 1 {
        line.push(',');
    }
    let _ = write!(line, "{}:{value}", Value::from(name));
}

/// JSON itself escapes only what is below U+0020; some terminals and readers also act on these.
fn escape_beyond_json(line: String) -> String {
    let needs_escape = |character: char| matches!(character, '\u{7f}'..='\u{9f}') || is_line_separator(character);
    if !line.contains(needs_escape) {
        return line;
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for character in line.chars() {
        if needs_escape(character) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Keeps the fields of a span as members of a JSON object, each with a comma behind it. What is recorded later is put at the end, and wins
/// when a line is written: few spans ever are in one, so to read and write all that a span has whenever something is added, as
/// [`JsonFields`](tracing_subscriber::fmt::format::JsonFields) does, is work for nothing.
struct Members;

impl<'writer> FormatFields<'writer> for Members {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut result = Ok(());
        fields.record(&mut EachField(|field: &Field, value| {
            result = result.and_then(|()| write!(writer, "{}:{value},", Value::from(field.name())));
        }));
        result
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

impl Members {
    fn read(members: &str) -> Map<String, Value> {
        let members = members.strip_suffix(',').unwrap_or(members);
        serde_json::from_str(&format!("{{{members}}}")).unwrap_or_default()
    }
}

/// The fields of the spans around the event, from the root inwards.
fn span_fields<S>(ctx: &FmtContext<'_, S, Members>) -> BTreeMap<String, Value>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let mut fields = BTreeMap::new();
    for span in ctx.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
        let extensions = span.extensions();
        if let Some(recorded) = extensions.get::<FormattedFields<Members>>() {
            // A span's own "message" would pass for that of the event; "otel." is meant for the trace alone.
            let is_for_logs = |name: &str| name != "message" && !name.starts_with("otel.");
            fields.extend(Members::read(&recorded.fields).into_iter().filter(|(name, _)| is_for_logs(name)));
        }
    }
    fields
}

/// Gives each field as a JSON value.
struct EachField<F>(F);

impl<F: FnMut(&Field, Value)> EachField<F> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        (self.0)(field, value.into());
    }
}

impl<F: FnMut(&Field, Value)> Visit for EachField<F> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity: these become null.
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.put(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

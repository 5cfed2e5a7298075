//! What a malacca worker wrote to its console, in each of its three dialects.
//!
//! Lines are told apart by content, never by position: deployments edit their logging, Logpush cuts and drops lines,
//! and it has been seen to deliver the arguments of `console.log` in reverse.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{Dialect, Timestamp};

use super::message::Argument;
use super::salvage;

/// What the console says of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// In which form.
    pub dialect: Dialect,
    /// The request's body.
    pub request: Option<LoggedBody>,
    /// The answer's body.
    pub response: Option<LoggedBody>,
    /// When the answer's body, or else the metrics line, was written: the end of the call.
    pub ended_at: Option<Timestamp>,
    /// The metrics line.
    pub metrics: Option<MetricsLine>,
    /// Whether Logpush cut a line.
    pub truncated: bool,
}

/// A body as the worker logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedBody {
    /// JSON, the text of an event stream, or plain text.
    pub text: String,
    /// False where the end was cut off.
    pub complete: bool,
}

/// The line of figures that newer workers write. Its token counts are estimates where the answer was streamed by
/// Azure, and 0 where the worker found none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsLine {
    /// The model, `unknown` where the worker did not know.
    pub model: String,
    /// Input tokens.
    pub tokens_in: u64,
    /// Output tokens.
    pub tokens_out: u64,
    /// Whether the worker's cache answered.
    pub cached: bool,
    /// The HTTP status.
    pub status_code: u16,
}

/// One `console.log` call.
pub(super) struct ConsoleCall<'a> {
    pub(super) arguments: Vec<Argument<'a>>,
    pub(super) at: Option<Timestamp>,
}

/// A line of the worker's logging. A body is `None` where the worker logged that there was none.
enum Line {
    Request(Dialect, Option<LoggedBody>),
    Response(Dialect, Option<LoggedBody>),
    /// A body that was cut before its tag: the request's, if that is not there yet.
    Untagged(LoggedBody),
    Metrics(MetricsLine),
}

/// The members that the dialects use. Others are not an error: users edit their workers.
#[derive(Deserialize)]
struct BodyObject<'a> {
    #[serde(borrow)]
    request_body: Option<&'a RawValue>,
    #[serde(borrow)]
    response_body: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Console {
    /// Reads the calls of one event.
    pub(super) fn read(calls: &[ConsoleCall<'_>]) -> Self {
        let mut console = Self {
            dialect: Dialect::BareTrace,
            request: None,
            response: None,
            ended_at: None,
            metrics: None,
            truncated: false,
        };
        for call in calls {
            console.truncated |= call.arguments.iter().any(Argument::is_cut);
            if let Some(line) = read_line(&call.arguments) {
                console.take(line, call.at);
            }
        }
        console
    }

    fn take(&mut self, line: Line, at: Option<Timestamp>) {
        match line {
            Line::Request(dialect, body) => {
                self.dialect = dialect;
                self.request = body;
            }
            Line::Response(dialect, body) => {
                self.dialect = dialect;
                self.response = body;
                self.ended_at = at.or(self.ended_at);
            }
            Line::Untagged(body) if self.dialect == Dialect::BareTrace => {
                self.take(Line::Request(Dialect::MalaccaTagged, Some(body)), at);
            }
            Line::Untagged(body) => self.take(Line::Response(Dialect::MalaccaTagged, Some(body)), at),
            Line::Metrics(metrics) => {
                if self.dialect == Dialect::BareTrace {
                    self.dialect = Dialect::MalaccaMetrics;
                }
                self.metrics = Some(metrics);
                self.ended_at = self.ended_at.or(at);
            }
        }
    }
}

impl Argument<'_> {
    fn as_word(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Object(_) => "",
            Self::Other(json) => json,
        }
    }

    fn is_cut(&self) -> bool {
        match self {
            Self::Text(text) | Self::Object(text) => salvage::strip_marker(text).is_some(),
            Self::Other(_) => false,
        }
    }
}

fn read_line(arguments: &[Argument<'_>]) -> Option<Line> {
    let tag = arguments.iter().map(Argument::as_word).find(|word| matches!(*word, "Request:" | "Response:"));
    arguments
        .iter()
        .find_map(|argument| match argument {
            Argument::Object(json) => body_line(json, tag),
            Argument::Text(_) | Argument::Other(_) => None,
        })
        .or_else(|| metrics_line(arguments).map(Line::Metrics))
}

fn body_line(json: &str, tag: Option<&str>) -> Option<Line> {
    if let Some((name, text)) = text_body::read(json) {
        let body = (!text.is_empty()).then_some(LoggedBody { text, complete: true });
        return line_of(name, body, tag);
    }
    let cut = salvage::strip_marker(json);
    let Ok(object) = serde_json::from_str::<BodyObject<'_>>(cut.unwrap_or(json)) else {
        let (name, body) = salvage::first_field(cut?)?;
        return match (name, tag) {
            ("body", None) => Some(Line::Untagged(body)),
            (name, tag) => line_of(name, Some(body), tag),
        };
    };
    let members = [
        ("request_body", object.request_body),
        ("response_body", object.response_body),
        ("body", object.body),
    ];
    let (name, raw) = members.into_iter().find_map(|(name, raw)| Some((name, raw?)))?;
    line_of(name, logged_body(raw), tag)
}

fn line_of(member: &str, body: Option<LoggedBody>, tag: Option<&str>) -> Option<Line> {
    match (member, tag) {
        ("request_body", _) => Some(Line::Request(Dialect::MalaccaObject, body)),
        ("response_body", _) => Some(Line::Response(Dialect::MalaccaObject, body)),
        ("body", Some("Request:")) => Some(Line::Request(Dialect::MalaccaTagged, body)),
        ("body", Some("Response:")) => Some(Line::Response(Dialect::MalaccaTagged, body)),
        // Some other object of the user's own logging.
        _ => None,
    }
}

/// A string is the body; anything else is the body's JSON. Null and `""` are what a worker logs for no body.
fn logged_body(raw: &RawValue) -> Option<LoggedBody> {
    let text = match raw.get() {
        "null" => return None,
        json if json.starts_with('"') => serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()),
        json => json.to_owned(),
    };
    (!text.is_empty()).then_some(LoggedBody { text, complete: true })
}

/// `endpoint, path, model, tokens in, tokens out, hit|miss, status`, from either end.
fn metrics_line(arguments: &[Argument<'_>]) -> Option<MetricsLine> {
    let line: &[Argument<'_>; 7] = arguments.try_into().ok()?;
    let words = line.each_ref().map(Argument::as_word);
    let mut reversed = words;
    reversed.reverse();
    [words, reversed].into_iter().find_map(figures)
}

fn figures(
    [_endpoint, _path, model, tokens_in, tokens_out, cache, status]: [&str; 7],
) -> Option<MetricsLine> {
    let cached = match cache {
        "hit" => true,
        "miss" => false,
        // Seven arguments of something else.
        _ => return None,
    };
    Some(MetricsLine {
        model: model.to_owned(),
        tokens_in: tokens_in.parse().ok()?,
        tokens_out: tokens_out.parse().ok()?,
        cached,
        status_code: status.parse().ok()?,
    })
}

mod text_body;

#[cfg(test)]
mod tests;

//! How a body is made of JSON texts: one object, a stream of events, a list, or lines.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{aws, sse};

/// What a body is made of.
pub(super) enum Framing<'a> {
    /// One JSON object, perhaps cut.
    Whole(&'a str),
    /// A server-sent event stream.
    Events(&'a str),
    /// A JSON list, as Gemini streams where it was not asked for events.
    List(&'a str),
    /// One JSON object to a line.
    Lines(&'a str),
    /// An event stream of AWS, logged as text.
    Frames(&'a str),
    /// No JSON.
    Plain(&'a str),
}

impl<'a> Framing<'a> {
    pub(super) fn of(body: &'a str) -> Self {
        let start = body.trim_start();
        if aws::is_stream(body) {
            Self::Frames(body)
        } else if sse::is_stream(start) {
            Self::Events(body)
        } else if start.starts_with('[') {
            Self::List(start)
        } else if !start.starts_with('{') {
            Self::Plain(body.trim())
        } else if is_lines(start) {
            Self::Lines(start)
        } else {
            Self::Whole(start)
        }
    }

    /// Hands out the JSON texts in order. Of a body that was cut the last one may be cut too.
    pub(super) fn each(&self, mut take: impl FnMut(Cow<'a, str>)) {
        match *self {
            Self::Whole(body) => take(Cow::Borrowed(body)),
            Self::Events(body) => sse::events(body).for_each(take),
            Self::Frames(body) => aws::events(body).for_each(take),
            Self::Lines(body) => {
                body.lines().filter(|line| !line.is_empty()).for_each(|line| take(Cow::Borrowed(line)));
            }
            Self::List(body) => {
                each_element(body, |element| take(Cow::Borrowed(element)));
            }
            Self::Plain(_) => {}
        }
    }
}

/// Hands out the elements of a JSON list. Of one that was cut those before the cut; of anything else none. Returns
/// whether it is a whole list.
pub(in crate::normalize) fn each_element<'a>(list: &'a str, mut take: impl FnMut(&'a str)) -> bool {
    let mut json = serde_json::Deserializer::from_str(list);
    json.deserialize_seq(Elements(|element: &'a RawValue| take(element.get()))).is_ok()
}

/// A first line that is an object, and a second that begins one.
fn is_lines(body: &str) -> bool {
    let Some((first, rest)) = body.split_once('\n') else {
        return false;
    };
    first.trim_end().ends_with('}') && rest.trim_start().starts_with('{')
}

struct Elements<F>(F);

impl<'a, F: FnMut(&'a RawValue)> Visitor<'a> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

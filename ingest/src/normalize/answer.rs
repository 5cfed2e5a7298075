//! What the body of an answer says: the model, the id, the usage, the error. Whole or cut, JSON or a stream.

mod aws;
mod framing;
mod members;
mod sse;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::Units;

use self::framing::Framing;
pub(super) use self::framing::each_element;
pub(super) use self::members::Members;
use super::api::{Api, Usage, UsageError, WORKERS_AI};
use crate::text::{LINE_MAX, Text, name, shorten};

/// What ends a stream of `OpenAI`'s kind. A stream without it may still be complete: other APIs have no such mark.
const DONE: &str = "[DONE]";
/// The longest usage object that is believed to be one, in bytes: the longest known ones have about 2,000.
const USAGE_MAX: usize = 16_384;

/// The parts of an answer that Weir uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// The usage object that counts, as the provider wrote it.
    pub(super) usage_json: Option<String>,
    /// What is billed apart from tokens, where the answer shows it and its usage does not tell it.
    pub(super) units: Units,
    /// How the provider says that it ran the request, in its own word.
    pub(super) service_tier: Option<String>,
    /// What went wrong, in the provider's words.
    pub(super) error: Option<String>,
    /// The beginning of an answer that is neither JSON nor a stream: a refusal, or a fallback's bare text. Also the
    /// message of an answer that has nothing else: an error, if the status says so.
    pub(super) plain_text: Option<String>,
    pub(super) streamed: bool,
    /// Whether this is Workers AI's own form: malacca falls back to it when the provider fails, under the same URL.
    pub(super) by_workers_ai: bool,
    /// Whether `usage_json` is the provider's last word. Before that a stream's figures are on their way: not the count.
    settled: bool,
    /// What a stream said of its usage at its beginning, and need not say again at its end.
    opening: Option<String>,
    /// Of a stream that counts along: a bit for each choice that began, and for each that ended.
    choices: (u64, u64),
}

impl Answer {
    /// Reads a body in an API's form.
    pub(super) fn read(body: &str, api: &Api) -> Self {
        let mut answer = Self::default();
        let framing = Framing::of(body);
        match framing {
            Framing::Whole(_) => answer.settled = true,
            Framing::Events(_) | Framing::List(_) | Framing::Lines(_) | Framing::Frames(_) => {
                answer.streamed = true;
            }
            Framing::Plain(text) => {
                answer.plain_text = Some(shorten(text.to_owned(), LINE_MAX)).filter(|text| !text.is_empty());
            }
        }
        framing.each(|json| answer.take(&json, api));
        if !answer.settled {
            answer.usage_json = None;
            answer.units = Units::default();
        }
        if let (Some(opening), Some(usage)) = (answer.opening.take(), &answer.usage_json) {
            answer.usage_json = merged(&opening, usage);
        }
        answer
    }

    /// What the usage comes to; `None` where none was reported.
    pub(super) fn usage(&self, api: &Api) -> Option<Result<Usage, UsageError>> {
        let api = if self.by_workers_ai { &WORKERS_AI } else { api };
        let reported = self.usage_json.as_deref().map(api.usage);
        let shown = (!self.units.is_empty()).then(|| Ok(Usage::default()));
        Some(reported.or(shown)?.map(|usage| usage.with_units(&self.units)))
    }

    /// Takes the id and the model that the members name, unless they are known. Azure opens a stream with empty ones.
    pub(super) fn identify(&mut self, members: &Members<'_>) {
        keep_first(&mut self.id, members.id);
        keep_first(&mut self.model, members.model);
    }

    /// Takes the word for how the request was run. The last one stands: some streams begin with what was asked for.
    pub(super) fn take_service_tier(&mut self, members: &Members<'_>) {
        self.service_tier = members.service_tier.and_then(name).or(self.service_tier.take());
    }

    /// Takes a usage object. It replaces the one before: counts in a stream are cumulative. It counts only once it is
    /// `settled`: at once, or by [`Self::settle`].
    pub(super) fn report(&mut self, usage: &RawValue, settled: bool) {
        if usage.get().starts_with('{') && usage.get().len() <= USAGE_MAX {
            self.usage_json = Some(usage.get().to_owned());
            self.settled |= settled;
        }
    }

    /// Takes the usage that a stream begins with. It is no count yet: what [`Self::report`] takes later stands above
    /// it, and what that leaves out is taken from here.
    pub(super) fn open(&mut self, usage: &RawValue) {
        if usage.get().starts_with('{') && usage.get().len() <= USAGE_MAX {
            self.opening = Some(usage.get().to_owned());
        }
    }

    /// Takes usage that is final and owes nothing to what was said before; also such as an API has no object for, put
    /// together as one.
    pub(super) fn gather(&mut self, usage: String) {
        self.opening = None;
        self.usage_json = Some(usage);
        self.settled = true;
    }

    /// Whether any usage was reported, settled or not.
    pub(super) const fn has_usage(&self) -> bool {
        self.usage_json.is_some()
    }

    /// What was reported is the provider's last word.
    pub(super) const fn settle(&mut self) {
        self.settled = true;
    }

    /// A choice of a stream began, went on, or ended. Returns whether none is left that has not ended.
    pub(super) const fn choice(&mut self, index: u64, ended: bool) -> bool {
        let (begun, done) = &mut self.choices;
        // One that is beyond the bits never ends: such a stream is settled by its last chunk, which has no choices.
        let bit = if index < 63 { 1 << index } else { 1 << 63 };
        *begun |= bit;
        if ended && index < 63 {
            *done |= bit;
        }
        *begun == *done
    }

    /// Takes what went wrong. The last word stands.
    pub(super) fn fail(&mut self, error: &RawValue) {
        self.error = error_text(error).or(self.error.take());
    }

    fn take(&mut self, json: &str, api: &Api) {
        if json == DONE {
            return self.settle();
        }
        let members = Members::read(json);
        if let Some(error) = members.error {
            self.fail(error);
        } else if let Some(message) = members.message.filter(|_| self.plain_text.is_none()) {
            self.plain_text = plain_text(message);
        }
        self.by_workers_ai |= members.response.is_some_and(|response| response.get().starts_with('"'));
        let api = if self.by_workers_ai { &WORKERS_AI } else { api };
        (api.read)(&members, self);
    }
}

/// A usage object that a stream ended with, and what it leaves out of the one that the stream began with.
fn merged(opening: &str, last: &str) -> Option<String> {
    type Object<'a> = BTreeMap<String, &'a RawValue>;
    let mut merged: Object<'_> = serde_json::from_str(opening).ok()?;
    let last: Object<'_> = serde_json::from_str(last).ok()?;
    merged.extend(last.into_iter().filter(|(_, value)| value.get() != "null"));
    serde_json::to_string(&merged).ok()
}

fn keep_first(slot: &mut Option<String>, value: Option<&RawValue>) {
    if slot.is_none() {
        *slot = value.and_then(name);
    }
}

#[derive(Deserialize)]
struct WireError {
    message: Option<String>,
}

fn error_text(error: &RawValue) -> Option<String> {
    match error.get() {
        json if json.starts_with('"') => plain_text(error),
        json => {
            // Cloudflare's gateway lists its own errors.
            let first =
                serde_json::from_str::<Vec<&RawValue>>(json).ok().and_then(|list| list.first().copied());
            let error = first.map_or(json, RawValue::get);
            let message = serde_json::from_str::<WireError>(error).ok().and_then(|error| error.message);
            Some(shorten(message.unwrap_or_else(|| json.to_owned()), LINE_MAX))
        }
    }
}

fn plain_text(value: &RawValue) -> Option<String> {
    let Text(text) = serde_json::from_str(value.get()).ok()?;
    (!text.is_empty()).then(|| shorten(text.into_owned(), LINE_MAX))
}

#[cfg(test)]
mod tests;

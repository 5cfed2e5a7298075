//! The rules that are on, and what they do to one text.

use std::ops::Range;

use weir_service::config::{InvalidValue, Value};

use super::credential::{Credentials, Kind};
use super::pattern::{InvalidPattern, Pattern, Patterns};
use super::stream;
use super::text::{Edit, in_order, rewrite};
use super::view::{View, hides_something};
use super::zones::Form;
use super::{RedactError, card, email};

/// A rule that Weir brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuiltIn {
    /// API keys that are known by their beginnings.
    ApiKey,
    /// The token after `Bearer`.
    Bearer,
    /// JSON Web Tokens.
    Jwt,
    /// Payment card numbers.
    Card,
    /// E-mail addresses.
    Email,
}

/// Which rules a text is put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All that are on.
    All,
    /// Those for what opens a door. Names are put through these alone: a bill goes by them.
    Credentials,
}

/// A text, and how it is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'t> {
    pub(super) raw: &'t str,
    pub(super) form: Form,
    pub(super) reach: Reach,
    /// Places that stay as they are, since they are encrypted.
    pub(super) sealed: &'t [Range<usize>],
}

/// The rules that are on.
#[derive(Clone, Debug)]
pub struct Rules {
    built_in: Vec<BuiltIn>,
    credentials: Option<Credentials>,
    patterns: Patterns,
    /// By the number of the rule: the built-in ones come first.
    names: Vec<String>,
    /// What stands in the place of what a rule found.
    markers: Vec<String>,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::ApiKey, Self::Bearer, Self::Jwt, Self::Card, Self::Email];

    /// Its name in the configuration, in metrics and in what replaces a match.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::Card => "card",
            Self::Email => "email",
        }
    }
}

impl Value for BuiltIn {
    const EXPECTED: &'static str = "api_key, bearer, jwt, card or email";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL.into_iter().find(|rule| rule.name() == text).ok_or(InvalidValue::OtherKind)
    }
}

impl From<Kind> for BuiltIn {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::ApiKey => Self::ApiKey,
            Kind::Bearer => Self::Bearer,
            Kind::Jwt => Self::Jwt,
        }
    }
}

impl Rules {
    /// The rules that Weir brings and that are in `built_in`, and an operator's own. Fails if these are too much together.
    pub fn new(built_in: &[BuiltIn], patterns: Vec<Pattern>) -> Result<Self, InvalidPattern> {
        let patterns = Patterns::new(patterns)?;
        let built_in_names = BuiltIn::ALL.into_iter().map(|rule| rule.name().to_owned());
        let names: Vec<_> = built_in_names.chain(patterns.names().map(str::to_owned)).collect();
        let markers = names.iter().map(|name| format!("[redacted:{name}]")).collect();
        let credentials = Credentials::new(|kind| built_in.contains(&kind.into()));
        Ok(Self { built_in: built_in.to_vec(), credentials, patterns, names, markers })
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.built_in.is_empty() && self.patterns.is_empty()
    }

    /// The name of a rule, by its number.
    #[must_use]
    pub fn name(&self, rule: usize) -> &str {
        self.names.get(rule).map_or("", String::as_str)
    }

    /// The text without what the rules find; `None` if they find nothing. `count` is told the rule of each place.
    pub(super) fn redact(
        &self,
        text: &Text<'_>,
        count: impl FnMut(usize),
    ) -> Result<Option<String>, RedactError> {
        let Text { raw, form, reach, sealed } = *text;
        let mut edits = Vec::new();
        if self.may_be_in(raw, reach) || hides_something(raw) {
            self.find(&View::whole(raw), reach, &mut edits)?;
        }
        // One of Google's streams is a list.
        if form == Form::Stream || (form == Form::Json && raw.trim_ascii_start().starts_with('[')) {
            for pieces in stream::pieces(raw) {
                let view = View::of_parts(raw, pieces);
                if self.may_be_in(view.text(), reach) {
                    self.find(&view, reach, &mut edits)?;
                }
            }
        }
        edits.retain(|edit| {
            !sealed.iter().any(|place| edit.range.start < place.end && place.start < edit.range.end)
        });
        if edits.is_empty() {
            return Ok(None);
        }
        let edits = in_order(edits);
        edits.iter().filter(|edit| !edit.continues).map(|edit| edit.rule).for_each(count);
        Ok(Some(rewrite(raw, form, &edits, &self.markers)))
    }

    /// Whether any rule has to look closer: most texts end here.
    fn may_be_in(&self, text: &str, reach: Reach) -> bool {
        let credential = self.credentials.as_ref().is_some_and(|credentials| credentials.may_be_in(text));
        let other = || {
            !self.patterns.is_empty()
                || (self.has(BuiltIn::Email) && email::may_be_in(text))
                || (self.has(BuiltIn::Card) && card::may_be_in(text))
        };
        credential || (reach == Reach::All && other())
    }

    fn find(&self, view: &View<'_>, reach: Reach, edits: &mut Vec<Edit>) -> Result<(), RedactError> {
        let text = view.text();
        let mut found: Vec<Edit> = Vec::new();
        let mut add = |range: Range<usize>, rule| found.push(Edit { range, rule, continues: false });
        if let Some(credentials) = &self.credentials {
            credentials.find(text, |range, kind| add(range, BuiltIn::from(kind) as usize));
        }
        if reach == Reach::All {
            if self.has(BuiltIn::Card) {
                card::find(text, |range| add(range, BuiltIn::Card as usize));
            }
            if self.has(BuiltIn::Email) {
                email::find(text, |range| add(range, BuiltIn::Email as usize));
            }
            self.patterns.find(text, |range, number| add(range, BuiltIn::ALL.len() + number))?;
        }
        found.retain(|edit| !edit.range.is_empty());
        let found = in_order(found);
        view.locate(found.iter().map(|edit| edit.range.clone()), |number, range, continues| {
            edits.push(Edit { range, rule: found[number].rule, continues });
        });
        Ok(())
    }

    fn has(&self, rule: BuiltIn) -> bool {
        self.built_in.contains(&rule)
    }
}

#[cfg(test)]
mod tests;

//! A price file in the making, and how it is written: the same draft is always the same text, so that a new snapshot
//! is read as a diff.

use std::collections::BTreeMap;
use std::fmt::Write;

use weir_event::Unit;

use super::amount::Amount;
use super::{ImportedFile, Source};
use crate::Charge;

/// The file of one provider.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftFile {
    pub(super) provider: String,
    pub(super) also: Vec<String>,
    pub(super) fallback: Vec<String>,
    pub(super) models: Vec<DraftModel>,
}

/// One model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DraftModel {
    pub(super) id: String,
    pub(super) comments: Vec<String>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) except: Vec<Pattern>,
    /// What a request is billed for at least.
    pub(super) minimum: Option<(Charge, u64)>,
    pub(super) prices: Vec<DraftPrice>,
}

/// Which names are meant. Texts are lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(String),
}

/// What a model costs under some conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DraftPrice {
    pub(super) from: Option<String>,
    pub(super) hours_utc: Vec<String>,
    pub(super) weekdays: Vec<&'static str>,
    pub(super) service_tier: Option<String>,
    pub(super) charges: BTreeMap<Charge, Steps>,
}

/// A price, and the prices that take its place when the whole input is more than a number of tokens, by that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) base: Amount,
    pub(super) over: BTreeMap<u64, Amount>,
}

/// What an amount is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Per {
    Million,
    Thousand,
    Hour,
}

impl Per {
    /// What amounts of a charge are for.
    pub(super) const fn of(charge: Charge) -> Self {
        match charge {
            _ if charge.is_time() => Self::Hour,
            Charge::Tokens(_) | Charge::Unit(Unit::InputCharacters) => Self::Million,
            Charge::Unit(_) | Charge::Requests => Self::Thousand,
        }
    }

    const ALL: [Self; 3] = [Self::Million, Self::Thousand, Self::Hour];

    const fn key(self) -> &'static str {
        match self {
            Self::Million => "per_million",
            Self::Thousand => "per_thousand",
            Self::Hour => "per_hour",
        }
    }
}

impl Steps {
    pub(super) const fn flat(base: Amount) -> Self {
        Self { base, over: BTreeMap::new() }
    }

    /// The price when the whole input is just over a bound.
    fn just_over(&self, bound: u64) -> Amount {
        self.over.range(..=bound).next_back().map_or(self.base, |(_, amount)| *amount)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.base.is_zero() && self.over.values().all(|amount| amount.is_zero())
    }
}

impl DraftFile {
    pub(super) fn render(&self, source: Source) -> ImportedFile {
        let mut text = format!(
            "# Made by `ingest prices import --from {}`: see ../SOURCES.toml. Not edited by hand.\n\nprovider = {}\n",
            source.name(),
            quoted(&self.provider)
        );
        for (key, names) in [("also", &self.also), ("fallback", &self.fallback)] {
            if !names.is_empty() {
                line(&mut text, &format!("{key} = {}", list(names.iter().map(|name| quoted(name)))));
            }
        }
        for model in &self.models {
            text.push('\n');
            model.render(&mut text);
        }
        ImportedFile { name: format!("{}.toml", self.provider), text }
    }
}

impl DraftModel {
    fn render(&self, text: &mut String) {
        for comment in &self.comments {
            line(text, &format!("# {comment}"));
        }
        line(text, "[[model]]");
        line(text, &format!("id = {}", quoted(&self.id)));
        line(text, &format!("match = {}", list(self.patterns.iter().map(Pattern::render))));
        if !self.except.is_empty() {
            line(text, &format!("except = {}", list(self.except.iter().map(Pattern::render))));
        }
        if let Some((charge, count)) = self.minimum {
            line(text, &format!("minimum = {{ {charge} = {count} }}"));
        }
        for price in &self.prices {
            price.render(text);
        }
    }
}

impl Pattern {
    fn render(&self) -> String {
        match self {
            Self::Exact(name) => quoted(name),
            Self::Prefix(part) => format!("{{ prefix = {} }}", quoted(part)),
            Self::Suffix(part) => format!("{{ suffix = {} }}", quoted(part)),
            Self::Contains(part) => format!("{{ contains = {} }}", quoted(part)),
            Self::Regex(regex) => format!("{{ regex = {} }}", quoted(regex)),
        }
    }
}

impl DraftPrice {
    fn render(&self, text: &mut String) {
        line(text, "[[model.price]]");
        if let Some(from) = &self.from {
            line(text, &format!("from = {}", quoted(from)));
        }
        if !self.hours_utc.is_empty() {
            line(text, &format!("hours_utc = {}", list(self.hours_utc.iter().map(|hours| quoted(hours)))));
        }
        if !self.weekdays.is_empty() {
            line(text, &format!("weekdays = {}", list(self.weekdays.iter().map(|day| quoted(day)))));
        }
        if let Some(tier) = &self.service_tier {
            line(text, &format!("service_tier = {}", quoted(tier)));
        }
        amounts(text, self.charges.iter().map(|(charge, steps)| (*charge, steps.base)));
        let mut bounds: Vec<u64> =
            self.charges.values().flat_map(|steps| steps.over.keys().copied()).collect();
        bounds.sort_unstable();
        bounds.dedup();
        for bound in bounds {
            line(text, "[[model.price.tier]]");
            line(text, &bound_line(bound));
            let stepped = self.charges.iter().filter(|(_, steps)| !steps.over.is_empty());
            amounts(text, stepped.map(|(charge, steps)| (*charge, steps.just_over(bound))));
        }
    }
}

/// A bound of 199,999 is one provider's way to say "from 200,000 on".
fn bound_line(bound: u64) -> String {
    const THOUSAND: u64 = 1_000;
    if bound % THOUSAND == THOUSAND - 1 {
        format!("at_least = {}", bound + 1)
    } else {
        format!("over = {bound}")
    }
}

fn amounts(text: &mut String, charges: impl Iterator<Item = (Charge, Amount)>) {
    let charges: Vec<_> = charges.collect();
    for per in Per::ALL {
        let of_per = charges.iter().filter(|(charge, _)| Per::of(*charge) == per);
        let items: Vec<_> =
            of_per.map(|(charge, amount)| format!("{} = \"{amount}\"", charge.as_str())).collect();
        if !items.is_empty() {
            line(text, &format!("{} = {{ {} }}", per.key(), items.join(", ")));
        }
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A TOML string: literal where it holds a backslash, which is easier to read in a regex.
pub(super) fn quoted(text: &str) -> String {
    let plain = !text.chars().any(char::is_control);
    if plain && text.contains(['\\', '"']) && !text.contains('\'') {
        return format!("'{text}'");
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

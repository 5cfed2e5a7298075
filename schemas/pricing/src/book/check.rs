//! From a price file to a sheet that makes sense: every text becomes what it means, or an error that names the place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use regex::bytes::RegexBuilder;
use weir_event::{Timestamp, Units};

use crate::book::entry::{ContextBound, ContextTier, DaySpan, Entry, Model, Rates, Window};
use crate::book::file::{self, Amounts, File, Match};
use crate::book::pattern::Pattern;
use crate::book::sheet::Sheet;
use crate::charge::Charge;
use crate::error::{BookError, EntryError};
use crate::rate::{Per, Rate};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads a file into a sheet. The name is for errors and receipts.
pub(crate) fn sheet(name: &str, text: &str) -> Result<Sheet, BookError> {
    let file: File = toml::from_str(text)
        .map_err(|source| BookError::File { file: name.to_owned(), source: Box::new(source) })?;
    let File { provider, also, fallback, model } = file;
    let (also, fallback) = (also.unwrap_or_default(), fallback.unwrap_or_default());
    let wrong = |id: &str, source| BookError::Entry { file: name.to_owned(), id: id.to_owned(), source };
    if also.iter().chain(&fallback).chain([&provider]).any(String::is_empty) {
        return Err(wrong(&provider, EntryError::Empty { field: "the name of a provider" }));
    }
    let mut reader = Reader { provider: &provider, file: name.into(), ids: HashMap::new() };
    let models = model.unwrap_or_default().into_iter().map(|model| {
        let id = format!("{provider}/{}", model.id);
        reader.model(model, &id).map_err(|source| wrong(&id, source))
    });
    let models: Vec<Model> = models.collect::<Result<_, _>>()?;
    let mut ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    ids.sort_unstable();
    if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(wrong(twice[0], EntryError::DuplicateId));
    }
    let mut providers = vec![provider];
    providers.extend(also);
    Ok(Sheet::new(providers, fallback, models))
}

/// What the models of one file share.
struct Reader<'a> {
    provider: &'a str,
    file: Arc<str>,
    /// How often each price id was given out: a later price of the same name is numbered.
    ids: HashMap<String, u32>,
}

impl Reader<'_> {
    fn model(&mut self, model: file::Model, name: &str) -> Result<Model, EntryError> {
        let file::Model { id, matches, except, minimum, price } = model;
        let empties = [("id", id.is_empty()), ("match", matches.is_empty()), ("price", price.is_empty())];
        if let Some((field, _)) = empties.into_iter().find(|(_, empty)| *empty) {
            return Err(EntryError::Empty { field });
        }
        let minimums = minimums(minimum.unwrap_or_default())?;
        Ok(Model {
            file: Arc::clone(&self.file),
            matches: matches.into_iter().map(pattern).collect::<Result<_, _>>()?,
            except: except.unwrap_or_default().into_iter().map(pattern).collect::<Result<_, _>>()?,
            entries: price
                .into_iter()
                .map(|price| Ok(Entry { minimums: Arc::clone(&minimums), ..self.entry(price, &id)? }))
                .collect::<Result<_, EntryError>>()?,
            id: name.to_owned(),
        })
    }

    fn entry(&mut self, price: file::Price, model: &str) -> Result<Entry, EntryError> {
        let service_tier = price.service_tier.as_deref().map(str::to_ascii_lowercase);
        if service_tier.as_deref() == Some("") {
            return Err(EntryError::Empty { field: "service_tier" });
        }
        let id = self.price_id(model, price.from.as_deref(), service_tier.as_deref());
        let base = rates([price.per_million, price.per_thousand, price.per_hour])?;
        let tiers = price.tier.unwrap_or_default().into_iter().map(context_tier);
        let mut tiers: Vec<ContextTier> = tiers.collect::<Result<_, _>>()?;
        tiers.sort_by_key(|tier| tier.bound.first());
        if tiers.windows(2).any(|pair| pair[0].bound.first() == pair[1].bound.first()) {
            return Err(EntryError::TierBound);
        }
        if base.is_empty() && tiers.is_empty() {
            return Err(EntryError::Empty { field: "a price" });
        }
        let window = window(price.from.as_deref(), price.until.as_deref(), price.hours_utc, price.weekdays)?;
        Ok(Entry {
            id,
            window,
            service_tier: service_tier.map(Into::into),
            base,
            tiers,
            minimums: Arc::default(),
        })
    }

    fn price_id(&mut self, model: &str, from: Option<&str>, tier: Option<&str>) -> Arc<str> {
        let mut id = format!("{}/{model}", self.provider);
        for (mark, text) in [('@', from), ('+', tier)] {
            if let Some(text) = text {
                id.push(mark);
                id.push_str(text);
            }
        }
        let seen = self.ids.entry(id.clone()).or_insert(0);
        *seen += 1;
        if *seen > 1 { format!("{id}#{seen}").into() } else { id.into() }
    }
}

fn pattern(rule: Match) -> Result<Pattern, EntryError> {
    let (Match::Exact(text)
    | Match::Prefix(text)
    | Match::Suffix(text)
    | Match::Contains(text)
    | Match::Regex(text)) = &rule;
    if text.is_empty() {
        return Err(EntryError::Empty { field: "a rule of match or except" });
    }
    let lower = |text: String| text.to_lowercase().into_boxed_str();
    Ok(match rule {
        Match::Exact(text) => Pattern::Exact(lower(text)),
        Match::Prefix(text) => Pattern::Prefix(lower(text)),
        Match::Suffix(text) => Pattern::Suffix(lower(text)),
        Match::Contains(text) => Pattern::Contains(lower(text)),
        Match::Regex(text) => {
            // Without Unicode's tables an expression is ready in a tenth of the time. Names of models are ASCII.
            let regex = RegexBuilder::new(&text).unicode(false).case_insensitive(true).build();
            Pattern::Regex(regex.map_err(|error| EntryError::Regex(Box::new(error)))?)
        }
    })
}

/// Tokens have none: nobody bills tokens that were not used, and a slip here would bill every request too much.
fn minimums(counts: BTreeMap<String, u64>) -> Result<Arc<[(Charge, u64)]>, EntryError> {
    let checked = counts.into_iter().map(|(word, count)| match word.parse()? {
        charge @ Charge::Unit(_) if (1..=Units::COUNT_MAX).contains(&count) => Ok((charge, count)),
        charge => Err(EntryError::Minimum { charge }),
    });
    checked.collect()
}

fn context_tier(tier: file::Tier) -> Result<ContextTier, EntryError> {
    let bound = match (tier.over, tier.at_least) {
        (Some(bound), None) => ContextBound::Over(bound),
        (None, Some(bound)) => ContextBound::AtLeast(bound),
        (None, None) | (Some(_), Some(_)) => return Err(EntryError::TierBound),
    };
    let rates = rates([tier.per_million, tier.per_thousand, tier.per_hour])?;
    if rates.is_empty() {
        return Err(EntryError::Empty { field: "a price" });
    }
    Ok(ContextTier { bound, rates })
}

fn rates(amounts: [Option<Amounts>; 3]) -> Result<Rates, EntryError> {
    let mut rates = Rates::default();
    for (amounts, per) in amounts.into_iter().zip([Per::Million, Per::Thousand, Per::Hour]) {
        for (word, amount) in amounts.into_iter().flatten() {
            let charge: Charge = word.parse()?;
            if per == Per::Hour && !charge.is_time() {
                return Err(EntryError::NotTime { charge });
            }
            if rates.get(charge).is_some() {
                return Err(EntryError::TwoPrices { charge });
            }
            let rate = Rate::parse(&amount, per).ok_or(EntryError::Amount { charge })?;
            rates.0.push((charge, rate));
        }
    }
    Ok(rates)
}

fn window(
    from: Option<&str>,
    until: Option<&str>,
    hours: Option<Vec<String>>,
    weekdays: Option<Vec<String>>,
) -> Result<Window, EntryError> {
    let from = from.map(|from| date("from", from)).transpose()?;
    let until = until.map(|until| date("until", until)).transpose()?;
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        return Err(EntryError::NeverInForce);
    }
    let hours = match hours {
        None => Vec::new(),
        Some(spans) if spans.is_empty() => return Err(EntryError::Hours),
        Some(spans) => {
            spans.iter().map(|span| day_span(span).ok_or(EntryError::Hours)).collect::<Result<_, _>>()?
        }
    };
    let weekdays = match weekdays {
        None => 0,
        Some(days) if days.is_empty() => return Err(EntryError::Weekdays),
        Some(days) => days.iter().try_fold(0, |set, day| {
            let position = WEEKDAYS.iter().position(|known| known == day).ok_or(EntryError::Weekdays)?;
            Ok::<u8, EntryError>(set | 1 << position)
        })?,
    };
    Ok(Window { from, until, hours, weekdays })
}

/// Midnight UTC of a day.
fn date(field: &'static str, text: &str) -> Result<Timestamp, EntryError> {
    let wrong = || EntryError::Date { field };
    if text.len() != "YYYY-MM-DD".len() {
        return Err(wrong());
    }
    format!("{text}T00:00:00Z").parse().map_err(|_| wrong())
}

/// `16:30-00:30`; the end may be `24:00`.
fn day_span(text: &str) -> Option<DaySpan> {
    let (start, end) = text.split_once('-')?;
    let (start, end) = (minute(start)?, minute(end)?);
    (start != end && start < 1_440).then_some(DaySpan { start, end })
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= 1_440).then_some(of_day)
}

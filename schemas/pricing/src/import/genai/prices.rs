//! Prices of a model, and when they are in force.

use std::collections::{BTreeMap, BTreeSet};

use weir_event::{TokenBucket, Unit};

use super::super::amount::{Amount, NotAPrice};
use super::super::draft::{DraftPrice, Per, Steps};
use super::super::json::Json;
use super::super::{ImportError, Report};
use crate::Charge;

/// The source's price keys. Of two keys for one charge the first in this list wins: the source bills what both are for
/// once, at the price of the more special one.
const KEYS: &[(&str, Charge)] = &[
    ("input_mtok", Charge::Tokens(TokenBucket::UncachedInput)),
    ("cache_read_mtok", Charge::Tokens(TokenBucket::CacheRead)),
    ("cache_write_5m_mtok", Charge::Tokens(TokenBucket::CacheWrite5m)),
    ("cache_write_mtok", Charge::Tokens(TokenBucket::CacheWrite5m)),
    ("cache_write_1h_mtok", Charge::Tokens(TokenBucket::CacheWrite1h)),
    ("input_audio_mtok", Charge::Tokens(TokenBucket::AudioInput)),
    ("input_image_mtok", Charge::Tokens(TokenBucket::ImageInput)),
    ("input_video_mtok", Charge::Tokens(TokenBucket::VideoInput)),
    ("cache_audio_read_mtok", Charge::Tokens(TokenBucket::CacheReadAudio)),
    ("cache_image_read_mtok", Charge::Tokens(TokenBucket::CacheReadImage)),
    ("output_mtok", Charge::Tokens(TokenBucket::TextOutput)),
    ("output_reasoning_mtok", Charge::Tokens(TokenBucket::Reasoning)),
    ("output_audio_mtok", Charge::Tokens(TokenBucket::AudioOutput)),
    ("output_image_mtok", Charge::Tokens(TokenBucket::ImageOutput)),
    ("output_video_mtok", Charge::Tokens(TokenBucket::VideoOutput)),
    ("output_citation_mtok", Charge::Tokens(TokenBucket::Citation)),
    ("input_mchars", Charge::Unit(Unit::InputCharacters)),
    ("web_searches_kcount", Charge::Unit(Unit::WebSearches)),
    ("storage_searches_kcount", Charge::Unit(Unit::FileSearches)),
    ("code_executions_kcount", Charge::Unit(Unit::CodeExecutions)),
    ("rerank_searches_kcount", Charge::Unit(Unit::RerankSearches)),
    ("input_document_kpages", Charge::Unit(Unit::InputPages)),
    ("input_annotated_document_kpages", Charge::Unit(Unit::AnnotatedPages)),
    ("input_audio_hours", Charge::Unit(Unit::AudioInputMs)),
    ("audio_hours", Charge::Unit(Unit::AudioInputMs)),
    ("output_audio_hours", Charge::Unit(Unit::AudioOutputMs)),
    ("requests_kcount", Charge::Requests),
];

/// The standard prices in file order: one object, or a list of them with conditions.
pub(super) fn standard(json: &Json, path: &str, report: &mut Report) -> Result<Vec<DraftPrice>, ImportError> {
    if let Json::Object(_) = json {
        return Ok(vec![DraftPrice { charges: charges(json, path, report)?, ..DraftPrice::default() }]);
    }
    let mut prices: Vec<DraftPrice> = Vec::new();
    for (position, json) in json.list(&format!("{path}.prices"))?.iter().enumerate() {
        let amounts = json.get("prices").ok_or_else(|| ImportError::Shape {
            path: format!("{path}.prices"),
            expected: "a list of conditional prices",
        })?;
        let mut price = DraftPrice { charges: charges(amounts, path, report)?, ..DraftPrice::default() };
        // Where none is in force the first one is: so its own condition says nothing.
        if let Some(constraint) = json.get("constraint").filter(|_| position > 0) {
            let Some(condition) = Condition::read(constraint) else {
                report.not_understood("price.constraint", path);
                continue;
            };
            match condition {
                Condition::From(date) => price.from = Some(date),
                Condition::Hours(hours) => price.hours_utc.push(hours),
            }
        }
        match prices.last_mut() {
            Some(last) if same_but_hours(last, &price) => last.hours_utc.extend(price.hours_utc),
            Some(_) | None => prices.push(price),
        }
    }
    Ok(prices)
}

/// When a price is in force.
pub(super) enum Condition {
    From(String),
    Hours(String),
}

impl Condition {
    pub(super) fn read(json: &Json) -> Option<Self> {
        let text = |key| json.get(key).and_then(Json::text);
        match json.object("constraint").ok()?.len() {
            1 => Some(Self::From(text("start_date")?.to_owned())),
            2 => {
                Some(Self::Hours(format!("{}-{}", minute(text("start_time")?)?, minute(text("end_time")?)?)))
            }
            _ => None,
        }
    }
}

/// `01:00:00Z` as `01:00`.
fn minute(time: &str) -> Option<&str> {
    let time = time.strip_suffix(":00Z").or_else(|| time.strip_suffix(":00+00:00"))?;
    (time.len() == "00:00".len()).then_some(time)
}

/// Two windows of the day at one price are one entry.
fn same_but_hours(a: &DraftPrice, b: &DraftPrice) -> bool {
    !a.hours_utc.is_empty() && !b.hours_utc.is_empty() && a.from == b.from && a.charges == b.charges
}

/// The amounts of one object of prices.
pub(super) fn charges(
    json: &Json,
    path: &str,
    report: &mut Report,
) -> Result<BTreeMap<Charge, Steps>, ImportError> {
    let object = json.object(&format!("{path}.prices"))?;
    let mut charges = BTreeMap::new();
    for (key, charge) in KEYS {
        if let Some(value) = json.get(key)
            && !charges.contains_key(charge)
        {
            match steps(value, *charge, path, report) {
                Some(steps) => drop(charges.insert(*charge, steps)),
                None => report.not_understood(format!("price.{key}: amount"), path),
            }
        }
    }
    for (key, _) in object.iter().filter(|(key, _)| KEYS.iter().all(|(known, _)| known != key)) {
        report.not_understood(format!("price.{key}"), path);
    }
    Ok(charges)
}

/// `0.3`, or `{"base": 3, "tiers": [{"start": 200000, "price": 6}]}`.
fn steps(json: &Json, charge: Charge, path: &str, report: &mut Report) -> Option<Steps> {
    let mut amount = |number: &Json| match Amount::read(number.number()?, 1) {
        Ok(read) => {
            if read.rounded {
                report.rounded.push(format!("{path}: {}", number.number()?));
            }
            Some(read.amount)
        }
        Err(NotAPrice::Malformed | NotAPrice::OutOfRange) => None,
    };
    if json.number().is_some() {
        return Some(Steps::flat(amount(json)?));
    }
    let mut steps = Steps::flat(amount(json.get("base")?)?);
    for tier in json.get("tiers")?.list("tiers").ok()? {
        let start = tier.get("start")?.number()?.parse().ok()?;
        steps.over.insert(start, amount(tier.get("price")?)?);
    }
    // What is counted apart from tokens has no price by the size of the input anywhere.
    (Per::of(charge) == Per::Million || steps.over.is_empty()).then_some(steps)
}

/// Nothing for nothing.
pub(super) fn free() -> DraftPrice {
    let free = |bucket| (Charge::Tokens(bucket), Steps::flat(Amount::ZERO));
    let charges = BTreeMap::from([free(TokenBucket::UncachedInput), free(TokenBucket::TextOutput)]);
    DraftPrice { charges, ..DraftPrice::default() }
}

/// What is billed by a wider price where it has none of its own, and where our own stand-ins would say otherwise: in words,
/// the cached part of audio by the price of audio.
const WIDER: &[(Charge, Charge)] = &[
    (Charge::Tokens(TokenBucket::AudioInput), Charge::Tokens(TokenBucket::CacheReadAudio)),
    (Charge::Tokens(TokenBucket::ImageInput), Charge::Tokens(TokenBucket::CacheReadImage)),
    (Charge::Unit(Unit::InputPages), Charge::Unit(Unit::AnnotatedPages)),
];

/// The standard prices and the variants, with the prices written out that the source's rules imply and ours do not.
///
/// The source prices everything by the most special price that it falls under. Where audio has a price and what is cached
/// has none, cached audio has that of audio; a price file would let uncached input stand in.
pub(super) fn with_implied(mut standard: Vec<DraftPrice>, mut variants: Vec<DraftPrice>) -> Vec<DraftPrice> {
    let listed: BTreeSet<Charge> = standard.iter().flat_map(|price| price.charges.keys().copied()).collect();
    for price in &mut standard {
        imply(price);
    }
    // A variant leaves alone what it does not name: a charge that the standard lists is priced there.
    for price in &mut variants {
        let own: Vec<Charge> = price.charges.keys().copied().collect();
        imply(price);
        price.charges.retain(|charge, _| own.contains(charge) || !listed.contains(charge));
    }
    standard.append(&mut variants);
    standard
}

fn imply(price: &mut DraftPrice) {
    let all_cached = price.charges.contains_key(&Charge::Tokens(TokenBucket::CacheRead));
    for (wider, narrower) in WIDER {
        let by_cached = all_cached && matches!(narrower, Charge::Tokens(_));
        if let Some(steps) = price.charges.get(wider).cloned().filter(|_| !by_cached) {
            price.charges.entry(*narrower).or_insert(steps);
        }
    }
}

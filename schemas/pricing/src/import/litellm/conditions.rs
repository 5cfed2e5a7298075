//! Prices under conditions that have keys of their own: ranges of the input, hours of the day, and multipliers.

use std::collections::BTreeMap;

use super::super::Report;
use super::super::draft::{DraftPrice, Steps};
use super::super::json::Json;
use super::meaning::{self, Meaning};
use super::row::Row;
use crate::Charge;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads them into the row. Gives the reason why the row cannot be used, if there is one: without its off-peak prices
/// or its ranges a row would bill too much or too little.
pub(super) fn read(row: &mut Row<'_>, report: &mut Report) -> Option<&'static str> {
    let fields = row.fields;
    for (field, value) in fields {
        let understood = match field.as_str() {
            "tiered_pricing" => ranges(row, value, report).then_some(()),
            "off_peak_pricing" => off_peak(row, value, report),
            "provider_specific_entry" => {
                multipliers(row, value, report);
                Some(())
            }
            _ => Some(()),
        };
        if understood.is_none() {
            return Some("prices by range or hour that a price file cannot say");
        }
    }
    None
}

/// `[{"range": [0, 32000], ...}, {"range": [32000, 128000], ...}]`: the first is the base, each further one holds for more
/// than where it begins.
fn ranges(row: &mut Row<'_>, json: &Json, report: &mut Report) -> bool {
    let Ok(ranges) = json.list("tiered_pricing") else { return false };
    for (position, range) in ranges.iter().enumerate() {
        let start = range.get("range").and_then(|range| whole(range.list("range").ok()?.first()?.number()?));
        let (Some(start), Ok(fields)) = (start, range.object("tiered_pricing")) else { return false };
        if (position == 0) != (start == 0) {
            return false;
        }
        for (field, value) in fields.iter().filter(|(field, _)| field != "range") {
            let Some((charge, amount)) = price(row, field, value, report) else { return false };
            row.set(None, charge, (start > 0).then_some(start), amount);
        }
    }
    !ranges.is_empty()
}

/// `{"input_cost_per_token": 1.5e-07, "windows": [{"hours_utc": ["00:00-01:00"], "weekdays": [1]}]}`
fn off_peak(row: &mut Row<'_>, json: &Json, report: &mut Report) -> Option<()> {
    let mut charges = BTreeMap::new();
    let mut windows = Vec::new();
    for (field, value) in json.object("off_peak_pricing").ok()? {
        match field.as_str() {
            "windows" => windows.extend(value.list("windows").ok()?),
            "hours_utc" => windows.push(json),
            _ => {
                let (charge, amount) = price(row, field, value, report)?;
                charges.insert(charge, Steps::flat(amount));
            }
        }
    }
    // Outside of these, the standard prices are in force: an entry takes their place as a whole.
    let mut all = row.standard();
    all.extend(charges);
    for window in windows {
        row.conditional.push(DraftPrice {
            hours_utc: hours(window.get("hours_utc")?)?,
            weekdays: window.get("weekdays").map_or(Some(Vec::new()), weekdays)?,
            charges: all.clone(),
            ..DraftPrice::default()
        });
    }
    (!row.conditional.is_empty()).then_some(())
}

fn hours(json: &Json) -> Option<Vec<String>> {
    const ALL_DAY: &str = "00:00-00:00";
    let spans = match json {
        Json::Text(span) => vec![span.as_str()],
        Json::List(spans) => spans.iter().map(Json::text).collect::<Option<_>>()?,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => return None,
    };
    if spans.contains(&ALL_DAY) {
        return Some(Vec::new());
    }
    Some(spans.into_iter().map(str::to_owned).collect())
}

/// 1 is Monday.
fn weekdays(json: &Json) -> Option<Vec<&'static str>> {
    let day = |json: &Json| {
        let number: usize = json.number()?.parse().ok()?;
        WEEKDAYS.get(number.checked_sub(1)?).copied()
    };
    json.list("weekdays").ok()?.iter().map(day).collect()
}

/// `{"fast": 2.0, "us": 1.1}`: how much more the tokens cost at that speed, or bound to that place. Both are service tiers
/// of an event.
fn multipliers(row: &mut Row<'_>, json: &Json, report: &mut Report) {
    for (name, value) in json.object("provider_specific_entry").unwrap_or_default() {
        let multiplier = value.number().filter(|_| ["fast", "us"].contains(&name.as_str()));
        if !multiplier.is_some_and(|multiplier| row.set_multiple(name, multiplier)) {
            report.not_understood(format!("provider_specific_entry.{name}"), row.key());
        }
    }
}

fn price(
    row: &Row<'_>,
    field: &str,
    value: &Json,
    report: &mut Report,
) -> Option<(Charge, super::super::amount::Amount)> {
    match meaning::of(field, row.fields) {
        Meaning::Price(charge, factor) => Some((charge, row.amount(field, value, factor, report)?)),
        Meaning::Nothing | Meaning::Unknown => None,
    }
}

/// `256000.0` as 256000.
fn whole(number: &str) -> Option<u64> {
    let digits = number.split_once('.').map_or(Some(number), |(whole, fraction)| {
        fraction.bytes().all(|digit| digit == b'0').then_some(whole)
    })?;
    digits.parse().ok()
}

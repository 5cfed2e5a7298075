//! Variants: other prices for some charges, by what a request asked for. What it asked for becomes a service tier.

use std::collections::BTreeMap;

use super::super::draft::{DraftPrice, Steps};
use super::super::json::Json;
use super::super::{ImportError, Report};
use super::prices::{Condition, charges};
use crate::Charge;

/// A variant as the source has it.
struct Variant {
    tier: String,
    from: Option<String>,
    charges: BTreeMap<Charge, Steps>,
}

/// The entries of a model's service tiers.
pub(super) fn convert(json: &Json, path: &str, report: &mut Report) -> Result<Vec<DraftPrice>, ImportError> {
    let mut variants = Vec::new();
    for json in json.list(&format!("{path}.price_variants"))? {
        variants.extend(read(json, path, report)?);
    }
    let mut tiers: Vec<String> = variants.iter().map(|variant| variant.tier.clone()).collect();
    tiers.sort();
    tiers.dedup();
    Ok(tiers.iter().flat_map(|tier| entries(tier, &variants)).collect())
}

fn read(json: &Json, path: &str, report: &mut Report) -> Result<Option<Variant>, ImportError> {
    let shape = |expected| ImportError::Shape { path: format!("{path}.price_variants"), expected };
    let when = json.get("when").ok_or_else(|| shape("a list of variants"))?;
    let amounts = json.get("prices").ok_or_else(|| shape("a list of variants"))?;
    let conditions = when.object(&format!("{path}.price_variants.when"))?;
    let [(key, value)] = conditions else {
        report.not_understood("variant.when: several conditions", path);
        return Ok(None);
    };
    // A variant without prices says that the standard ones apply, which they do without it.
    if amounts.object(path)?.is_empty() {
        return Ok(None);
    }
    let tier = match (key.as_str(), value.text()) {
        ("processing", Some("batch")) => "batch",
        ("service_tier", Some(tier @ ("flex" | "priority" | "fast"))) => tier,
        ("speed", Some("fast")) => "fast",
        (key, value) => {
            report.not_understood(format!("variant.{key}={}", value.unwrap_or("?")), path);
            return Ok(None);
        }
    };
    let from = match json.get("constraint").map(Condition::read) {
        None => None,
        Some(Some(Condition::From(date))) => Some(date),
        Some(Some(Condition::Hours(_)) | None) => {
            report.not_understood("variant.constraint", path);
            return Ok(None);
        }
    };
    Ok(Some(Variant { tier: tier.to_owned(), from, charges: charges(amounts, path, report)? }))
}

/// One entry from each day on that something begins: of the variants in force the first one that names a charge
/// prices it, where in a price file the last entry in force prices all.
fn entries(tier: &str, variants: &[Variant]) -> Vec<DraftPrice> {
    let own: Vec<&Variant> = variants.iter().filter(|variant| variant.tier == tier).collect();
    let mut starts: Vec<&Option<String>> = own.iter().map(|variant| &variant.from).collect();
    // Dates are written so that they sort; `None` is first.
    starts.sort();
    starts.dedup();
    let entry = |start: &Option<String>| {
        let mut charges = BTreeMap::new();
        for variant in own.iter().filter(|variant| variant.from <= *start) {
            for (charge, steps) in &variant.charges {
                charges.entry(*charge).or_insert_with(|| steps.clone());
            }
        }
        let service_tier = Some(tier.to_owned());
        DraftPrice { from: start.clone(), service_tier, charges, ..DraftPrice::default() }
    };
    starts.into_iter().map(entry).collect()
}

//! One row to one model.

use std::collections::BTreeMap;

use weir_event::{TokenBucket, Unit};

use super::super::Report;
use super::super::amount::Amount;
use super::super::draft::{DraftModel, DraftPrice, Pattern, Steps};
use super::super::json::Json;
use super::conditions;
use super::keys::PriceKey;
use super::meaning::{self, Meaning};
use crate::Charge;

/// The prices of one service tier as they are collected: by charge, and by the size from which on they apply.
pub(super) type Amounts = BTreeMap<Charge, BTreeMap<Option<u64>, Amount>>;

/// What is collected from a row.
pub(super) struct Row<'a> {
    /// The row's key in the source, for the report.
    key: &'a str,
    pub(super) fields: &'a [(String, Json)],
    /// By service tier; `None` is standard.
    amounts: BTreeMap<Option<String>, Amounts>,
    comments: Vec<String>,
    /// Standard prices at other times, in front of the service tiers.
    pub(super) conditional: Vec<DraftPrice>,
}

/// `None` where the row has no price that a price file can say; the report says why.
pub(super) fn convert(
    name: &str,
    key: &str,
    fields: &[(String, Json)],
    report: &mut Report,
) -> Option<DraftModel> {
    let mut row =
        Row { key, fields, amounts: BTreeMap::new(), comments: Vec::new(), conditional: Vec::new() };
    for (field, value) in fields {
        row.read(field, value, report);
    }
    if let Some(problem) = conditions::read(&mut row, report) {
        report.leave_out(problem, key);
        return None;
    }
    let comments = std::mem::take(&mut row.comments);
    let prices = row.into_prices(report);
    if prices.is_empty() {
        report.leave_out("no price that a price file can say", key);
        return None;
    }
    if is_free(&prices, fields) {
        report.leave_out("every price of tokens is 0: free, or not known", key);
        return None;
    }
    let mut patterns = vec![Pattern::Exact(name.to_owned())];
    if name.starts_with("ft:") {
        // Fine-tuned models: `ft:<model>:<organization>::<id>`.
        patterns.push(Pattern::Prefix(format!("{name}:")));
    }
    Some(DraftModel { id: name.to_owned(), comments, patterns, prices, ..DraftModel::default() })
}

/// Whether nothing costs anything, or no token of a model that is billed by tokens does: the source has 0 where it does
/// not know, too.
fn is_free(prices: &[DraftPrice], fields: &[(String, Json)]) -> bool {
    let by_tokens =
        matches!(meaning::text(fields, "mode"), "chat" | "completion" | "responses" | "embedding");
    let counts = |charge: &Charge| !by_tokens || !matches!(charge, Charge::Unit(_));
    let charges = prices.iter().flat_map(|price| &price.charges);
    charges.filter(|(charge, _)| counts(charge)).all(|(_, steps)| steps.is_zero())
}

impl Row<'_> {
    fn read(&mut self, field: &str, value: &Json, report: &mut Report) {
        match field {
            "search_context_cost_per_query" => self.read_search(value, report),
            // Read when the standard prices are known.
            "off_peak_pricing" | "tiered_pricing" | "provider_specific_entry" => {}
            _ => {
                let parsed = PriceKey::parse(field);
                match meaning::of(parsed.base, self.fields) {
                    Meaning::Nothing => {}
                    Meaning::Unknown => report.not_understood(field, self.key),
                    Meaning::Price(charge, factor) => {
                        let amount = self.amount(field, value, factor, report);
                        if let Some(amount) = amount.filter(|amount| !is_no_surcharge(charge, *amount)) {
                            self.set(parsed.tier, charge, parsed.over, amount);
                        }
                    }
                }
            }
        }
    }

    /// Web search is billed by the size of the context that it gives, which no event says.
    fn read_search(&mut self, json: &Json, report: &mut Report) {
        let size = |size: &str| json.get(&format!("search_context_size_{size}"));
        let Some(medium) = size("medium") else {
            report.not_understood("search_context_cost_per_query", self.key);
            return;
        };
        let (low, high) = (size("low").unwrap_or(medium), size("high").unwrap_or(medium));
        if (low, high) != (medium, medium) {
            let number = |json: &Json| json.number().unwrap_or("?").to_owned();
            self.comments.push(format!(
                "A web search costs {}, {} or {} by the size of its context; the middle one is taken.",
                number(low),
                number(medium),
                number(high)
            ));
        }
        if let Some(amount) = self.amount("search_context_cost_per_query", medium, 1_000, report) {
            self.set(None, Charge::Unit(Unit::WebSearches), None, amount);
        }
    }

    /// The price in a value; one that is no price is reported.
    pub(super) fn amount(
        &self,
        field: &str,
        json: &Json,
        factor: u64,
        report: &mut Report,
    ) -> Option<Amount> {
        let Some(read) = json.number().and_then(|number| Amount::read(number, factor).ok()) else {
            report.not_understood(format!("{field}: amount"), self.key);
            return None;
        };
        if read.rounded {
            report.rounded.push(format!("{} {field}: {}", self.key, json.number().unwrap_or("?")));
        }
        Some(read.amount)
    }

    pub(super) fn set(&mut self, tier: Option<&str>, charge: Charge, over: Option<u64>, amount: Amount) {
        let of_tier = self.amounts.entry(tier.map(str::to_owned)).or_default();
        of_tier.entry(charge).or_default().insert(over, amount);
    }

    /// The row's key in the source.
    pub(super) fn key(&self) -> &str {
        self.key
    }

    /// The standard prices so far.
    pub(super) fn standard(&self) -> BTreeMap<Charge, Steps> {
        let amounts = self.amounts.get(&None).cloned().unwrap_or_default();
        amounts.into_iter().filter_map(|(charge, amounts)| Some((charge, steps(amounts, None)?))).collect()
    }

    /// A tier whose every token costs a multiple.
    pub(super) fn set_multiple(&mut self, tier: &str, multiplier: &str) -> bool {
        let standard = self.standard();
        let tokens = standard.into_iter().filter(|(charge, _)| matches!(charge, Charge::Tokens(_)));
        for (charge, steps) in tokens.collect::<Vec<_>>() {
            let all = std::iter::once((None, steps.base))
                .chain(steps.over.into_iter().map(|(over, amount)| (Some(over), amount)));
            for (over, amount) in all {
                let Ok(read) = amount.times(multiplier) else { return false };
                self.set(Some(tier), charge, over, read.amount);
            }
        }
        true
    }

    /// Standard first, then other times, then the service tiers.
    fn into_prices(self, report: &mut Report) -> Vec<DraftPrice> {
        let standard = self.standard();
        let Self { key, amounts, conditional, .. } = self;
        let mut prices = Vec::new();
        let mut conditional = Some(conditional);
        for (tier, amounts) in amounts {
            let is_standard = tier.is_none();
            let mut charges = BTreeMap::new();
            for (charge, amounts) in amounts {
                // A service tier's price that is not listed is the standard one.
                let base = standard.get(&charge).map(|steps| steps.base).filter(|_| !is_standard);
                if let Some(steps) = steps(amounts, base) {
                    charges.insert(charge, steps);
                } else {
                    let what = format!("{charge} has a price from some size on, and none below");
                    report.not_understood(what, key);
                }
            }
            if !charges.is_empty() {
                prices.push(DraftPrice { service_tier: tier, charges, ..DraftPrice::default() });
            }
            if is_standard {
                prices.extend(conditional.take().into_iter().flatten());
            }
        }
        prices
    }
}

/// Writing to a cache for nothing means nothing on top of the input, which is not free.
fn is_no_surcharge(charge: Charge, amount: Amount) -> bool {
    let is_write = matches!(charge, Charge::Tokens(TokenBucket::CacheWrite5m | TokenBucket::CacheWrite1h));
    is_write && amount.is_zero()
}

fn steps(mut amounts: BTreeMap<Option<u64>, Amount>, base: Option<Amount>) -> Option<Steps> {
    let base = amounts.remove(&None).or(base)?;
    let over = amounts.into_iter().filter_map(|(over, amount)| Some((over?, amount))).collect();
    Some(Steps { base, over })
}

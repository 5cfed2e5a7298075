//! `LiteLLM`: `model_prices_and_context_window.json`: one flat object of rows, a row per model and way to reach it, with
//! prices in keys that say what, from which size of the request on, and in which service tier.
//!
//! Its rules, as the package's `llm_cost_calc` has them: `_above_200k_tokens` applies to the whole request when its
//! input is strictly more; a service tier's price that is not listed is the standard one; the ranges of
//! `tiered_pricing` are open below and closed above; off-peak prices take the place of the standard ones.

mod conditions;
mod keys;
mod meaning;
mod names;
mod row;

use std::collections::BTreeMap;

use super::draft::{DraftFile, DraftModel};
use super::json::Json;
use super::{ImportError, Report};
use names::Route;

/// The row that explains the others.
const SAMPLE: &str = "sample_spec";

pub(super) fn convert(json: &Json, report: &mut Report) -> Result<Vec<DraftFile>, ImportError> {
    let mut files: BTreeMap<&'static str, BTreeMap<String, DraftModel>> = BTreeMap::new();
    for (route, key, row) in routed(json, report)? {
        let name = match route.model_name(key) {
            Ok(name) => name,
            Err(reason) => {
                report.leave_out(reason, key);
                continue;
            }
        };
        let Some(model) = row::convert(&name, key, row.object(key)?, report) else { continue };
        let models = files.entry(route.provider).or_default();
        match models.get(&name) {
            None => drop(models.insert(name, model)),
            Some(first) if first.prices == model.prices => {
                report.leave_out("the same model once more, at the same prices", key);
            }
            Some(_) => report.leave_out("the same model once more, at other prices", key),
        }
    }
    let file = |(provider, models): (&str, BTreeMap<String, DraftModel>)| DraftFile {
        provider: provider.to_owned(),
        models: models.into_values().collect(),
        ..DraftFile::default()
    };
    Ok(files.into_iter().map(file).collect())
}

/// The rows of providers that requests are routed to. Of two rows for one name the first in this order wins.
fn routed<'a>(json: &'a Json, report: &mut Report) -> Result<Vec<(Route, &'a str, &'a Json)>, ImportError> {
    let mut rows = Vec::new();
    for (key, row) in json.object("the file")?.iter().filter(|(key, _)| key != SAMPLE) {
        row.object(key)?;
        match row.get("litellm_provider").and_then(Json::text) {
            None => report.leave_out("not a model's row", key),
            Some(source) => match Route::of(source) {
                None => report.not_routed(source),
                Some(route) => rows.push((route, key.as_str(), row)),
            },
        }
    }
    // Stable: within a route in the order of the file, with names as the API has them before others.
    rows.sort_by_key(|(route, key, _)| (route.precedence, !route.is_prefixed(key)));
    Ok(rows)
}

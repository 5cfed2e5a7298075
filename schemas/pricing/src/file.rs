//! Price files: TOML as people review it, into rows that are checked.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use weir_event::{Timestamp, TokenBucket, Usd};

use crate::book::{ModelPattern, PriceRow};
use crate::error::BookError;

/// The files of the built-in book.
pub(crate) const BUILTIN: &[(&str, &str)] = &[
    ("openai.toml", include_str!("../book/openai.toml")),
    ("deepseek.toml", include_str!("../book/deepseek.toml")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    price: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    providers: Vec<String>,
    model: Model,
    from: String,
    until: Option<String>,
    per_million: BTreeMap<TokenBucket, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    exact: Option<String>,
    prefix: Option<String>,
}

/// Reads the rows of one file.
pub(crate) fn parse(name: &str, text: &str) -> Result<Vec<PriceRow>, BookError> {
    let file: File = toml::from_str(text)
        .map_err(|source| BookError::File { file: name.to_owned(), source: Box::new(source) })?;
    file.price.into_iter().map(check).collect()
}

fn check(row: Row) -> Result<PriceRow, BookError> {
    let Row { id, providers, model, from, until, per_million } = row;
    for (field, empty) in [("providers", providers.is_empty()), ("per_million", per_million.is_empty())] {
        if empty {
            return Err(BookError::Empty { id, field });
        }
    }
    let model = match model {
        Model { exact: Some(name), prefix: None } if !name.is_empty() => ModelPattern::Exact(name),
        Model { exact: None, prefix: Some(prefix) } if !prefix.is_empty() => ModelPattern::Prefix(prefix),
        // Both, neither, or an empty one.
        Model { .. } => return Err(BookError::Model { id }),
    };
    let from = date(&id, "from", &from)?;
    let until = until.map(|until| date(&id, "until", &until)).transpose()?;
    if until.is_some_and(|until| until <= from) {
        return Err(BookError::NeverInForce { id });
    }
    let per_token = per_million
        .into_iter()
        .map(|(bucket, amount)| {
            let price = per_token(&amount).ok_or_else(|| BookError::Amount { id: id.clone(), bucket })?;
            Ok((bucket, price))
        })
        .collect::<Result<_, BookError>>()?;
    Ok(PriceRow { id, providers, model, from, until, per_token })
}

/// Midnight UTC of a day.
fn date(id: &str, field: &'static str, text: &str) -> Result<Timestamp, BookError> {
    let wrong = || BookError::Date { id: id.to_owned(), field };
    if text.len() != "YYYY-MM-DD".len() {
        return Err(wrong());
    }
    format!("{text}T00:00:00Z").parse().map_err(|_| wrong())
}

/// A price per million tokens as a price per token: the point moves by six places, so nothing is rounded.
fn per_token(per_million: &str) -> Option<Usd> {
    const PRICE_MAX: u32 = 10_000;
    const MILLION_PLACES: u32 = 6;
    let amount = per_million.parse::<Usd>().ok()?.amount();
    if amount.is_sign_negative() || amount >= Decimal::from(PRICE_MAX) {
        return None;
    }
    let mut moved = amount;
    moved.set_scale(amount.scale() + MILLION_PLACES).ok()?;
    Usd::try_from(moved).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_per_token_are_exact() {
        for (per_million, expected) in [
            ("5", "0.000005"),
            ("0", "0"),
            ("0.00013", "0.00000000013"),
            ("9999.999999999999", "0.009999999999999999"),
        ] {
            assert_eq!(per_token(per_million).unwrap().to_string(), expected);
        }
        for wrong in ["-1", "10000", "0.0000000000001", "", "free", "1e3"] {
            assert_eq!(per_token(wrong), None, "{wrong}");
        }
    }
}

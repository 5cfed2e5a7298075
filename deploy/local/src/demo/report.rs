//! What a person is shown.

use std::fmt::Write;

use rust_decimal::Decimal;

use super::api::{Live, Tally};
use super::check::{ModelTotals, Providers, Totals};

/// Lines of cells as text: the first line is the heading, the first `text_columns` cells are set left, the others right.
fn table(lines: &[Vec<String>], text_columns: usize) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "  " } else { "   " };
            // Writing to a String cannot fail.
            let _ = if column < text_columns {
                write!(text, "{gap}{cell:<width$}")
            } else {
                write!(text, "{gap}{cell:>width$}")
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if index == 0 {
            let rule = widths.iter().sum::<usize>() + 3 * columns.saturating_sub(1);
            let _ = writeln!(text, "  {}", "─".repeat(rule));
        }
    }
    text
}

fn cells(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// USD with all its digits; `unknown` where nothing could be priced.
fn dollars(totals: &ModelTotals) -> String {
    if totals.unpriced == totals.requests && totals.requests > 0 {
        return "unknown".to_owned();
    }
    totals.cost.normalize().to_string()
}

/// What became of a push.
pub(super) fn tally(tally: &Tally) -> String {
    let Tally { received, stored, duplicates, dead_lettered, ignored } = tally;
    format!(
        "received {received} = stored {stored} + duplicates {duplicates} + dead letters {dead_lettered} + ignored {ignored}"
    )
}

/// Requests, tokens and cost per model.
pub(super) fn models(totals: &Totals, providers: &Providers) -> String {
    let mut lines = vec![cells(&["provider", "model", "requests", "tokens in", "tokens out", "cost USD"])];
    let mut all = ModelTotals::default();
    for (model, totals) in totals {
        all.add(totals);
        let provider = providers.get(model).cloned().unwrap_or_default();
        lines.push(vec![
            provider,
            model.clone(),
            totals.requests.to_string(),
            totals.tokens_in.to_string(),
            totals.tokens_out.to_string(),
            dollars(totals),
        ]);
    }
    lines.push(vec![
        "all".to_owned(),
        String::new(),
        all.requests.to_string(),
        all.tokens_in.to_string(),
        all.tokens_out.to_string(),
        all.cost.normalize().to_string(),
    ]);
    table(&lines, 2)
}

/// The rolling windows per API token and model: requests and cost in each.
pub(super) fn windows(live: &Live) -> anyhow::Result<String> {
    let mut heading = cells(&["API token", "model"]);
    let lengths = live.rows.first().map(|row| row.windows.as_slice()).unwrap_or_default();
    heading.extend(lengths.iter().map(|window| format!("{}: requests, USD", length(window.window_s))));
    let mut lines = vec![heading];
    for row in &live.rows {
        let mut shown = vec![token(&row.token), row.model.clone()];
        for window in &row.windows {
            let totals = window.totals()?;
            shown.push(if totals.requests == 0 {
                "-".to_owned()
            } else {
                format!("{}, {}", totals.requests, dollars(&totals))
            });
        }
        lines.push(shown);
    }
    Ok(table(&lines, 2))
}

/// A token's hash, shortened; gateways that hide their callers' tokens have none.
fn token(token: &str) -> String {
    const SHOWN: usize = 12;
    match token {
        "" => "(hidden)".to_owned(),
        token if token.len() > SHOWN && token.is_ascii() => format!("{}…", &token[..SHOWN]),
        token => token.to_owned(),
    }
}

fn length(seconds: u64) -> String {
    match seconds {
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The sum of all costs, for a closing line.
pub(super) fn sum(totals: &Totals) -> Decimal {
    totals.values().map(|totals| totals.cost).sum::<Decimal>().normalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_set_in_columns() {
        let lines = [cells(&["a", "n"]), cells(&["long", "1"]), cells(&["b", "22"])];
        assert_eq!(table(&lines, 1), "  a       n\n  ─────────\n  long    1\n  b      22\n");
    }

    #[test]
    fn an_unknown_cost_is_not_shown_as_zero() {
        let totals = ModelTotals { requests: 1, unpriced: 1, ..ModelTotals::default() };
        assert_eq!(dollars(&totals), "unknown");
        assert_eq!(dollars(&ModelTotals { unpriced: 0, ..totals }), "0");
    }

    #[test]
    fn lengths_are_told_in_the_unit_that_fits() {
        assert_eq!([60, 300, 3_600, 86_400, 45].map(length), ["1 min", "5 min", "1 h", "24 h", "45 s"]);
    }
}

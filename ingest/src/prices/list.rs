//! `ingest prices list`: the prices in force, of everything, of a provider, or of one model.

use std::io::Write;

use anyhow::Context;
use weir_event::Timestamp;
use weir_pricing::PriceBook;
use weir_service::clock::Clock;

/// What to list.
#[derive(Debug)]
pub(crate) struct List {
    pub(super) book: PriceBook,
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    pub(super) at: Option<String>,
}

impl List {
    pub(super) fn run(&self, clock: &dyn Clock, out: &mut impl Write) -> anyhow::Result<()> {
        let at = match &self.at {
            Some(text) => moment(text)?,
            None => Timestamp::from_millis(clock.now_ms())?,
        };
        let listings = match (&self.provider, &self.model) {
            (Some(provider), Some(model)) => self.book.in_force(provider, model, at),
            // Clap asks for the provider where there is a model.
            (provider, _) => self.book.listed(provider.as_deref(), at),
        };
        writeln!(out, "in force at {at}, book {}", self.book.edition())?;
        if listings.is_empty() {
            writeln!(out, "nothing")?;
        }
        for listing in listings {
            writeln!(out, "{listing}")?;
        }
        Ok(())
    }
}

/// A day is its first moment.
fn moment(text: &str) -> anyhow::Result<Timestamp> {
    let day = text.len() == "YYYY-MM-DD".len();
    let moment = if day { format!("{text}T00:00:00Z").parse() } else { text.parse() };
    moment.context("--at is not a UTC day (YYYY-MM-DD) or time (RFC 3339)")
}

#[cfg(test)]
mod tests {
    use weir_service::clock::ManualClock;

    use super::*;

    fn check(provider: &str, model: &str, at: &str, expected: &str) {
        let list = List {
            book: PriceBook::builtin(),
            provider: Some(provider.to_owned()),
            model: Some(model.to_owned()),
            at: Some(at.to_owned()),
        };
        let mut out = Vec::new();
        list.run(&ManualClock::default(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(expected), "{out}");
    }

    #[test]
    fn the_row_in_force_is_listed() {
        check("openai", "gpt-4o", "2024-10-01", "openai/gpt-4o");
        check("openai", "gpt-4o", "2024-10-01", "uncached_input     5 / 1000000");
        check("openai", "gpt-4o", "2024-10-02T00:00:00Z", "uncached_input     2.5 / 1000000");
        check("openai", "gpt-99", "2024-10-02", "nothing");
        assert!(moment("yesterday").is_err());
    }
}

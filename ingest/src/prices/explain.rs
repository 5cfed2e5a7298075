//! `ingest prices explain`: from an event to its receipt, by the same way that takes it into the tables.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::value::RawValue;
use weir_event::{Scope, Source, UsageEvent};
use weir_pricing::{Billable, PriceBook, receipt};

use crate::accept::{Form, RawRecord};
use crate::decode::{Decoded, IgnoreReason, PrivateKeys, decode};
use crate::normalize::{Arrival, normalize, normalize_ai_gateway, normalize_event};

/// Which events to explain.
#[derive(Debug)]
pub(crate) struct Explain {
    pub(super) book: PriceBook,
    /// Standard input where there is none.
    pub(super) file: Option<PathBuf>,
}

impl Explain {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut text = Vec::new();
        if let Some(path) = &self.file {
            text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        } else {
            io::stdin().lock().read_to_end(&mut text).context("read standard input")?;
        }
        self.explain(&text, out)
    }

    /// One value of JSON after the other, on lines of their own or not.
    fn explain(&self, text: &[u8], out: &mut impl Write) -> anyhow::Result<()> {
        let values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
        let mut found = 0;
        for (position, value) in (1..).zip(values) {
            let value = value.with_context(|| format!("event {position} is not JSON"))?;
            let event = event(position, value).with_context(|| format!("event {position}"))?;
            writeln!(out, "{}", receipt(&Billable::of(&event), &self.book))?;
            found = position;
        }
        if found == 0 {
            bail!("there is no event");
        }
        Ok(())
    }
}

/// The event of a record as a gateway logs it, or as a producer writes it.
fn event(position: u64, value: &RawValue) -> anyhow::Result<UsageEvent> {
    // The prices of an event are the same whosever it is.
    let scope = Scope::parse("explained", "explained")?;
    let record = RawRecord::whole(position, value.get().as_bytes());
    let mut decoded = decode(&record, Form::Logpush)?;
    if matches!(decoded, Decoded::Ignored(IgnoreReason::NotALog)) {
        decoded = decode(&record, Form::Events)?;
    }
    match decoded {
        Decoded::Trace(trace) => Ok(normalize(*trace, &scope, Source::Import)),
        // There are no private keys here: what is encrypted has no usage to explain.
        Decoded::AiGateway(log) => {
            Ok(normalize_ai_gateway(log.open(&PrivateKeys::default()), &scope, Source::Import))
        }
        Decoded::Event(event) => Ok(normalize_event(event, &Arrival::of_import(&scope))?),
        Decoded::Ignored(reason) => bail!("is not about a request: {reason:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = include_str!("../../../schemas/json/examples/trace/seed_tail.ndjson");

    fn explain(text: &str, book: PriceBook) -> anyhow::Result<String> {
        let mut out = Vec::new();
        Explain { book, file: None }.explain(text.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn the_receipt_of_the_seed_is_exact() {
        let receipt = explain(SEED, PriceBook::builtin()).unwrap();
        for expected in [
            "azure-openai gpt-4o-2024-05-13 at 2024-09-30T09:45:41.328Z",
            "15 x 0.000005 = 0.000075",
            "354 x 0.000015 = 0.00531",
            "total 0.005385 USD, computed with",
        ] {
            assert!(receipt.contains(expected), "{expected}: {receipt}");
        }
    }

    #[test]
    fn an_operators_file_is_what_is_billed_by() {
        let file = "provider = \"azure-openai\"\n[[model]]\nid = \"ours\"\nmatch = [{ prefix = \"gpt-4o\" }]\n\
            [[model.price]]\nper_million = { uncached_input = \"1\", text_output = \"2\" }\n";
        let book = PriceBook::with_operator(&[("ours.toml", file)]).unwrap();
        let receipt = explain(SEED, book).unwrap();
        assert!(receipt.contains("total 0.000723 USD") && receipt.contains("ours.toml"), "{receipt}");
    }

    #[test]
    fn canonical_events_are_explained_too_one_after_the_other() {
        let event = r#"{"event_id": "1", "kind": "consume", "started_at": "2026-01-01T00:00:00Z", "success": true,
            "provider": "openai", "model": "gpt-4o", "tokens": {"uncached_input": 1000000, "text_output": 0}}"#;
        let receipts = explain(&format!("{event}\n{event}"), PriceBook::builtin()).unwrap();
        assert_eq!(receipts.matches("total 2.5 USD").count(), 2, "{receipts}");
    }

    #[test]
    fn rows_that_others_log_are_explained() {
        let row = include_str!("../../../schemas/json/examples/cloudflare_log/detail_without_cost.json");
        let receipt = explain(row, PriceBook::builtin()).unwrap();
        assert!(receipt.contains("total 0.0044148 USD"), "{receipt}");
    }

    #[test]
    fn what_is_no_event_is_told() {
        let check = |text: &str, expected: &str| {
            let error = explain(text, PriceBook::builtin()).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        };
        check("", "there is no event");
        check("{", "event 1 is not JSON");
        check(r#"{"event_id": "1", "kind": "consume"}"#, "there is no success");
        check("{}", "event 1");
    }
}

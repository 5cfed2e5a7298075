//! The sample batch: the record of malacca's documentation as it stands, and examples of the other dialects moved to
//! now, so that they show in the rolling windows.

use std::io::Write;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_decimal::Decimal;
use serde_json::Value;

use super::check::{Expected, ModelTotals};

/// One line of the batch with what Weir must make of it.
struct Sample {
    record: &'static str,
    provider: &'static str,
    model: &'static str,
    tokens: (u64, u64),
    /// USD.
    cost: &'static str,
}

macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../../../schemas/json/examples/trace/", $name, ".ndjson"))
    };
}

/// From malacca's documentation: Azure's gpt-4o at 5 and 15 USD per million tokens.
const SEED: Sample = Sample {
    record: example!("seed_tail"),
    provider: "azure-openai",
    model: "gpt-4o-2024-05-13",
    tokens: (15, 354),
    cost: "0.005385",
};

/// The figures are worked out by hand from the usage in each record and the published prices.
const MOVED: &[Sample] = &[
    // 176 x 2.5 + 1,024 cached x 1.25 + 64 x 10, per million.
    Sample {
        record: example!("malacca_tagged_stream_tail"),
        provider: "openai",
        model: "gpt-4o-2024-08-06",
        tokens: (1_200, 64),
        cost: "0.00236",
    },
    // The worker's own cache answered: nothing was bought.
    Sample {
        record: example!("malacca_tagged_cache_hit_logpush"),
        provider: "openai",
        model: "gpt-4o-mini-2024-07-18",
        tokens: (0, 0),
        cost: "0",
    },
    // 420 x 0.15 + 38 x 0.6.
    Sample {
        record: example!("malacca_metrics_logpush"),
        provider: "openai",
        model: "gpt-4o-mini",
        tokens: (420, 38),
        cost: "0.0000858",
    },
    // 464 x 0.28 + 1,536 cached x 0.028 + 12 x 0.42.
    Sample {
        record: example!("malacca_tagged_deepseek_tail"),
        provider: "deepseek",
        model: "deepseek-chat",
        tokens: (2_000, 12),
        cost: "0.000177968",
    },
    // 30 x 1.1 + 212 x 4.4, of which 192 are reasoning.
    Sample {
        record: example!("malacca_tagged_visible_token_tail"),
        provider: "openai",
        model: "o4-mini-2025-04-16",
        tokens: (30, 212),
        cost: "0.0009658",
    },
    // 9 x 0.02.
    Sample {
        record: example!("malacca_object_embedding_logpush"),
        provider: "openai",
        model: "text-embedding-3-small",
        tokens: (9, 0),
        cost: "0.00000018",
    },
];

/// How far apart the moved records begin, in milliseconds.
const STEP_MS: i64 = 1_000;

/// A batch as Logpush uploads it, and what it must come to.
pub(super) struct SampleBatch {
    /// Gzipped NDJSON.
    pub(super) gzip: Vec<u8>,
    /// How many records it has.
    pub(super) records: u64,
    /// What its records add to each model's totals.
    pub(super) expected: Expected,
}

/// Builds the batch. Its moved records end a moment before `now_ms`, with ray ids of that moment: each run's are new.
pub(super) fn build(now_ms: i64) -> anyhow::Result<SampleBatch> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(SEED.record.as_bytes())?;
    let mut expected =
        Expected { seed_model: SEED.model.to_owned(), seed: SEED.totals()?, ..Expected::default() };
    let count = i64::try_from(MOVED.len())?;
    for sample in MOVED.iter().chain([&SEED]) {
        expected.providers.insert(sample.model.to_owned(), sample.provider.to_owned());
    }
    for (index, sample) in (0_i64..).zip(MOVED) {
        let mut record: Value = serde_json::from_str(sample.record).context("an example is no JSON")?;
        let started_at = now_ms - (count - index + 10) * STEP_MS;
        move_record(&mut record, started_at, &format!("{:016x}", now_ms.wrapping_add(index)))
            .with_context(|| format!("the example of {} is no trace event", sample.model))?;
        writeln!(encoder, "{record}")?;
        expected.moved.entry(sample.model.to_owned()).or_default().add(&sample.totals()?);
    }
    let gzip = encoder.finish()?;
    Ok(SampleBatch { gzip, records: 1 + MOVED.len() as u64, expected })
}

impl Sample {
    fn totals(&self) -> anyhow::Result<ModelTotals> {
        let cost = Decimal::from_str_exact(self.cost).context("a cost of the sample is no decimal")?;
        Ok(ModelTotals {
            requests: 1,
            tokens_in: self.tokens.0,
            tokens_out: self.tokens.1,
            cost,
            unpriced: 0,
        })
    }
}

/// Moves a trace event, in either shape, to another time and gives it another ray id.
fn move_record(record: &mut Value, started_at: i64, ray: &str) -> Option<()> {
    let shape = if record.get("EventTimestampMs").is_some() { &LOGPUSH } else { &TAIL };
    let shift = started_at - record.get(shape.started)?.as_i64()?;
    record[shape.started] = started_at.into();
    for log in record.get_mut(shape.logs)?.as_array_mut()? {
        let at = log.get(shape.logged)?.as_i64()?;
        log[shape.logged] = (at + shift).into();
    }
    *record.pointer_mut(shape.ray)? = ray.into();
    Some(())
}

/// Where a trace event has what is moved.
struct Shape {
    started: &'static str,
    logs: &'static str,
    logged: &'static str,
    ray: &'static str,
}

const LOGPUSH: Shape =
    Shape { started: "EventTimestampMs", logs: "Logs", logged: "TimestampMs", ray: "/Event/RayID" };
const TAIL: Shape = Shape {
    started: "eventTimestamp",
    logs: "logs",
    logged: "timestamp",
    ray: "/event/request/headers/cf-ray",
};

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_seed_stands_as_it_is_and_the_rest_is_moved() {
        let now_ms = 1_800_000_000_000;
        let batch = build(now_ms).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(batch.gzip.as_slice()).read_to_string(&mut text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len() as u64, batch.records);
        assert_eq!(lines[0], SEED.record.trim_end());
        for line in &lines[1..] {
            let record: Value = serde_json::from_str(line).unwrap();
            let at = record.get("EventTimestampMs").or_else(|| record.get("eventTimestamp")).unwrap();
            let at = at.as_i64().unwrap();
            assert!((now_ms - 60_000..now_ms).contains(&at), "{at}");
        }
    }
}

//! The other sides: prepared rows, and ClickHouse doing the work alone.

use std::io::BufReader;
use std::time::{Duration, Instant};

use clickhouse::Client;
use futures_util::future::join_all;
use harness::System;
use weir_event::{Source, Timestamp};
use weir_ingest::accept::{ChunkLimits, Form, LineReader, Origin};
use weir_ingest::pipeline::Pipeline;
use weir_ingest::price::{PriceBook, PricedEvent};
use weir_local::Weir;
use weir_store::{BodyRow, LogRow};

use super::CONNECTIONS;
use super::sample::Round;

const LIMITS: ChunkLimits = ChunkLimits { lines_max: 100_000, bytes_max: 1 << 30, line_bytes_max: 16 << 20 };

/// The lines as text into a table that keeps nothing, and what a view of it makes of them.
const RAW: [&str; 3] = [
    "CREATE TABLE raw (line String) ENGINE = Null",
    "CREATE TABLE alone (
        created_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), ray_id String CODEC(ZSTD(1)), url LowCardinality(String),
        status UInt16, model LowCardinality(String), request_id String CODEC(ZSTD(1)), tokens_in UInt64, tokens_out UInt64,
        cost Decimal(38, 18), request String CODEC(ZSTD(1)), response String CODEC(ZSTD(1))
     ) ENGINE = MergeTree PARTITION BY toYYYYMM(created_at) ORDER BY (created_at, ray_id)",
    "CREATE MATERIALIZED VIEW alone_view TO alone AS
     WITH JSONExtractString(line, 'Logs', 2, 'Message', 1) AS answer_line, JSONExtractString(answer_line, 'response_body') AS body
     SELECT fromUnixTimestamp64Milli(JSONExtractInt(line, 'Logs', 2, 'TimestampMs'), 'UTC') AS created_at,
        JSONExtractString(line, 'Event', 'RayID') AS ray_id, JSONExtractString(line, 'Event', 'Request', 'URL') AS url,
        JSONExtractUInt(line, 'Event', 'Response', 'Status') AS status, JSONExtractString(body, 'model') AS model,
        JSONExtractString(body, 'id') AS request_id, JSONExtractUInt(body, 'usage', 'prompt_tokens') AS tokens_in,
        JSONExtractUInt(body, 'usage', 'completion_tokens') AS tokens_out,
        toDecimal128(tokens_in, 18) * toDecimal32(2.5, 1) / 1000000 + toDecimal128(tokens_out, 18) * 10 / 1000000 AS cost,
        JSONExtractRaw(JSONExtractString(line, 'Logs', 1, 'Message', 1), 'request_body') AS request, body AS response
     FROM raw",
];

/// The same with all of Weir's columns that these records have something for, into tables like Weir's own: two views, for rows and
/// bodies.
const RAW_WHOLE: [&str; 3] = [
    "CREATE TABLE raw_whole (line String) ENGINE = Null",
    "CREATE MATERIALIZED VIEW alone_logs_view TO logs_alone AS
     WITH JSONExtractString(line, 'Logs', 1, 'Message', 1) AS request_line,
        JSONExtractString(line, 'Logs', 2, 'Message', 1) AS answer_line,
        JSONExtractString(answer_line, 'response_body') AS body,
        toUInt64(JSONExtractInt(line, 'EventTimestampMs')) AS started_ms,
        JSONExtractString(line, 'Event', 'Request', 'URL') AS url
     SELECT 'acc' AS account_id, 'gw' AS gateway_id, now64(3) AS ingested_at, 2 AS write_id, 'logpush' AS source,
        'malacca_object' AS dialect, 'consume' AS kind, JSONExtractString(line, 'Event', 'RayID') AS ray_id,
        fromUnixTimestamp64Milli(toInt64(started_ms), 'UTC') AS started_at,
        fromUnixTimestamp64Milli(JSONExtractInt(line, 'Logs', 2, 'TimestampMs'), 'UTC') AS created_at,
        concat(hex(started_ms), substring(hex(sipHash64(ray_id)), 1, 10)) AS id,
        toUInt64(JSONExtractInt(line, 'Logs', 2, 'TimestampMs')) - started_ms AS duration_ms, JSONExtractUInt(line, 'Event', 'Response', 'Status') AS status_code,
        status_code < 400 AS success, splitByChar('/', path(url))[2] AS provider,
        substring(path(url), length(provider) + 3) AS path, 'chat' AS request_type,
        JSONExtractString(body, 'model') AS model, JSONExtractString(request_line, 'request_body', 'model') AS model_requested,
        JSONExtractBool(request_line, 'request_body', 'stream') AS streamed, JSONExtractString(body, 'id') AS request_id,
        JSONExtractUInt(body, 'usage', 'prompt_tokens') AS tokens_in,
        JSONExtractUInt(body, 'usage', 'completion_tokens') AS tokens_out,
        JSONExtractUInt(body, 'usage', 'prompt_tokens_details', 'cached_tokens') AS tokens_cache_read,
        tokens_in - tokens_cache_read AS tokens_uncached_input, tokens_out AS tokens_text_output,
        JSONExtractRaw(body, 'usage') AS usage_json,
        toDecimal128(tokens_uncached_input, 18) * toDecimal32(2.5, 1) / 1000000
            + toDecimal128(tokens_cache_read, 18) * toDecimal32(1.25, 2) / 1000000
            + toDecimal128(tokens_out, 18) * 10 / 1000000 AS cost,
        'computed' AS cost_source, 'openai/gpt-4o' AS price_id, '0' AS price_book,
        length(request_line) AS request_size, length(body) AS response_size
     FROM raw_whole",
    "CREATE MATERIALIZED VIEW alone_bodies_view TO bodies_alone AS
     WITH toUInt64(JSONExtractInt(line, 'EventTimestampMs')) AS started_ms
     SELECT 'acc' AS account_id, 'gw' AS gateway_id, fromUnixTimestamp64Milli(toInt64(started_ms), 'UTC') AS started_at,
        concat(hex(started_ms), substring(hex(sipHash64(JSONExtractString(line, 'Event', 'RayID'))), 1, 10)) AS id,
        [JSONExtractRaw(JSONExtractString(line, 'Logs', 1, 'Message', 1), 'request_body'),
            JSONExtractString(JSONExtractString(line, 'Logs', 2, 'Message', 1), 'response_body')] AS texts
     FROM raw_whole",
];

/// Tables of their own in the system's ClickHouse.
pub(crate) struct Rivals<'s> {
    system: &'s System,
    client: Client,
}

impl<'s> Rivals<'s> {
    pub(crate) async fn create(system: &'s System) -> Self {
        for table in ["logs", "bodies"] {
            for side in ["prepared", "alone"] {
                system.sql(&format!("CREATE TABLE {table}_{side} AS {table}")).await;
            }
        }
        for statement in RAW.into_iter().chain(RAW_WHOLE) {
            system.sql(statement).await;
        }
        let clickhouse = &system.weir.clickhouse;
        let client =
            weir_store::client(&clickhouse.url, Weir::DATABASE, &clickhouse.user, &clickhouse.password);
        Self { system, client }
    }

    /// Inserts rows that are ready, in the batches in which they are pushed; the time to the last answer.
    pub(crate) async fn insert_prepared(&self, round: &Round) -> Duration {
        let batches: Vec<_> = round.batches.iter().map(|batch| prepare(batch)).collect();
        let begun = Instant::now();
        join_all((0..CONNECTIONS).map(|connection| {
            let batches = &batches;
            async move {
                for events in batches.iter().skip(connection).step_by(CONNECTIONS) {
                    self.insert(events).await.unwrap();
                }
            }
        }))
        .await;
        begun.elapsed()
    }

    /// Inserts the lines as they are, gzipped as they are pushed, for a view with what was asked for most.
    pub(crate) async fn insert_raw(&self, round: &Round) -> Duration {
        self.insert_lines("raw", round).await
    }

    /// The same for views with all that Weir stores of them.
    pub(crate) async fn insert_raw_whole(&self, round: &Round) -> Duration {
        self.insert_lines("raw_whole", round).await
    }

    async fn insert_lines(&self, table: &str, round: &Round) -> Duration {
        let clickhouse = &self.system.weir.clickhouse;
        let query = format!("INSERT INTO {table} FORMAT JSONAsString");
        let url = reqwest::Url::parse_with_params(
            &clickhouse.url,
            [("database", Weir::DATABASE), ("query", &query), ("async_insert", "0")],
        )
        .unwrap();
        let begun = Instant::now();
        join_all((0..CONNECTIONS).map(|connection| {
            let url = url.clone();
            async move {
                for gzip in round.gzip.iter().skip(connection).step_by(CONNECTIONS) {
                    let request = self
                        .system
                        .http
                        .post(url.clone())
                        .basic_auth(&clickhouse.user, Some(&clickhouse.password))
                        .header("Content-Encoding", "gzip")
                        .body(gzip.clone());
                    request.send().await.unwrap().error_for_status().unwrap();
                }
            }
        }))
        .await;
        begun.elapsed()
    }

    /// Every side has to have stored what it was given, and ClickHouse alone what Weir stored.
    pub(crate) async fn check(&self, events: u64) {
        const SUMS: &str = "SELECT count(), sum(tokens_in), sum(tokens_out), toString(sum(cost)), \
            uniqExact(request_id), any(provider), any(path), any(model), countIf(success), sum(duration_ms) FROM";
        let ours = self.system.sql(&format!("{SUMS} logs")).await;
        assert_eq!(self.system.sql(&format!("{SUMS} logs_alone")).await, ours);
        for table in ["logs_prepared", "bodies_prepared", "alone", "bodies_alone"] {
            let count = self.system.sql(&format!("SELECT count() FROM {table}")).await;
            assert_eq!(count, events.to_string(), "{table}");
        }
    }

    async fn insert(&self, events: &[PricedEvent]) -> clickhouse::error::Result<()> {
        let mut bodies = self.client.insert::<BodyRow<'static>>("bodies_prepared").await?;
        for event in events {
            let written = bodies.write(&BodyRow::from_event(event).unwrap());
            written.await?;
        }
        bodies.end().await?;
        let mut logs = self.client.insert::<LogRow<'static>>("logs_prepared").await?;
        for event in events {
            let written = logs.write(&LogRow::from_event(event, Timestamp::MIN, 0));
            written.await?;
        }
        logs.end().await
    }
}

fn prepare(batch: &str) -> Vec<PricedEvent> {
    let origin = Origin {
        account_id: "acc".parse().unwrap(),
        gateway_id: Some("gw".parse().unwrap()),
        source: Source::Logpush,
        form: Form::Logpush,
        batch: "bench".to_owned(),
        received_at_ms: i64::MAX,
    };
    let chunk = LineReader::new(BufReader::new(batch.as_bytes()), LIMITS).next_chunk().unwrap().unwrap();
    Pipeline::new(PriceBook::builtin()).prepare(&chunk, &origin).events
}

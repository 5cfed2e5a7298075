-- The tables that the whole pipe needs. Forward-only: once released, this file does not change.
--
-- ${ON_CLUSTER} and ${REPLICATED} are empty on a single server; see migrations.rs for the cluster rendering.
-- Texts that a source did not give are '' and counts or amounts that it did not give are NULL: 0 tokens is a fact,
-- NULL tokens is ignorance. Amounts are US dollars. Times are UTC.
--
-- non_replicated_deduplication_window: an insert whose outcome was lost is repeated under the same
-- insert_deduplication_token, and the server drops it if it has it. Off by default for tables that are not replicated.

-- One row per event, without bodies. The order serves "the newest of a gateway"; the skip index serves a lookup by
-- id, since an id carries started_at.
CREATE TABLE IF NOT EXISTS logs ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    created_at DateTime64(3, 'UTC') COMMENT 'end of the call' CODEC(Delta, ZSTD(1)),
    id FixedString(26) CODEC(ZSTD(1)),
    started_at DateTime64(3, 'UTC') COMMENT 'start of the call, the time in id' CODEC(Delta, ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') COMMENT 'when Weir stored it' CODEC(Delta, ZSTD(1)),

    source LowCardinality(String),
    dialect LowCardinality(String),
    event_id String COMMENT 'the producer''s id' CODEC(ZSTD(1)),
    request_id String COMMENT 'the provider''s id for the answer' CODEC(ZSTD(1)),
    ray_id String CODEC(ZSTD(1)),
    kind LowCardinality(String),

    duration_ms Nullable(UInt64) CODEC(ZSTD(1)),
    time_to_first_token_ms Nullable(UInt64) CODEC(ZSTD(1)),

    provider LowCardinality(String),
    model LowCardinality(String) COMMENT 'the model that answered',
    model_requested LowCardinality(String),
    model_type LowCardinality(String),
    request_type LowCardinality(String),
    path String CODEC(ZSTD(1)),
    step Nullable(UInt16) CODEC(ZSTD(1)),
    status_code Nullable(UInt16) CODEC(ZSTD(1)),
    success Bool,
    cached Bool,
    streamed Bool,
    truncated Bool COMMENT 'parts of the log were cut before they arrived',
    error String CODEC(ZSTD(1)),

    user_id LowCardinality(String),
    user_name LowCardinality(String),
    token LowCardinality(String) COMMENT 'what statistics per API token go by',
    token_id LowCardinality(String),
    token_name LowCardinality(String),
    token_hash LowCardinality(String) COMMENT 'SHA-256 of the API token',
    token_display LowCardinality(String),
    group LowCardinality(String),
    channel_id LowCardinality(String),
    ip String CODEC(ZSTD(1)),
    country LowCardinality(String),
    user_agent LowCardinality(String),

    tokens_in Nullable(UInt64) COMMENT 'all input buckets' CODEC(ZSTD(1)),
    tokens_out Nullable(UInt64) COMMENT 'all output buckets' CODEC(ZSTD(1)),
    tokens_uncached_input Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_cache_read Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_cache_write_5m Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_cache_write_1h Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_audio_input Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_image_input Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_text_output Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_reasoning Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_audio_output Nullable(UInt64) CODEC(ZSTD(1)),
    tokens_image_output Nullable(UInt64) CODEC(ZSTD(1)),
    usage_json String COMMENT 'the provider''s usage object as it sent it' CODEC(ZSTD(1)),

    cost Nullable(Decimal(38, 18)) COMMENT 'USD, NULL where unknown' CODEC(ZSTD(1)),
    cost_source LowCardinality(String),
    price_id LowCardinality(String) COMMENT 'the row of the price book that made a computed cost',
    quota Nullable(Int64) CODEC(ZSTD(1)),

    metadata String COMMENT 'a JSON object of scalars' CODEC(ZSTD(1)),
    request_content_type LowCardinality(String),
    response_content_type LowCardinality(String),
    request_size Nullable(UInt64) COMMENT 'bytes' CODEC(ZSTD(1)),
    response_size Nullable(UInt64) COMMENT 'bytes' CODEC(ZSTD(1)),

    INDEX started_at_minmax started_at TYPE minmax GRANULARITY 1
)
ENGINE = ${REPLICATED}MergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (account_id, gateway_id, created_at, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- Bodies, by event. Written before the log row, so a row that can be seen has its bodies; a body whose row was never
-- written is invisible, and one that was written twice is one after a merge.
CREATE TABLE IF NOT EXISTS payloads ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    started_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id FixedString(26) CODEC(ZSTD(1)),
    request Nullable(String) CODEC(ZSTD(1)),
    response Nullable(String) CODEC(ZSTD(1))
)
ENGINE = ${REPLICATED}ReplacingMergeTree
PARTITION BY toYYYYMM(started_at)
ORDER BY (account_id, gateway_id, started_at, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- What could not be taken in, with the reason. The same bytes are one letter, however often they come.
CREATE TABLE IF NOT EXISTS dead_letters ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    digest String COMMENT 'SHA-256 of the record as it came, hex',
    received_at DateTime64(3, 'UTC'),
    source LowCardinality(String),
    batch String COMMENT 'names the push that it came in',
    position UInt64 COMMENT 'line in the batch, from 1',
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    raw String COMMENT 'the record with its secrets blanked, or the beginning of one that was too long' CODEC(ZSTD(1))
)
ENGINE = ${REPLICATED}ReplacingMergeTree(received_at)
ORDER BY (account_id, gateway_id, digest)
SETTINGS non_replicated_deduplication_window = 1000;

-- Usage by UTC minute: a function of the log rows of that minute, written anew whenever one of them changed. A group
-- that is gone is written with 0 requests. Read with FINAL, requests > 0.
CREATE TABLE IF NOT EXISTS usage_1m ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)),
    provider LowCardinality(String),
    model LowCardinality(String),
    token LowCardinality(String),
    requests UInt64,
    errors UInt64,
    cached UInt64,
    unpriced UInt64,
    tokens_in UInt64,
    tokens_out UInt64,
    cost Decimal(38, 18) COMMENT 'USD, of the priced requests',
    version UInt64 COMMENT 'the later computation wins'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(minute)
ORDER BY (account_id, gateway_id, minute, provider, model, token);

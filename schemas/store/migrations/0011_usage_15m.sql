-- Usage by quarter of an hour, for sums by user, channel and group over any days.

-- Usage by UTC quarter of an hour: a function of the calls among the log rows of that time, written anew whenever one of
-- them changed. A group that is gone is written with 0 requests. Read with FINAL, requests > 0. The days of every time
-- zone are made of whole quarters.
CREATE TABLE IF NOT EXISTS usage_15m ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    slot DateTime('UTC') COMMENT 'its start' CODEC(Delta, ZSTD(1)),
    token LowCardinality(String),
    token_name LowCardinality(String),
    user_id LowCardinality(String),
    user_name LowCardinality(String),
    model LowCardinality(String),
    channel_id LowCardinality(String),
    group LowCardinality(String),
    requests UInt64,
    errors UInt64,
    cached UInt64,
    unpriced UInt64,
    tokens_in UInt64,
    tokens_out UInt64,
    tokens_cache_read UInt64 COMMENT 'text, audio and images that the provider had in its cache',
    tokens_cache_write UInt64 COMMENT 'for 5 minutes and for an hour',
    tokens_reasoning UInt64,
    cost Decimal(38, 18) COMMENT 'USD, of the priced requests',
    quota Int64 COMMENT 'of the requests that have one',
    version UInt64 COMMENT 'the later computation wins'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(slot)
ORDER BY (account_id, gateway_id, slot, token, token_name, user_id, user_name, model, channel_id, group);

-- A slot is computed anew when one of its minutes was computed after it: which those are is looked for by version.
ALTER TABLE usage_1m ${ON_CLUSTER}
    ADD INDEX IF NOT EXISTS version_minmax version TYPE minmax GRANULARITY 1;
ALTER TABLE usage_1m ${ON_CLUSTER} MATERIALIZE INDEX version_minmax;

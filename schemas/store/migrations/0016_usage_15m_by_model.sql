-- Usage by quarter of an hour and model: what is asked for most has few rows, however many API tokens and users there are.

-- The same function of the same rows as usage_15m, by less. Written anew whenever one of them changed. A group that is gone is
-- written with 0 requests. Read with FINAL, requests > 0.
CREATE TABLE IF NOT EXISTS usage_15m_by_model ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    slot DateTime('UTC') COMMENT 'its start' CODEC(Delta, ZSTD(1)),
    provider LowCardinality(String),
    model LowCardinality(String),
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
ORDER BY (account_id, gateway_id, slot, provider, model);

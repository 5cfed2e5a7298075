-- Costs that are computed anew: what each row cost before, and which runs there were.

-- One row for each change of a cost, kept for ever. What a row was taken to cost at some time is the old_cost of its
-- first revision after that time, or else what logs says now.
CREATE TABLE IF NOT EXISTS cost_revisions ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    created_at DateTime64(3, 'UTC') COMMENT 'of the log row' CODEC(Delta, ZSTD(1)),
    id FixedString(26) CODEC(ZSTD(1)),
    revision UInt32 COMMENT 'the cost_revision that the log row gets' CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when it was computed' CODEC(Delta, ZSTD(1)),
    run String COMMENT 'see reprice_runs, later runs sort later' CODEC(ZSTD(1)),
    batch UInt32 COMMENT 'what is applied to logs at once, all of one month' CODEC(ZSTD(1)),

    old_cost Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    old_cost_source LowCardinality(String),
    old_unpriced_reason LowCardinality(String),
    old_price_id LowCardinality(String),
    old_price_book LowCardinality(String),
    old_quota Nullable(Int64) CODEC(ZSTD(1)),
    old_quota_source LowCardinality(String),
    new_cost Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    new_cost_source LowCardinality(String),
    new_unpriced_reason LowCardinality(String),
    new_price_id LowCardinality(String),
    new_price_book LowCardinality(String),
    new_quota Nullable(Int64) CODEC(ZSTD(1)),
    new_quota_source LowCardinality(String),

    INDEX run_minmax run TYPE minmax GRANULARITY 1
)
ENGINE = ${REPLICATED}MergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (account_id, gateway_id, created_at, id, revision)
SETTINGS non_replicated_deduplication_window = 1000;

-- The runs of `ingest reprice`: what was asked for, and a sign of life every few seconds while one is at work. Read with
-- FINAL. A run that ended early stays unfinished until a later one has finished it.
CREATE TABLE IF NOT EXISTS reprice_runs ${ON_CLUSTER} (
    run String,
    state LowCardinality(String) COMMENT 'claimed, writing, stopped, done, withdrawn',
    request String COMMENT 'what was asked for, for people',
    price_book LowCardinality(String) COMMENT 'the edition that prices were taken from',
    lease_ms UInt32 COMMENT 'without a sign of life for so long, it is not alive',
    seen_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    step UInt64 COMMENT 'the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(step)
ORDER BY run;

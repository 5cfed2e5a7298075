-- Budgets: how much may be used of a gateway in a time, and at how much of it somebody is told.

-- One row per budget, written anew with every change: read with FINAL. Webhooks are names only: where they lead, and what
-- signs them, is in the configuration of the aggregators.
CREATE TABLE IF NOT EXISTS budgets ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    id String COMMENT '32 hexadecimal digits',
    name String COMMENT 'what people call it',
    filter String COMMENT 'which calls count, in the text form of filters, empty for all',
    measure LowCardinality(String) COMMENT 'cost, tokens, tokens_in, tokens_out, requests, errors',
    `limit` Decimal(38, 18) COMMENT 'how much there is of the measure',
    window_s UInt32 COMMENT 'the length of a sliding window, 0 for a period',
    period LowCardinality(String) COMMENT 'hour, day, week, month, year, empty for a sliding window',
    timezone LowCardinality(String) COMMENT 'whose clocks a period goes by: a name of the IANA database',
    thresholds Array(UInt16) COMMENT 'hundredths of the limit at which it is told',
    cool_down_s UInt32 COMMENT 'between two alerts of a threshold of a sliding window',
    webhooks Array(String) COMMENT 'the endpoints that are told, by name',
    enabled Bool,
    deleted Bool,
    version DateTime64(9, 'UTC') DEFAULT now64(9, 'UTC') COMMENT 'the server''s time, the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
ORDER BY (account_id, gateway_id, id);

-- Bodies in an order in which they repeat each other.

-- Takes the place of payloads, which keeps what it has: to write terabytes anew is not a migration. A conversation is sent
-- anew with every turn, so within an hour the order is that of the requests' texts: what begins alike lies side by side. An
-- answer is in the next turn's request, so both texts of a call are in one column: a block packs what it has in it. Of an event
-- that was stored again, with another request too, the last by the server's clock counts: read with ORDER BY version DESC
-- LIMIT 1, and not with FINAL, which would have to read all requests of the hour.
CREATE TABLE IF NOT EXISTS bodies ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    started_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id FixedString(26) CODEC(ZSTD(1)),
    texts Array(Nullable(String)) COMMENT 'request, response, NULL where it was not logged' CODEC(ZSTD(3)),
    version DateTime64(9, 'UTC') DEFAULT now64(9, 'UTC') COMMENT 'the server''s time, the later one is in force' CODEC(ZSTD(1)),
    request Nullable(String) ALIAS texts[1],
    response Nullable(String) ALIAS texts[2],

    INDEX id_bloom id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(started_at)
PRIMARY KEY (account_id, gateway_id, toStartOfHour(started_at))
ORDER BY (account_id, gateway_id, toStartOfHour(started_at), ifNull(texts[1], ''), started_at, id)
SETTINGS non_replicated_deduplication_window = 1000, max_compress_block_size = 8388608, min_compress_block_size = 4194304;

-- What delivery needs: which write stored a row, what a dead letter is replayed from, and the ledger.

ALTER TABLE logs ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS write_id UInt64 COMMENT 'the write that stored it, 0 before there was this column' CODEC(ZSTD(1)) AFTER ingested_at;

-- Rows of two writers that raced are looked for among those that were stored lately.
ALTER TABLE logs ${ON_CLUSTER}
    ADD INDEX IF NOT EXISTS ingested_at_minmax ingested_at TYPE minmax GRANULARITY 1;

-- A settled letter is a newer version of the same row: read with FINAL.
ALTER TABLE dead_letters ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS write_id UInt64 COMMENT 'the write that stored it' CODEC(ZSTD(1)) AFTER received_at,
    ADD COLUMN IF NOT EXISTS form LowCardinality(String) DEFAULT 'logpush' COMMENT 'how its source writes records' AFTER source,
    ADD COLUMN IF NOT EXISTS attributes Map(String, String) COMMENT 'what came beside the record' CODEC(ZSTD(1)) AFTER position,
    ADD COLUMN IF NOT EXISTS settled_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was dealt with, NULL while it is not' CODEC(ZSTD(1)) AFTER raw,
    ADD COLUMN IF NOT EXISTS settled_as LowCardinality(String) COMMENT 'what became of it: stored, duplicate, ignored' AFTER settled_at;

-- What became of every record that was taken in: a row per write and source, and one for whatever changed that afterwards.
-- received = stored + duplicates + dead_lettered + ignored + deleted in each. Summed over an hour, stored is the number
-- of rows in logs that were ingested in it. Whoever deletes rows enters stored -n, deleted n for each hour, source,
-- account and write of theirs, under the subject 'deleted:' and a name of the deletion. Read with FINAL.
CREATE TABLE IF NOT EXISTS ledger ${ON_CLUSTER} (
    hour DateTime('UTC') COMMENT 'of the write' CODEC(Delta, ZSTD(1)),
    source LowCardinality(String),
    account_id LowCardinality(String),
    write_id UInt64 CODEC(ZSTD(1)),
    subject String COMMENT 'empty for a write, or else the id of a row of it that was taken out, the digest of a letter of it that was replayed, or a deletion' CODEC(ZSTD(1)),
    received Int64 CODEC(ZSTD(1)),
    stored Int64 CODEC(ZSTD(1)),
    duplicates Int64 CODEC(ZSTD(1)),
    dead_lettered Int64 CODEC(ZSTD(1)),
    ignored Int64 CODEC(ZSTD(1)),
    deleted Int64 CODEC(ZSTD(1)),
    gateway_id LowCardinality(String) COMMENT 'of a row that was taken out',
    minute DateTime('UTC') COMMENT 'that a row that was taken out was of' CODEC(ZSTD(1)),
    entered_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'the server''s time' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, source, account_id, write_id, subject)
SETTINGS non_replicated_deduplication_window = 1000;

-- A part of logs that is new has few rows and many columns: as files of its own each, they cost more than their rows.
ALTER TABLE logs ${ON_CLUSTER} MODIFY SETTING min_bytes_for_wide_part = 134217728;

-- Conversations are sent anew with every turn, and prompts with every request: the larger a block is, the more of them
-- it has in it. A body is read with its granule of 10 MB in any case.
ALTER TABLE payloads ${ON_CLUSTER}
    MODIFY COLUMN request Nullable(String) CODEC(ZSTD(3)),
    MODIFY COLUMN response Nullable(String) CODEC(ZSTD(3));
ALTER TABLE payloads ${ON_CLUSTER} MODIFY SETTING max_compress_block_size = 8388608, min_compress_block_size = 4194304;

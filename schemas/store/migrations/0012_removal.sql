-- Removals by age: everything of a tenant that ended before a time.

-- One row per removal, written anew as it goes on: read with FINAL. Whoever asks for one writes it as waiting; an ingest
-- claims it, and another one takes it over if that gives no sign of life.
CREATE TABLE IF NOT EXISTS removals ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    id String COMMENT 'sorts by when it was asked for',
    before DateTime64(3, 'UTC') COMMENT 'what ended earlier goes',
    asked_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'what was stored later stays',
    state LowCardinality(String) COMMENT 'waiting, running, done',
    worker String COMMENT 'names the process that is at work on it',
    total UInt64 COMMENT 'rows that there were when it began',
    rows UInt64 COMMENT 'rows that it has taken, those of its stage included',
    stage String COMMENT 'what is being taken, empty between two stages',
    seen_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'the last sign of life',
    step UInt64 COMMENT 'the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(step)
ORDER BY (account_id, gateway_id, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- Of rows that go by age the ledger has one entry for each hour that they were stored in, source, gateway and day (UTC) that
-- they ended on: subject 'deleted:', the gateway, ':' and the day's start in epoch seconds, write_id 0. It says how many rows
-- ever there were of that day before minute, and stands for whatever is said of single ones of them.
ALTER TABLE ledger ${ON_CLUSTER}
    COMMENT COLUMN minute 'that a row that was taken out was of, or up to which a day''s rows were';

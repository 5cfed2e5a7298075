-- Facts that few sources tell, and what is said of a call after it was logged.

-- One column for all of them: an insert costs by the column. Only names that a source gave a value for are there.
ALTER TABLE logs ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS attributes Map(LowCardinality(String), String)
        COMMENT 'authentication, wholesale, compatibility_mode (true, false), dlp_action, prompt_id, prompt_version_id, feedback, score (plain decimals)' CODEC(ZSTD(1)) AFTER metadata_text;

-- What was set, or cleared, through an API since the row was stored. It stands for what the row itself has. A change is
-- an insert that reads nothing: of several to one field the last by the server's clock is in force, and those to other
-- fields are other rows. Read with FINAL.
CREATE TABLE IF NOT EXISTS annotations ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    field LowCardinality(String) COMMENT 'feedback, score, metadata',
    id FixedString(26) COMMENT 'of the row in logs' CODEC(ZSTD(1)),
    value Nullable(String) COMMENT 'a plain decimal, or the JSON object of metadata, NULL where it was cleared' CODEC(ZSTD(1)),
    metadata_text Map(String, String) COMMENT 'the entries of metadata with their values as text' CODEC(ZSTD(1)),
    version DateTime64(9, 'UTC') DEFAULT now64(9, 'UTC') COMMENT 'the server''s time, the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
ORDER BY (account_id, gateway_id, field, id);

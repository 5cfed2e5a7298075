-- What APIs that show rows as new-api does look at.

-- They show and sum up tokens as the source did. Columns, and no entries of attributes: to read those of many rows is to read
-- all that they say in words.
ALTER TABLE logs ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS prompt_tokens Nullable(Int64)
        COMMENT 'input tokens as the source sums them up, where that is not tokens_in' CODEC(ZSTD(1)) AFTER tokens_out,
    ADD COLUMN IF NOT EXISTS completion_tokens Nullable(Int64)
        COMMENT 'output tokens as the source sums them up, where that is not tokens_out' CODEC(ZSTD(1)) AFTER prompt_tokens;

-- Rows of one user or token, with one request id or a rare model, are looked for among those of a whole gateway: granules
-- without any are passed over. Parts of before get theirs when they are merged: to make them for all of a large table would
-- hold up deletions for as long as that takes.
ALTER TABLE logs ${ON_CLUSTER}
    ADD INDEX IF NOT EXISTS user_id_bloom user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS user_name_bloom user_name TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS token_id_bloom token_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS token_name_bloom token_name TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS token_hash_bloom token_hash TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS model_requested_bloom model_requested TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS request_id_bloom request_id TYPE bloom_filter(0.01) GRANULARITY 1;

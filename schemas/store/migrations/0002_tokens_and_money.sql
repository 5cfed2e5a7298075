-- Every kind of token and unit that a provider bills, how it ran the request, and what a reader has to know of the row.

ALTER TABLE logs ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS tokens_video_input Nullable(UInt64) CODEC(ZSTD(1)) AFTER tokens_image_input,
    ADD COLUMN IF NOT EXISTS tokens_cache_read_audio Nullable(UInt64) CODEC(ZSTD(1)) AFTER tokens_video_input,
    ADD COLUMN IF NOT EXISTS tokens_cache_read_image Nullable(UInt64) CODEC(ZSTD(1)) AFTER tokens_cache_read_audio,
    ADD COLUMN IF NOT EXISTS tokens_video_output Nullable(UInt64) CODEC(ZSTD(1)) AFTER tokens_image_output,
    ADD COLUMN IF NOT EXISTS tokens_citation Nullable(UInt64) CODEC(ZSTD(1)) AFTER tokens_video_output,
    ADD COLUMN IF NOT EXISTS units Map(LowCardinality(String), UInt64) COMMENT 'what is billed apart from tokens' CODEC(ZSTD(1)) AFTER tokens_citation,
    ADD COLUMN IF NOT EXISTS service_tier LowCardinality(String) COMMENT 'how the provider ran it, empty for standard' AFTER units,
    ADD COLUMN IF NOT EXISTS unpriced_reason LowCardinality(String) COMMENT 'why the cost is unknown' AFTER cost_source,
    ADD COLUMN IF NOT EXISTS price_book LowCardinality(String) COMMENT 'the edition of the price book that made a computed cost' AFTER price_id,
    ADD COLUMN IF NOT EXISTS cost_revision UInt32 COMMENT 'how often the cost was computed anew' CODEC(ZSTD(1)) AFTER price_book,
    ADD COLUMN IF NOT EXISTS per_token_in Nullable(Decimal(38, 18)) COMMENT 'USD, the caller''s own price' CODEC(ZSTD(1)) AFTER cost_revision,
    ADD COLUMN IF NOT EXISTS per_token_out Nullable(Decimal(38, 18)) COMMENT 'USD, the caller''s own price' CODEC(ZSTD(1)) AFTER per_token_in,
    ADD COLUMN IF NOT EXISTS quota_source LowCardinality(String) AFTER quota,
    ADD COLUMN IF NOT EXISTS flags Array(LowCardinality(String)) CODEC(ZSTD(1)) AFTER response_size;

-- What filters on metadata look at.

-- Numbers as Weir's APIs print them, which need not be how ClickHouse prints them: only rows of before this column have
-- its form. Its names are no LowCardinality: in such a map ClickHouse does not find the empty one.
ALTER TABLE logs ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS metadata_text Map(String, String)
        DEFAULT CAST(JSONExtractKeysAndValues(metadata, 'String'), 'Map(String, String)')
        COMMENT 'the entries of metadata with their values as text' CODEC(ZSTD(1)) AFTER metadata;

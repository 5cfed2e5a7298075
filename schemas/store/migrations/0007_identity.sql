-- Who may ask.

-- The API tokens of query-api. A change is a newer version of the same row: read with FINAL. Rows stay when their token is
-- revoked, so an id means one token for ever. The token itself is nowhere: it has 256 random bits, so its plain hash is as
-- good as a slow one, and costs nothing to compare with.
CREATE TABLE IF NOT EXISTS api_tokens ${ON_CLUSTER} (
    id String COMMENT 'what logs and commands call it',
    sha256 String COMMENT 'SHA-256 of the token, hex',
    display String COMMENT 'as much of the token as may be shown',
    name String COMMENT 'for people',
    permissions Array(String) COMMENT 'read, write',
    tenants Array(String) COMMENT 'whose logs it is for: account, account/gateway, or * for all',
    email String COMMENT 'what X-Auth-Email has to say beside it, empty if it may not be sent so',
    created_at DateTime64(3, 'UTC'),
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'from when on it is no longer good, NULL for never',
    revoked_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was taken back, NULL if it was not',
    version UInt64 COMMENT 'the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
ORDER BY id;

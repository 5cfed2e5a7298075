-- Who may ask in new-api's API. An installation of new-api is a tenant here, and what is known of it is told by commands. As
-- with API tokens, a change is a newer version of the same row: read with FINAL. Rows of what was removed stay, so that an
-- older version cannot come again.

-- Its users.
CREATE TABLE IF NOT EXISTS users ${ON_CLUSTER} (
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    id Int64 COMMENT 'what rows of logs have as user_id',
    name String COMMENT 'what they have as user_name',
    role LowCardinality(String) COMMENT 'common, admin, root',
    group String COMMENT 'for clients that show it',
    status LowCardinality(String) COMMENT 'enabled, disabled, removed',
    sha256 String COMMENT 'SHA-256 of the access token, hex, empty where there is none',
    display String COMMENT 'as much of the access token as may be shown',
    created_at DateTime64(3, 'UTC'),
    version UInt64 COMMENT 'the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
ORDER BY (account_id, gateway_id, id);

-- The keys that it gave out to call models with. A key is of one tenant.
CREATE TABLE IF NOT EXISTS relay_keys ${ON_CLUSTER} (
    sha256 String COMMENT 'SHA-256 of the key without sk-, hex',
    display String COMMENT 'as much of the key as may be shown',
    account_id LowCardinality(String),
    gateway_id LowCardinality(String),
    token_id Int64 COMMENT 'what rows of logs have as token_id, 0 where it is not known',
    name String COMMENT 'for people',
    user_id Int64 COMMENT 'whose it is, 0 where it is not known',
    status LowCardinality(String) COMMENT 'enabled, disabled, removed',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'from when on it is no longer good for calls, NULL for never',
    granted_quota Nullable(Int64) COMMENT 'all that it was ever granted, NULL where that is unlimited',
    created_at DateTime64(3, 'UTC'),
    version UInt64 COMMENT 'the later one is in force'
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
ORDER BY sha256;

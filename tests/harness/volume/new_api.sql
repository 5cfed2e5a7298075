-- Rows of new-api's log, made inside ClickHouse: row n of {rows} is the same in every run of a seed, but for its time.
--
-- One installation, which is a gateway. Time runs with n over {days} days until {until_ms}, busier by day than by night. Users,
-- models, tokens and channels are as frequent as words are; a token is of one user. Of 1,000 rows 940 are calls, 45 errors, and
-- 15 of the other kinds. What a call says besides is as long as what new-api writes.
INSERT INTO logs (
    ingested_at, write_id, account_id, gateway_id, created_at, id, started_at, source, dialect, event_id, request_id,
    kind, duration_ms, time_to_first_token_ms, model, model_requested, success, streamed, error, user_id, user_name, token,
    token_id, token_name, group, channel_id, ip, tokens_in, tokens_out, tokens_uncached_input, tokens_cache_read,
    tokens_text_output, usage_json, cost_source, unpriced_reason, quota, attributes
)
WITH
    ['gpt-4o-mini', 'claude-sonnet-4-5', 'gpt-4o', 'gemini-2.5-flash', 'gpt-5', 'gpt-4o-2024-05-13', 'claude-haiku-4-5',
     'deepseek-chat', 'gpt-5-mini', 'gemini-2.5-pro', 'claude-opus-4-5', 'text-embedding-3-small', 'o3', 'grok-4',
     'gpt-4.1', 'deepseek-reasoner', 'gpt-4.1-mini', 'grok-3-mini', 'gemini-2.0-flash', 'o4-mini'] AS models,
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567' AS letters_of_rfc4648,
    '0123456789ABCDEFGHJKMNPQRSTVWXYZ' AS letters_of_ids,
    86400000 AS day_ms,
    -- From 0 to 1, of its own for each purpose.
    (purpose -> sipHash64(n, {seed:UInt64}, purpose) / 18446744073709551616) AS chance,
    ((purpose, ranks) -> toUInt32(floor(pow(ranks + 1, chance(purpose)))) ) AS rank
SELECT
    toDateTime64(created_at, 3, 'UTC') + toIntervalSecond(2) AS ingested_at,
    intDiv(n, 2000) * 2 + 2 AS write_id,
    {account_id:String} AS account_id, {gateway_id:String} AS gateway_id, created_at, id, started_at,
    'http' AS source, 'new_api_log' AS dialect, toString(n + 1) AS event_id,
    lower(hex(sipHash128(n, {seed:UInt64}, 1))) AS request_id,
    multiIf(lot < 0.94, 'consume', lot < 0.985, 'error', lot < 0.99, 'topup', lot < 0.995, 'manage', 'system') AS kind,
    if(is_call, toUInt64(seconds * 1000), NULL) AS duration_ms,
    if(streamed, toUInt64(150 * pow(20, chance(2))), NULL) AS time_to_first_token_ms,
    if(kind = 'consume', model_requested, '') AS model,
    if(is_call, models[rank(3, 20)], '') AS model_requested,
    kind != 'error' AS success,
    kind = 'consume' AND chance(4) < 0.6 AS streamed,
    if(success, '', 'status_code=429, Rate limit reached for requests') AS error,
    toString(user_rank) AS user_id,
    concat('user', user_id) AS user_name,
    token_id AS token,
    if(is_call, toString(user_rank * 4 + token_rank), '') AS token_id,
    if(is_call, concat('key-', toString(token_rank)), '') AS token_name,
    ['default', 'vip', 'svip', 'team'][rank(5, 4)] AS group,
    if(is_call, toString(rank(6, 40)), '') AS channel_id,
    if(chance(7) < 0.5, concat('10.', toString(user_rank % 250), '.0.', toString(token_rank)), '') AS ip,
    if(kind = 'consume', toUInt64(50 * pow(400, chance(8))), NULL) AS tokens_in,
    if(kind = 'consume', toUInt64(5 * pow(400, chance(9))), NULL) AS tokens_out,
    tokens_in - tokens_cache_read AS tokens_uncached_input,
    if(chance(10) < 0.3, intDiv(tokens_in, 2), 0 * tokens_in) AS tokens_cache_read,
    tokens_out AS tokens_text_output,
    multiIf(
        kind = 'consume', concat(
            '{"admin_info":{"use_channel":["', channel_id, '"]},"cache_ratio":0.5,"cache_tokens":', toString(tokens_cache_read),
            ',"completion_ratio":4,"frt":', toString(ifNull(time_to_first_token_ms, 0)),
            ',"group_ratio":1,"model_price":-1,"model_ratio":1.25,"request_path":"/v1/chat/completions","user_group_ratio":-1}'
        ),
        kind = 'error', concat('{"channel_id":', channel_id, ',"error_code":"rate_limit_exceeded","error_type":"openai_error",',
            '"status_code":429,"request_path":"/v1/chat/completions"}'),
        ''
    ) AS usage_json,
    'unpriced' AS cost_source, 'unknown_provider' AS unpriced_reason,
    multiIf(kind = 'consume', toInt64(tokens_in + tokens_out * 4), kind = 'topup', 500000, 0) AS quota,
    if(is_call, map('channel_name', concat('channel ', channel_id)), map('content', 'a note of the system')) AS attributes
FROM (
    SELECT
        number AS n,
        chance(20) AS lot,
        lot < 0.985 AS is_call,
        rank(21, 2000) AS user_rank,
        rank(22, 4) - 1 AS token_rank,
        n / {rows:UInt64} * {days:UInt32} AS day,
        toInt64((day + 0.12 * sin(2 * pi() * day)) * day_ms) AS since_first_ms,
        toInt64(pow(60, chance(23))) AS seconds,
        -- To the second, as new-api has it.
        intDiv(toInt64({until_ms:Int64} - {days:UInt32} * day_ms + since_first_ms), 1000) * 1000 AS ended_ms,
        fromUnixTimestamp64Milli(ended_ms, 'UTC') AS created_at,
        fromUnixTimestamp64Milli(ended_ms - seconds * 1000, 'UTC') AS started_at,
        concat(
            -- 48 bits of time and 80 of a hash, five to a letter.
            substring(translate(base32Encode(reinterpretAsFixedString(byteSwap(toUInt64(bitShiftLeft(toUInt64(
                ended_ms - seconds * 1000), 14))))), letters_of_rfc4648, letters_of_ids), 1, 10),
            translate(base32Encode(substring(sipHash128(n, {seed:UInt64}, 24), 1, 10)), letters_of_rfc4648, letters_of_ids)
        ) AS id
    FROM numbers({first:UInt64}, {count:UInt64})
)

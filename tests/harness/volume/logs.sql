-- Log rows of a gateway's traffic, made inside ClickHouse: row n of {rows} is the same in every run of a seed.
--
-- Time runs with n over {days} days until {until_ms}, busier by day than by night. One gateway has a third of the rows; the
-- other gateways, models and tokens are as frequent as words are (rank k about 1/k times as often as the first). A token is a
-- team's: it uses three models, and five users share it. The people in the metadata are many, and of no team.
-- One call in 25 fails and knows no tokens, one in 12 is answered from the cache, one in 50 has no price.
INSERT INTO logs (
    ingested_at, write_id, account_id, gateway_id, created_at, id, started_at, source, dialect, event_id, request_id, ray_id,
    kind, duration_ms, time_to_first_token_ms, provider, model, model_requested, request_type, path, step, status_code,
    success, cached, streamed, error, user_id, token, token_id, token_name, token_hash, token_display, country, user_agent,
    tokens_in, tokens_out, tokens_uncached_input, tokens_cache_read, tokens_text_output, usage_json, cost, cost_source,
    unpriced_reason, price_id, price_book, metadata, metadata_text, request_content_type, response_content_type,
    request_size, response_size
)
WITH
    ['openai', 'anthropic', 'google-ai-studio', 'azure-openai', 'deepseek', 'workers-ai', 'grok', 'cohere'] AS providers,
    ['gpt-4o-mini', 'claude-sonnet-4-5', 'gpt-4o', 'gemini-2.5-flash', 'gpt-5', 'gpt-4o-2024-05-13', 'claude-haiku-4-5',
     'deepseek-chat', 'gpt-5-mini', 'gemini-2.5-pro', 'claude-opus-4-5', 'text-embedding-3-small', 'o3', 'grok-4',
     '@cf/meta/llama-3.3-70b', 'gpt-4.1', 'command-r-plus', 'deepseek-reasoner', 'gpt-4.1-mini', 'grok-3-mini',
     'gemini-2.0-flash', 'o4-mini', 'claude-3-5-haiku', 'embed-v4', '@cf/baai/bge-m3'] AS models,
    [1, 2, 1, 3, 1, 4, 2, 5, 1, 3, 2, 1, 1, 7, 6, 1, 8, 5, 1, 7, 3, 1, 2, 8, 6] AS providers_of_models,
    -- In billionths of a dollar per token.
    [150, 3000, 2500, 300, 1250, 5000, 1000, 270, 250, 1250, 5000, 20, 2000, 3000, 290, 2000, 2500, 550, 400, 300, 100,
     1100, 800, 120, 12] AS prices_in,
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567' AS letters_of_rfc4648,
    '0123456789ABCDEFGHJKMNPQRSTVWXYZ' AS letters_of_ids,
    86400000 AS day_ms,
    -- From 0 to 1, of its own for each purpose.
    (purpose -> sipHash64(n, {seed:UInt64}, purpose) / 18446744073709551616) AS chance,
    ((purpose, ranks) -> toUInt32(floor(pow(ranks + 1, chance(purpose)))) ) AS rank
SELECT
    toDateTime64(created_at, 3, 'UTC') + toIntervalSecond(20) AS ingested_at,
    intDiv(n, 2000) * 2 + 2 AS write_id,
    account_id, gateway_id, created_at, id, started_at,
    'logpush' AS source, 'malacca_object' AS dialect, '' AS event_id,
    if(success, concat('chatcmpl-', lower(hex(sipHash128(n, {seed:UInt64}, 1)))), '') AS request_id,
    lower(hex(sipHash64(n, {seed:UInt64}, 2))) AS ray_id,
    'consume' AS kind,
    toUInt64(duration) AS duration_ms,
    if(streamed, toUInt64(duration * 0.2), NULL) AS time_to_first_token_ms,
    providers[providers_of_models[model_rank]] AS provider,
    models[model_rank] AS model,
    model AS model_requested,
    if(model LIKE '%embed%' OR model LIKE '%bge%', 'embedding', 'chat') AS request_type,
    if(request_type = 'chat', 'chat/completions', 'embeddings') AS path,
    if(chance(3) < 0.03, 1, 0) AS step,
    multiIf(success, 200, chance(4) < 0.6, 429, 500) AS status_code,
    success, cached,
    success AND chance(5) < 0.4 AS streamed,
    if(success, '', 'Rate limit reached, try again later') AS error,
    concat('user-', toString(token_rank), '-', toString(rank(6, 5))) AS user_id,
    concat('team-', toString(token_rank)) AS token,
    lower(hex(sipHash64(token_rank, 7))) AS token_id,
    token AS token_name,
    lower(hex(sipHash128(token_rank, 8))) AS token_hash,
    concat('sk-...', substring(token_id, 1, 4)) AS token_display,
    ['US', 'DE', 'GB', 'IN', 'CN', 'BR', 'FR', 'JP'][rank(9, 8)] AS country,
    ['OpenAI/Python 1.51.0', 'OpenAI/JS 4.67.1', 'python-requests/2.32.3', 'Go-http-client/2.0', 'curl/8.6.0'][rank(10, 5)]
        AS user_agent,
    if(success, toUInt64(50 * pow(400, chance(11))), NULL) AS tokens_in,
    if(success AND request_type = 'chat', toUInt64(5 * pow(400, chance(12))), NULL) AS tokens_out,
    tokens_in - tokens_cache_read AS tokens_uncached_input,
    if(success AND chance(13) < 0.3, intDiv(tokens_in, 2), 0 * tokens_in) AS tokens_cache_read,
    tokens_out AS tokens_text_output,
    if(success, concat('{"prompt_tokens":', toString(tokens_in), ',"completion_tokens":', toString(ifNull(tokens_out, 0)),
        ',"prompt_tokens_details":{"cached_tokens":', toString(tokens_cache_read), '}}'), '') AS usage_json,
    multiIf(
        NOT success OR is_unpriced, NULL,
        cached, toDecimal128(0, 18),
        toDecimal128(tokens_in * prices_in[model_rank] + ifNull(tokens_out, 0) * prices_in[model_rank] * 4, 0)
            * toDecimal128('0.000000001', 18)
    ) AS cost,
    multiIf(NOT success OR is_unpriced, 'unpriced', cached, 'cached_zero', 'computed') AS cost_source,
    multiIf(NOT success, 'no_usage', is_unpriced, 'unknown_model', '') AS unpriced_reason,
    if(cost_source = 'computed', concat(provider, '/', model), '') AS price_id,
    if(cost_source = 'computed', '1e9ab1957b75', '') AS price_book,
    if(empty(metadata_text), '', toJSONString(metadata_text)) AS metadata,
    multiIf(
        chance(14) < 0.3, map(),
        chance(14) < 0.7, map('team', token, 'env', env),
        map('team', token, 'env', env, 'trace', substring(ray_id, 1, 8), 'user',
            concat('user-', toString(rank(15, 20000))))
    ) AS metadata_text,
    'application/json' AS request_content_type,
    if(streamed, 'text/event-stream', 'application/json') AS response_content_type,
    toUInt64(ifNull(tokens_in, 100) * 4 + 180) AS request_size,
    toUInt64(ifNull(tokens_out, 20) * 5 + 420) AS response_size
FROM (
    SELECT
        number AS n,
        chance(20) < 0.35 AS is_of_the_big_one,
        rank(21, 300) AS gateway_rank,
        if(is_of_the_big_one, 'acme', concat('account-', toString(gateway_rank % 40))) AS account_id,
        if(is_of_the_big_one, 'main', concat('gateway-', toString(gateway_rank))) AS gateway_id,
        n / {rows:UInt64} * {days:UInt32} AS day,
        toInt64((day + 0.12 * sin(2 * pi() * day) + 0.00001 * chance(22)) * day_ms) AS since_first_ms,
        fromUnixTimestamp64Milli(toInt64({until_ms:Int64} - {days:UInt32} * day_ms + since_first_ms), 'UTC') AS started_at,
        toInt64(150 * pow(300, chance(23))) AS duration,
        started_at + toIntervalMillisecond(duration) AS created_at,
        concat(
            -- 48 bits of time and 80 of a hash, five to a letter.
            substring(translate(base32Encode(reinterpretAsFixedString(byteSwap(toUInt64(bitShiftLeft(toUInt64(
                toUnixTimestamp64Milli(started_at)), 14))))), letters_of_rfc4648, letters_of_ids), 1, 10),
            translate(base32Encode(substring(sipHash128(n, {seed:UInt64}, 24), 1, 10)), letters_of_rfc4648, letters_of_ids)
        ) AS id,
        chance(25) >= 0.04 AS success,
        success AND chance(26) < 0.08 AS cached,
        chance(27) < 0.02 AS is_unpriced,
        rank(29, 400) AS token_rank,
        toUInt32(floor(pow(26, sipHash64(token_rank, rank(28, 3)) / 18446744073709551616))) AS model_rank,
        ['prod', 'prod', 'prod', 'staging', 'dev'][toUInt8(chance(30) * 5) + 1] AS env
    FROM numbers({first:UInt64}, {count:UInt64})
)

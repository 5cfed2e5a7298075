-- Bodies of one call in {every}, of a few hundred bytes to some kilobytes: the same beginning again and again, then words.
INSERT INTO bodies (account_id, gateway_id, started_at, id, texts)
WITH
    splitByChar(' ', 'the of and to in is that it for on with as this by from are be an or at we can have not you which '
        || 'their model token price answer question stream gateway request report table number customer invoice order '
        || 'please summarize explain translate write code function error value return result because however therefore '
        || 'Berlin Tokyo quarter revenue growth budget policy contract meeting schedule deadline project review draft') AS words,
    ((salt, count) -> arrayStringConcat(arrayMap(
        i -> words[toUInt8(floor(pow(length(words) + 1, sipHash64(id, salt, i) / 18446744073709551616)))], range(count)), ' '
    )) AS text_of
SELECT
    account_id, gateway_id, started_at, id,
    [concat('{"model":"', model, '","messages":[{"role":"system","content":"You are a helpful assistant of ', token,
        '. Answer briefly, and in the language of the question. Never make up figures."},{"role":"user","content":"',
        text_of(1, least(intDiv(ifNull(tokens_in, 100), 2), 600)), '"}]}'),
    if(success, concat('{"id":"', request_id, '","choices":[{"index":0,"message":{"role":"assistant","content":"',
        text_of(2, least(intDiv(ifNull(tokens_out, 10), 2), 400)), '"},"finish_reason":"stop"}],"usage":', usage_json, '}'),
        NULL)] AS texts
FROM logs
WHERE sipHash64(id) % {every:UInt64} = 0

//! Anthropic's messages, wherever they are served: by itself, on Vertex AI, in Bedrock's invoke, by proxies.
//!
//! `input_tokens` is only what was neither read from nor written to the cache: all input is the sum of three counts.
//! `thinking_tokens` are part of `output_tokens`. Writes to the cache are told apart by how long they are kept where
//! `cache_creation` says so, and otherwise are kept for 5 minutes, the default.
//!
//! A stream begins with `message_start`, whose usage has the input and a first count of output that is not the answer's.
//! The usage of a `message_delta` is cumulative: it replaces what it names, input included (server tools raise it).
//! Only a `message_delta` with a reason to stop, or `message_stop`, makes it final.
//!
//! A compaction of the context is billed beside the counts at the top, which do not include it: `usage.iterations` has
//! one entry for each, and it is added. The advisor's iterations are another model's, so they are not.
//!
//! Two kinds of answer report tokens that are not billed by it, and have no usage here: `count_tokens`, and the
//! results of a batch, which anybody may fetch again.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit};

use super::usage::{Count, Part, elements, part, plus};
use super::{Api, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static ANTHROPIC: Api = Api { name: "messages", read, usage };

/// What one run of the model used.
#[derive(Deserialize)]
struct WireCounts {
    input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_creation: Option<Lenient<WireLifetimes>>,
    output_tokens: Option<Count>,
    output_tokens_details: Option<Lenient<WireOutput>>,
}

#[derive(Default, Deserialize)]
struct WireLifetimes {
    ephemeral_5m_input_tokens: Part,
    ephemeral_1h_input_tokens: Part,
}

#[derive(Deserialize)]
struct WireOutput {
    thinking_tokens: Part,
}

/// What stands beside the counts.
#[derive(Deserialize)]
struct WireUsage<'a> {
    server_tool_use: Option<Lenient<WireTools>>,
    service_tier: Option<Lenient<String>>,
    speed: Option<Lenient<String>>,
    /// Where it ran: anywhere (`global`), on older models unsaid (`not_available`), or in one place, which costs more.
    inference_geo: Option<Lenient<String>>,
    /// A list; each element has a kind, and the counts of a run.
    #[serde(borrow)]
    iterations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireIteration {
    #[serde(rename = "type")]
    kind: Option<Lenient<String>>,
}

#[derive(Deserialize)]
struct WireDelta {
    stop_reason: Option<Lenient<String>>,
}

#[derive(Deserialize)]
struct WireTools {
    web_search_requests: Part,
    code_execution_requests: Part,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    match members.kind() {
        "message_start" => {
            let message = members.message.map(|message| Members::read(message.get())).unwrap_or_default();
            answer.identify(&message);
            if let Some(usage) = message.usage {
                answer.open(usage);
            }
        }
        "message_delta" => {
            if let Some(usage) = members.usage {
                answer.report(usage, members.delta.is_some_and(stops));
            }
        }
        "message_stop" => answer.settle(),
        // A whole message, or another event of a stream, which has none of these members.
        _ => {
            answer.identify(members);
            if let Some(usage) = members.usage {
                answer.report(usage, false);
            }
        }
    }
}

fn stops(delta: &RawValue) -> bool {
    serde_json::from_str(delta.get()).is_ok_and(|WireDelta { stop_reason }| stop_reason.is_some())
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage<'_> = parse(json)?;
    let mut counts = Counts::read(json)?;
    for iteration in wire.iterations.map(elements).unwrap_or_default() {
        let WireIteration { kind } = parse(iteration.get())?;
        if taken(kind).as_deref() == Some("compaction") {
            counts.add(&Counts::read(iteration.get())?);
        }
    }
    let mut usage = Usage::default();
    counts.put(&mut usage)?;
    if let Some(tools) = taken(wire.server_tool_use) {
        usage.set_unit(Unit::WebSearches, part(tools.web_search_requests))?;
        usage.set_unit(Unit::CodeExecutions, part(tools.code_execution_requests))?;
    }
    let is_fast = taken(wire.speed).is_some_and(|speed| speed == "fast");
    let tier = if is_fast { Some("fast".to_owned()) } else { taken(wire.service_tier) };
    usage.service_tier = tier_in(tier, taken(wire.inference_geo));
    Ok(usage)
}

/// The tier, with the place that it was bound to: `us`, `fast-us`.
fn tier_in(tier: Option<String>, place: Option<String>) -> Option<String> {
    let place = place.filter(|place| !["global", "not_available", ""].contains(&place.as_str()));
    match (tier.filter(|tier| tier != "standard"), place) {
        (Some(tier), Some(place)) => Some(format!("{tier}-{place}")),
        (None, Some(place)) => Some(place),
        (tier, None) => tier,
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, UsageError> {
    serde_json::from_str(json).map_err(|_| UsageError::Form)
}

/// What one run of the model used.
#[derive(Clone, Copy)]
struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Counts {
    fn read(json: &str) -> Result<Self, UsageError> {
        let wire: WireCounts = parse(json)?;
        let lifetimes = taken(wire.cache_creation).unwrap_or_default();
        let (five_minutes, one_hour) =
            (part(lifetimes.ephemeral_5m_input_tokens), part(lifetimes.ephemeral_1h_input_tokens));
        let count = |field: Option<Count>| field.map(|Count(count)| count);
        Ok(Self {
            input: count(wire.input_tokens),
            cache_read: count(wire.cache_read_input_tokens),
            cache_write: count(wire.cache_creation_input_tokens).or(plus(five_minutes, one_hour)),
            cache_write_5m: five_minutes,
            cache_write_1h: one_hour,
            output: count(wire.output_tokens),
            thinking: taken(wire.output_tokens_details).and_then(|output| part(output.thinking_tokens)),
        })
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in [
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_write_5m, other.cache_write_5m),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.output, other.output),
            (&mut self.thinking, other.thinking),
        ] {
            *count = plus(*count, more);
        }
    }

    fn put(&self, usage: &mut Usage) -> Result<(), UsageError> {
        // Without the rest of the input its cached part is no count.
        if let Some(input) = self.input {
            usage.tokens.set(TokenBucket::UncachedInput, input)?;
            if let Some(cache_read) = self.cache_read {
                usage.tokens.set(TokenBucket::CacheRead, cache_read)?;
            }
            self.put_cache_write(usage)?;
        }
        let thinking = [(TokenBucket::Reasoning, self.thinking)];
        usage.split("output_tokens", self.output, TokenBucket::TextOutput, &thinking)
    }

    /// What the lifetimes leave of the total has none named, so it has the default: a stream may raise the total at
    /// its end and not say for how long.
    fn put_cache_write(&self, usage: &mut Usage) -> Result<(), UsageError> {
        let known = plus(self.cache_write_5m, self.cache_write_1h);
        if known > self.cache_write {
            return Err(UsageError::PartsExceedWhole { whole: "cache_creation_input_tokens" });
        }
        let one_hour = [(TokenBucket::CacheWrite1h, self.cache_write_1h)];
        usage.split("cache_creation_input_tokens", self.cache_write, TokenBucket::CacheWrite5m, &one_hour)
    }
}

#[cfg(test)]
mod tests {
    use TokenBucket::{CacheRead, CacheWrite1h, CacheWrite5m, Reasoning, TextOutput, UncachedInput};

    use super::*;
    use crate::normalize::testing::{check_buckets, check_refused, cut_at_every_offset};

    fn check(json: &str, expected: &[(TokenBucket, u64)]) {
        check_buckets(&ANTHROPIC, json, expected);
    }

    #[test]
    fn cached_input_comes_on_top() {
        check(
            r#"{"input_tokens":21,"cache_creation_input_tokens":300,"cache_read_input_tokens":4000,"output_tokens":50,
                "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},
                "output_tokens_details":{"thinking_tokens":30},"service_tier":"standard","inference_geo":"global"}"#,
            &[
                (UncachedInput, 21),
                (CacheRead, 4000),
                (CacheWrite5m, 100),
                (CacheWrite1h, 200),
                (TextOutput, 20),
                (Reasoning, 30),
            ],
        );
        check(
            r#"{"input_tokens":21.0,"cache_creation_input_tokens":300,"cache_read_input_tokens":null,"output_tokens":5}"#,
            &[(UncachedInput, 21), (CacheWrite5m, 300), (TextOutput, 5)],
        );
        check(
            r#"{"input_tokens":1,"output_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":7}}"#,
            &[(UncachedInput, 1), (CacheWrite5m, 0), (CacheWrite1h, 7), (TextOutput, 5)],
        );
        check(
            r#"{"input_tokens":1,"output_tokens":5,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_1h_input_tokens":7}}"#,
            &[(UncachedInput, 1), (CacheWrite5m, 3), (CacheWrite1h, 7), (TextOutput, 5)],
        );
    }

    #[test]
    fn unreported_stays_unreported() {
        check("{}", &[]);
        check(r#"{"cache_read_input_tokens":9}"#, &[]);
        check(r#"{"output_tokens":5}"#, &[(TextOutput, 5)]);
        check(
            r#"{"input_tokens":1,"output_tokens":2,"cache_creation":"none","output_tokens_details":[],"iterations":{}}"#,
            &[(UncachedInput, 1), (TextOutput, 2)],
        );
    }

    #[test]
    fn a_compaction_is_billed_beside_the_counts_at_the_top() {
        check(
            r#"{"input_tokens":45000,"output_tokens":1234,"cache_read_input_tokens":10,"iterations":[
                {"type":"compaction","input_tokens":180000,"output_tokens":3500,"cache_read_input_tokens":5},
                {"type":"message","input_tokens":45000,"output_tokens":1234,"cache_read_input_tokens":10},
                {"type":"advisor_message","model":"another","input_tokens":7,"output_tokens":7}]}"#,
            &[(UncachedInput, 225_000), (CacheRead, 15), (TextOutput, 4734)],
        );
    }

    #[test]
    fn tools_and_tiers() {
        let check = |json: &str, searches: u64, runs: u64, tier: Option<&str>| {
            let usage = usage(json).unwrap();
            let units = (usage.units.get(Unit::WebSearches), usage.units.get(Unit::CodeExecutions));
            assert_eq!((units, usage.service_tier.as_deref()), ((searches, runs), tier), "{json}");
        };
        check(
            r#"{"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1,"code_execution_requests":3}}"#,
            2,
            3,
            None,
        );
        check(r#"{"server_tool_use":null,"service_tier":"batch"}"#, 0, 0, Some("batch"));
        check(r#"{"service_tier":"standard","speed":"fast"}"#, 0, 0, Some("fast"));
        check(r#"{"service_tier":"priority","speed":"standard"}"#, 0, 0, Some("priority"));
        check(r#"{"service_tier":"standard","inference_geo":"us"}"#, 0, 0, Some("us"));
        check(r#"{"speed":"fast","inference_geo":"us"}"#, 0, 0, Some("fast-us"));
        check(r#"{"service_tier":"batch","inference_geo":"global"}"#, 0, 0, Some("batch"));
        check(r#"{"inference_geo":"not_available"}"#, 0, 0, None);
        check(r#"{"inference_geo":null}"#, 0, 0, None);
    }

    #[test]
    fn impossible_usage_is_refused() {
        check_refused(
            &ANTHROPIC,
            r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":3}}"#,
            "usage has more tokens in the parts of cache_creation_input_tokens than in all",
        );
        check_refused(
            &ANTHROPIC,
            r#"{"output_tokens":5,"output_tokens_details":{"thinking_tokens":6}}"#,
            "usage has more tokens in the parts of output_tokens than in all",
        );
        check_refused(&ANTHROPIC, r#"{"input_tokens":"many"}"#, "usage has another form");
    }

    const STREAM: &str = concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"usage":{"input_tokens":2679,"cache_creation_input_tokens":100,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100},"output_tokens":3,"service_tier":"priority"}}   }"#,
        "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße, \"usage\":{\"output_tokens\":1} 🙂"}}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":200}}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":10682,"cache_creation_input_tokens":130,"output_tokens":510,"server_tool_use":{"web_search_requests":1}}}"#,
        "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    #[test]
    fn a_stream_counts_what_it_said_last() {
        let answer = Answer::read(STREAM, &ANTHROPIC);
        assert_eq!(
            (answer.id.as_deref(), answer.model.as_deref(), answer.streamed),
            (Some("msg_01"), Some("claude-sonnet-4-5-20250929"), true)
        );
        let usage = cut_at_every_offset(STREAM, &ANTHROPIC);
        let expected = [
            (UncachedInput, 10_682),
            (CacheRead, 7),
            (CacheWrite5m, 30),
            (CacheWrite1h, 100),
            (TextOutput, 510),
        ];
        assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), expected);
        assert_eq!(
            (usage.service_tier.as_deref(), usage.units.get(Unit::WebSearches)),
            (Some("priority"), 1)
        );
        assert_eq!(
            answer.usage_json.as_deref(),
            Some(concat!(
                r#"{"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100},"#,
                r#""cache_creation_input_tokens":130,"cache_read_input_tokens":7,"input_tokens":10682,"#,
                r#""output_tokens":510,"server_tool_use":{"web_search_requests":1},"service_tier":"priority"}"#
            ))
        );
    }

    #[test]
    fn a_cut_answer_is_right_or_unknown() {
        let usage = cut_at_every_offset(
            r#"{"id":"msg_1","type":"message","model":"claude-haiku-4-5","content":[{"type":"text","text":"Grüße 🙂"}],"usage":{"input_tokens":10,"output_tokens":25},"stop_reason":"end_turn"}"#,
            &ANTHROPIC,
        );
        assert_eq!((usage.tokens.total_in(), usage.tokens.total_out()), (Some(10), Some(25)));
    }

    #[test]
    fn an_error_in_a_stream_leaves_nothing_to_count() {
        let stream = STREAM.split("event: message_delta").next().unwrap().to_owned()
            + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
        let answer = Answer::read(&stream, &ANTHROPIC);
        assert_eq!((answer.error.as_deref(), answer.usage_json), (Some("Overloaded"), None));
    }

    #[test]
    fn what_is_not_billed_has_no_usage() {
        for body in [
            r#"{"input_tokens":2095}"#,
            r#"{"custom_id":"a","result":{"type":"succeeded","message":{"usage":{"input_tokens":1,"output_tokens":2}}}}"#,
            concat!(
                r#"{"custom_id":"a","result":{"type":"succeeded","message":{"usage":{"input_tokens":1,"output_tokens":2}}}}"#,
                "\n",
                r#"{"custom_id":"b","result":{"type":"errored"}}"#
            ),
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ] {
            assert_eq!(Answer::read(body, &ANTHROPIC).usage_json, None, "{body}");
        }
    }
}

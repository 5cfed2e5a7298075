//! xAI's chat completions: `completion_tokens` is what is shown, and reasoning comes on top of it. Its Responses API
//! counts as everybody's does.

use serde::Deserialize;
use weir_event::Unit;

use super::chat::{self, Reasoning, WireUsage};
use super::responses::WireTools;
use super::usage::{Part, part};
use super::{Api, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};

pub(in crate::normalize) static XAI_CHAT: Api =
    Api { name: "xAI's chat completions", read: chat::read, usage };

#[derive(Deserialize)]
struct WireSearches {
    /// The sources that a live search read: that is what it is billed by.
    num_sources_used: Part,
    server_side_tool_usage_details: Option<Lenient<WireTools>>,
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let mut usage = WireUsage::read(json)?.apart(Reasoning::OnTop)?;
    let wire: WireSearches = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    usage.set_unit(Unit::WebSearches, part(wire.num_sources_used))?;
    taken(wire.server_side_tool_usage_details).map_or(Ok(()), |tools| tools.count(&mut usage))?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use weir_event::TokenBucket::{
        self, AudioInput, AudioOutput, CacheRead, ImageInput, Reasoning, TextOutput, UncachedInput,
    };

    use super::*;
    use crate::normalize::testing::cut_at_every_offset;

    fn check(json: &str, expected: &[(TokenBucket, u64)]) {
        assert_eq!(usage(json).unwrap().tokens.iter().collect::<Vec<_>>(), expected, "{json}");
    }

    #[test]
    fn reasoning_comes_on_top() {
        check(
            r#"{"prompt_tokens":687,"completion_tokens":69,"total_tokens":874,"prompt_tokens_details":{"text_tokens":687,"audio_tokens":0,"image_tokens":0,"cached_tokens":679},"completion_tokens_details":{"reasoning_tokens":118,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"num_sources_used":0}"#,
            &[
                (UncachedInput, 8),
                (CacheRead, 679),
                (AudioInput, 0),
                (TextOutput, 69),
                (Reasoning, 118),
                (AudioOutput, 0),
            ],
        );
        check(
            r#"{"prompt_tokens":300,"completion_tokens":5,"prompt_tokens_details":{"text_tokens":44,"image_tokens":256},"completion_tokens_details":{"reasoning_tokens":7}}"#,
            &[(UncachedInput, 44), (ImageInput, 256), (TextOutput, 5), (Reasoning, 7)],
        );
        // Where a gateway has made it a part of the completion, the total says so.
        check(
            r#"{"prompt_tokens":687,"completion_tokens":187,"total_tokens":874,"completion_tokens_details":{"reasoning_tokens":118}}"#,
            &[(UncachedInput, 687), (TextOutput, 69), (Reasoning, 118)],
        );
        check(
            r#"{"prompt_tokens":1,"completion_tokens_details":{"reasoning_tokens":7}}"#,
            &[(UncachedInput, 1)],
        );
    }

    #[test]
    fn searches_are_counted() {
        let searches = |json: &str| usage(json).unwrap().units.get(Unit::WebSearches);
        assert_eq!(searches(r#"{"num_sources_used":5}"#), 5);
        assert_eq!(
            searches(r#"{"num_sources_used":0,"server_side_tool_usage_details":{"web_search_calls":2}}"#),
            2
        );
        assert_eq!(searches(r#"{"num_sources_used":null}"#), 0);
    }

    #[test]
    fn a_stream_counts_along_and_is_right_at_its_end() {
        let chunk = |text: &str, out: u64, end: &str| {
            format!(
                "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"grok-4\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}{end}}}],\"usage\":{{\"prompt_tokens\":32,\"completion_tokens\":{out},\"total_tokens\":{},\"completion_tokens_details\":{{\"reasoning_tokens\":118}}}}}}\n\n",
                32 + 118 + out
            )
        };
        let body = [
            chunk("Grüße", 1, ""),
            chunk(" 🌍", 3, ""),
            chunk("", 9, ",\"finish_reason\":\"stop\""),
            "data: [DONE]\n\n".to_owned(),
        ];
        let full = cut_at_every_offset(&body.concat(), &XAI_CHAT);
        assert_eq!((full.tokens.total_in(), full.tokens.total_out()), (Some(32), Some(127)));
    }
}

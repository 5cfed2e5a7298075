//! Perplexity's chat completions: reasoning and citations stand beside the completion and are billed on top of it, and
//! so are the searches. The total leaves them out.

use serde::Deserialize;
use weir_event::{TokenBucket, Unit};

use super::chat::{self, Reasoning, WireUsage};
use super::usage::{Part, part};
use super::{Api, Usage, UsageError};

pub(in crate::normalize) static PERPLEXITY_CHAT: Api =
    Api { name: "Perplexity's chat completions", read: chat::read, usage };

#[derive(Deserialize)]
struct WireSearches {
    citation_tokens: Part,
    num_search_queries: Part,
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let mut usage = WireUsage::read(json)?.apart(Reasoning::Beside)?;
    let wire: WireSearches = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    if let Some(citations) = part(wire.citation_tokens) {
        usage.tokens.set(TokenBucket::Citation, citations)?;
    }
    usage.set_unit(Unit::WebSearches, part(wire.num_search_queries))?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use weir_event::TokenBucket::{Citation, Reasoning, TextOutput, UncachedInput};

    use super::*;
    use crate::normalize::testing::cut_at_every_offset;

    #[test]
    fn reasoning_citations_and_searches_come_on_top() {
        let body = r#"{"id":"p","model":"sonar-deep-research","usage":{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,"citation_tokens":19028,"num_search_queries":18,"reasoning_tokens":73997},"citations":["https://x.example/ä"],"choices":[]}"#;
        let full = cut_at_every_offset(body, &PERPLEXITY_CHAT);
        assert_eq!(
            full.tokens.iter().collect::<Vec<_>>(),
            [(UncachedInput, 33), (TextOutput, 7163), (Reasoning, 73_997), (Citation, 19_028)]
        );
        assert_eq!((full.tokens.total_out(), full.units.get(Unit::WebSearches)), (Some(100_188), 18));
    }

    #[test]
    fn a_stream_counts_along_and_is_right_at_its_end() {
        let chunk = |out: u64, end: &str| {
            format!(
                "data: {{\"id\":\"p\",\"model\":\"sonar\",\"usage\":{{\"prompt_tokens\":4,\"completion_tokens\":{out},\"total_tokens\":{}}},\"choices\":[{{\"index\":0,\"finish_reason\":{end},\"delta\":{{\"content\":\"ö\"}}}}]}}\r\n\r\n",
                out + 4
            )
        };
        let body = chunk(1, "null") + &chunk(2, "null") + &chunk(30, "\"stop\"");
        assert_eq!(cut_at_every_offset(&body, &PERPLEXITY_CHAT).tokens.total_out(), Some(30));
    }
}

//! Embeddings, and the ranking of texts: whatever was read is the input, and nothing is written.

use serde::Deserialize;
use weir_event::TokenBucket;

use super::usage::{Count, Part, part};
use super::{Api, Usage, UsageError};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static EMBEDDINGS: Api = Api { name: "embeddings", read, usage };

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct WireUsage {
    prompt_tokens: Option<Count>,
    input_tokens: Option<Count>,
    /// All that Voyage tells.
    total_tokens: Part,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    answer.identify(members);
    if let Some(usage) = members.usage {
        answer.report(usage, true);
    }
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let input = wire.prompt_tokens.or(wire.input_tokens).map(|Count(count)| count);
    let mut usage = Usage::default();
    usage.split("prompt_tokens", input.or(part(wire.total_tokens)), TokenBucket::UncachedInput, &[])?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::testing::cut_at_every_offset;

    #[test]
    fn what_was_read_is_the_input() {
        for (json, expected) in [
            (r#"{"prompt_tokens":8,"total_tokens":8}"#, Some(8)),
            (r#"{"total_tokens":10}"#, Some(10)),
            (r#"{"text_tokens":5,"image_pixels":2000000,"total_tokens":3576}"#, Some(3576)),
            (r#"{"input_tokens":4}"#, Some(4)),
            ("{}", None),
        ] {
            let tokens = usage(json).unwrap().tokens;
            assert_eq!(
                (tokens.get(TokenBucket::UncachedInput), tokens.total_out()),
                (expected, None),
                "{json}"
            );
        }
        assert_eq!(usage(r#"{"prompt_tokens":[]}"#), Err(UsageError::Form));
    }

    #[test]
    fn a_cut_answer_is_right_or_unknown() {
        let body = r#"{"object":"list","data":[{"object":"embedding","embedding":[0.25,-0.5],"index":0}],"model":"voyage-3.5","usage":{"total_tokens":125}}"#;
        assert_eq!(cut_at_every_offset(body, &EMBEDDINGS).tokens.total_in(), Some(125));
    }
}

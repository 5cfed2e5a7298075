//! Google's chat completions, in `OpenAI`'s form: `completion_tokens` leaves out the thoughts, which are billed as output.
//! Only the total has them. Others whom Vertex AI serves under the same path count in full, and their totals show it.

use super::chat::{self, Reasoning, WireUsage};
use super::{Api, Usage, UsageError};

pub(in crate::normalize) static GOOGLE_CHAT: Api =
    Api { name: "Google's chat completions", read: chat::read, usage };

fn usage(json: &str) -> Result<Usage, UsageError> {
    WireUsage::read(json)?.apart(Reasoning::Hidden)
}

#[cfg(test)]
mod tests {
    use weir_event::TokenBucket::{CacheRead, Reasoning, TextOutput, UncachedInput};

    use super::*;
    use crate::normalize::testing::{check_buckets, cut_at_every_offset};

    #[test]
    fn thoughts_are_what_the_total_has_beyond_the_rest() {
        let check = |json: &str, expected: &[_]| check_buckets(&GOOGLE_CHAT, json, expected);
        check(
            r#"{"prompt_tokens":20,"completion_tokens":424,"total_tokens":1016}"#,
            &[(UncachedInput, 20), (TextOutput, 424), (Reasoning, 572)],
        );
        check(
            r#"{"prompt_tokens":20,"completion_tokens":0,"total_tokens":81,"prompt_tokens_details":{"cached_tokens":5}}"#,
            &[(UncachedInput, 15), (CacheRead, 5), (TextOutput, 0), (Reasoning, 61)],
        );
        // Where the details tell of them, they are on top or within as the total says.
        for (completion, total) in [(424, 1016), (996, 1016)] {
            check(
                &format!(
                    r#"{{"prompt_tokens":20,"completion_tokens":{completion},"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":572}}}}"#
                ),
                &[(UncachedInput, 20), (TextOutput, 424), (Reasoning, 572)],
            );
        }
        check(
            r#"{"prompt_tokens":20,"completion_tokens":4,"total_tokens":24}"#,
            &[(UncachedInput, 20), (TextOutput, 4)],
        );
        check(
            r#"{"prompt_tokens":20,"completion_tokens":4,"total_tokens":9}"#,
            &[(UncachedInput, 20), (TextOutput, 4)],
        );
        check(r#"{"prompt_tokens":20,"total_tokens":24}"#, &[(UncachedInput, 20)]);
    }

    #[test]
    fn a_stream_counts_along_and_is_right_at_its_end() {
        let chunk = |text: &str, out: u64, total: u64, end: &str| {
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}{end},\"index\":0}}],\"model\":\"gemini-2.5-flash\",\"usage\":{{\"completion_tokens\":{out},\"prompt_tokens\":9,\"total_tokens\":{total}}}}}\n\n"
            )
        };
        let body =
            chunk("Gr", 1, 40, "") + &chunk("üße", 4, 43, ",\"finish_reason\":\"stop\"") + "data: [DONE]\n\n";
        let full = cut_at_every_offset(&body, &GOOGLE_CHAT);
        assert_eq!((full.tokens.total_in(), full.tokens.total_out()), (Some(9), Some(34)));
    }
}

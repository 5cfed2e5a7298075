//! Replicate's predictions: language models count tokens in `metrics`. A prediction that is still running has none.

use serde::Deserialize;
use weir_event::TokenBucket;

use super::usage::Count;
use super::{Api, Usage, UsageError};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static REPLICATE: Api = Api { name: "predictions", read, usage };

#[derive(Deserialize)]
struct WireUsage {
    input_token_count: Option<Count>,
    output_token_count: Option<Count>,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    answer.identify(members);
    if let Some(metrics) = members.metrics {
        answer.report(metrics, false);
    }
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let mut usage = Usage::default();
    for (bucket, count) in [
        (TokenBucket::UncachedInput, wire.input_token_count),
        (TokenBucket::TextOutput, wire.output_token_count),
    ] {
        if let Some(Count(count)) = count {
            usage.tokens.set(bucket, count)?;
        }
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::testing::{check_buckets, cut_at_every_offset};

    #[test]
    fn a_finished_prediction_counts_its_tokens() {
        let body = r#"{"id":"p1","model":"meta/meta-llama-3-8b-instruct","output":["Gr","üße"],"status":"succeeded",
            "metrics":{"input_token_count":12,"output_token_count":34,"predict_time":0.5}}"#;
        let usage = cut_at_every_offset(body, &REPLICATE);
        assert_eq!((usage.tokens.total_in(), usage.tokens.total_out()), (Some(12), Some(34)));
        check_buckets(&REPLICATE, r#"{"predict_time":0.5}"#, &[]);
        assert_eq!(Answer::read(r#"{"id":"p1","status":"starting"}"#, &REPLICATE).usage_json, None);
    }
}

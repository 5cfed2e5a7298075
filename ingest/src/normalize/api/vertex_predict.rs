//! Vertex AI's `predict`: embeddings and images. It has no usage object: what was used stands in the predictions.
//!
//! The object that is kept as usage is put together of it: `token_count` (the sum over the texts) with
//! `billableCharacterCount`, or `images`.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit};

use super::usage::{Count, Part, elements, part};
use super::{Api, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static VERTEX_PREDICT: Api = Api { name: "predict", read, usage };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePrediction<'a> {
    embeddings: Option<Lenient<WireEmbedding>>,
    #[serde(borrow)]
    bytes_base64_encoded: Option<&'a RawValue>,
    #[serde(borrow)]
    gcs_uri: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireEmbedding {
    statistics: Option<Lenient<WireStatistics>>,
}

#[derive(Deserialize)]
struct WireStatistics {
    token_count: Part,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    billable_character_count: Part,
}

/// What this puts together.
#[derive(Deserialize)]
struct WireUsage {
    token_count: Option<Count>,
    images: Option<Count>,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    // Of predictions that were cut none is left.
    let predictions = members.predictions.map(elements).unwrap_or_default();
    let predictions: Vec<WirePrediction<'_>> =
        predictions.iter().filter_map(|prediction| serde_json::from_str(prediction.get()).ok()).collect();
    // Images that were withheld have a reason in place of their bytes.
    let is_image = |prediction: &&WirePrediction<'_>| {
        prediction.bytes_base64_encoded.is_some() || prediction.gcs_uri.is_some()
    };
    let images = predictions.iter().filter(is_image).count();
    if images > 0 {
        return answer.gather(format!(r#"{{"images":{images}}}"#));
    }
    if let Some(tokens) = tokens(predictions) {
        let metadata = members.meta.and_then(|meta| serde_json::from_str(meta.get()).ok());
        let characters =
            metadata.and_then(|WireMetadata { billable_character_count }| part(billable_character_count));
        let characters = characters.map(|count| format!(r#","billableCharacterCount":{count}"#));
        answer.gather(format!(r#"{{"token_count":{tokens}{}}}"#, characters.unwrap_or_default()));
    }
}

/// The tokens of all texts; unknown where one of them does not say.
fn tokens(predictions: Vec<WirePrediction<'_>>) -> Option<u64> {
    let counts = predictions.into_iter().map(|prediction| {
        let statistics = taken(prediction.embeddings).and_then(|embedding| taken(embedding.statistics));
        part(statistics?.token_count)
    });
    counts.reduce(|total, count| total?.checked_add(count?))?
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let mut usage = Usage::default();
    if let Some(Count(tokens)) = wire.token_count {
        usage.tokens.set(TokenBucket::UncachedInput, tokens)?;
    }
    usage.set_unit(Unit::ImagesOutput, wire.images.map(|Count(images)| images))?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::testing::cut_at_every_offset;

    #[test]
    fn embeddings_count_the_tokens_of_all_texts() {
        let body = r#"{"predictions":[{"embeddings":{"values":[0.1,-0.2],"statistics":{"truncated":false,"token_count":6.0}}},
            {"embeddings":{"values":[0.3],"statistics":{"truncated":false,"token_count":4}}}],"metadata":{"billableCharacterCount":42}}"#;
        let answer = Answer::read(body, &VERTEX_PREDICT);
        assert_eq!(answer.usage_json.as_deref(), Some(r#"{"token_count":10,"billableCharacterCount":42}"#));
        let usage = cut_at_every_offset(body, &VERTEX_PREDICT);
        assert_eq!((usage.tokens.total_in(), usage.tokens.total_out()), (Some(10), None));
    }

    #[test]
    fn images_are_counted_where_they_were_made() {
        let body = r#"{"predictions":[{"bytesBase64Encoded":"aGk=","mimeType":"image/png"},{"raiFilteredReason":"withheld"},
            {"gcsUri":"gs://b/1.png"}],"metadata":{}}"#;
        let usage = cut_at_every_offset(body, &VERTEX_PREDICT);
        assert_eq!((usage.units.get(Unit::ImagesOutput), usage.tokens.is_empty()), (2, true));
    }

    #[test]
    fn what_does_not_say_has_no_usage() {
        for body in [
            r#"{"predictions":[]}"#,
            r#"{"predictions":[{"embeddings":{"statistics":{"token_count":6}}},{"embeddings":{}}]}"#,
            r#"{"predictions":[{"raiFilteredReason":"withheld"}]}"#,
            r#"{"predictions":"none","metadata":7}"#,
            r#"{"error":{"code":400,"message":"no"}}"#,
        ] {
            assert_eq!(Answer::read(body, &VERTEX_PREDICT).usage_json, None, "{body}");
        }
    }
}

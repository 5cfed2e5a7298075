//! The making of images: by tokens at the newer models, by the image at the older ones. Both are counted.

use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit};

use super::responses::WireUsage;
use super::{Api, Usage, UsageError};
use crate::normalize::answer::{Answer, Members, each_element};
use crate::text::name;

pub(in crate::normalize) static IMAGES: Api = Api { name: "images", read, usage };

fn read(members: &Members<'_>, answer: &mut Answer) {
    answer.identify(members);
    // Tokens without the images that may stand behind the cut, or images without their tokens, are half a bill.
    if !members.complete {
        return;
    }
    let mut images = 0;
    if !answer.streamed {
        each_element(members.data.map_or("", RawValue::get), |_| images += 1);
    } else if members.kind.and_then(name).is_some_and(|kind| kind.ends_with(".completed")) {
        images = answer.units.get(Unit::ImagesOutput) + 1;
    }
    if let Some(usage) = members.usage {
        answer.report(usage, images > 0);
    }
    if images > 0 {
        // A count beyond all measure is as good as none.
        let _ = answer.units.set(Unit::ImagesOutput, images);
        answer.settle();
    }
}

/// What is made are images, as far as the details do not tell of text.
fn usage(json: &str) -> Result<Usage, UsageError> {
    WireUsage::read(json)?.apart(TokenBucket::ImageOutput)
}

#[cfg(test)]
mod tests {
    use weir_event::TokenBucket::{ImageInput, ImageOutput, TextOutput, UncachedInput};

    use super::*;
    use crate::normalize::testing::cut_at_every_offset;

    fn check(body: &str, tokens: &[(TokenBucket, u64)], images: u64) {
        let usage = cut_at_every_offset(body, &IMAGES);
        assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), tokens, "{body}");
        assert_eq!(usage.units.get(Unit::ImagesOutput), images, "{body}");
    }

    #[test]
    fn tokens_and_images_are_counted() {
        check(
            r#"{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":323,"input_tokens_details":{"image_tokens":300,"text_tokens":23},"output_tokens":4160,"total_tokens":4483}}"#,
            &[(UncachedInput, 23), (ImageInput, 300), (ImageOutput, 4160)],
            1,
        );
        check(
            r#"{"data":[{"url":"https://x.example/1"},{"url":"https://x.example/ü"}],"usage":{"input_tokens":9,"output_tokens":1120,"output_tokens_details":{"image_tokens":1056,"text_tokens":64}}}"#,
            &[(UncachedInput, 9), (TextOutput, 64), (ImageOutput, 1056)],
            2,
        );
    }

    #[test]
    fn models_that_count_no_tokens_are_billed_by_the_image() {
        check(
            r#"{"created":1,"data":[{"url":"https://x.example/1","revised_prompt":"a 🐈"},{"url":"https://x.example/2"}]}"#,
            &[],
            2,
        );
        let refused = Answer::read(r#"{"error":{"message":"no"}}"#, &IMAGES);
        assert_eq!(refused.usage(&IMAGES), None);
    }

    #[test]
    fn a_stream_ends_with_the_image() {
        check(
            concat!(
                "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"aGk=\",\"partial_image_index\":0}\n\n",
                "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"aGk=\",\"usage\":{\"input_tokens\":50,\"output_tokens\":272,\"input_tokens_details\":{\"text_tokens\":50,\"image_tokens\":0}}}\n\n",
            ),
            &[(UncachedInput, 50), (ImageInput, 0), (ImageOutput, 272)],
            1,
        );
    }
}

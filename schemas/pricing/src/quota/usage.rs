//! What new-api counts of a request: figures that overlap, unlike the buckets of an event.

use weir_event::{QuotaSemantics, TokenBucket as Bucket, Tokens};

/// The token counts of one request, as new-api logs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct QuotaUsage {
    /// Input: all of it in OpenAI's semantics, without what the cache served or took in Anthropic's.
    pub prompt: u64,
    /// Output, all of it.
    pub completion: u64,
    /// Input that the cache served.
    pub cached: u64,
    /// Input that was written to the cache, for whatever time.
    pub cache_creation: u64,
    /// The part of it that is kept for 5 minutes, where that is known.
    pub cache_creation_5m: u64,
    /// The part of it that is kept for 1 hour.
    pub cache_creation_1h: u64,
    /// The part of the prompt that is images.
    pub image_input: u64,
    /// The part of the prompt that is audio.
    pub audio_input: u64,
    /// The part of the completion that is audio.
    pub audio_output: u64,
}

impl QuotaUsage {
    /// What new-api would have counted for these tokens.
    #[must_use]
    pub fn of_tokens(tokens: &Tokens, semantics: QuotaSemantics) -> Self {
        let get = |bucket| tokens.get(bucket).unwrap_or(0);
        let cached = get(Bucket::CacheRead) + get(Bucket::CacheReadAudio) + get(Bucket::CacheReadImage);
        let cache_creation = get(Bucket::CacheWrite5m) + get(Bucket::CacheWrite1h);
        let input = tokens.total_in().unwrap_or(0);
        Self {
            prompt: match semantics {
                QuotaSemantics::Openai => input,
                QuotaSemantics::Anthropic => input - cached - cache_creation,
            },
            completion: tokens.total_out().unwrap_or(0),
            cached,
            cache_creation,
            cache_creation_5m: get(Bucket::CacheWrite5m),
            cache_creation_1h: get(Bucket::CacheWrite1h),
            image_input: get(Bucket::ImageInput),
            audio_input: get(Bucket::AudioInput),
            audio_output: get(Bucket::AudioOutput),
        }
    }

    /// Whether there is neither a prompt nor a completion.
    pub(super) const fn is_empty(&self) -> bool {
        self.prompt == 0 && self.completion == 0
    }
}

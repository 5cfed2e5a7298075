//! Token counts in disjoint buckets: no token is in two of them, so they can be summed and priced without care.
//!
//! Providers report overlapping figures (OpenAI's cached tokens are part of its prompt tokens, Anthropic's are not;
//! research into peers' bug lists shows that this is where they bill twice). They are taken apart once, at ingest.

use serde::{Deserialize, Serialize};

/// A kind of token that is counted, and priced, on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBucket {
    /// Text read by the model at the full input price.
    UncachedInput,
    /// Input served from the provider's prompt cache.
    CacheRead,
    /// Input written to the provider's prompt cache for its standard lifetime: 5 minutes at Anthropic, and whatever it
    /// is where the provider has only one.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Input written to the provider's prompt cache, kept for 1 hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Audio read by the model.
    AudioInput,
    /// Images and pages read by the model, where the provider counts them apart from text.
    ImageInput,
    /// Video read by the model.
    VideoInput,
    /// Audio served from the provider's prompt cache, where the provider counts it apart from text.
    CacheReadAudio,
    /// Images served from the provider's prompt cache, where the provider counts them apart from text.
    CacheReadImage,
    /// Text written by the model and shown.
    TextOutput,
    /// Reasoning written by the model and billed, shown or not.
    Reasoning,
    /// Audio written by the model.
    AudioOutput,
    /// Images written by the model, where the provider counts them in tokens.
    ImageOutput,
    /// Video written by the model, where the provider counts it in tokens.
    VideoOutput,
    /// Citations, where the provider bills them on top of the answer (Perplexity).
    Citation,
}

impl TokenBucket {
    /// Every bucket, input before output.
    pub const ALL: [Self; 15] = [
        Self::UncachedInput,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::AudioInput,
        Self::ImageInput,
        Self::VideoInput,
        Self::CacheReadAudio,
        Self::CacheReadImage,
        Self::TextOutput,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
        Self::VideoOutput,
        Self::Citation,
    ];

    /// The word for it, as JSON and price books have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UncachedInput => "uncached_input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::AudioInput => "audio_input",
            Self::ImageInput => "image_input",
            Self::VideoInput => "video_input",
            Self::CacheReadAudio => "cache_read_audio",
            Self::CacheReadImage => "cache_read_image",
            Self::TextOutput => "text_output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
            Self::VideoOutput => "video_output",
            Self::Citation => "citation",
        }
    }

    /// Whether its tokens were read by the model; otherwise it wrote them.
    #[must_use]
    pub const fn is_input(self) -> bool {
        match self {
            Self::UncachedInput
            | Self::CacheRead
            | Self::CacheWrite5m
            | Self::CacheWrite1h
            | Self::AudioInput
            | Self::ImageInput
            | Self::VideoInput
            | Self::CacheReadAudio
            | Self::CacheReadImage => true,
            Self::TextOutput
            | Self::Reasoning
            | Self::AudioOutput
            | Self::ImageOutput
            | Self::VideoOutput
            | Self::Citation => false,
        }
    }
}

/// The token counts of one event. A bucket that the provider did not report is `None`, which is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tokens([Option<u64>; TokenBucket::ALL.len()]);

/// Why a count was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} tokens in {bucket:?} is more than {}", Tokens::BUCKET_MAX)]
pub struct TokensError {
    /// Where the count was to go.
    pub bucket: TokenBucket,
    /// The count.
    pub count: u64,
}

impl Tokens {
    /// The most tokens that one bucket of one event takes: a trillion. More is a broken log line, and the bound
    /// keeps every total within `u64` and `Int64`.
    pub const BUCKET_MAX: u64 = 1_000_000_000_000;

    /// Sets a bucket.
    pub fn set(&mut self, bucket: TokenBucket, count: u64) -> Result<(), TokensError> {
        if count > Self::BUCKET_MAX {
            return Err(TokensError { bucket, count });
        }
        self.0[bucket as usize] = Some(count);
        Ok(())
    }

    /// The count in a bucket, `None` where it was not reported.
    #[must_use]
    pub const fn get(&self, bucket: TokenBucket) -> Option<u64> {
        self.0[bucket as usize]
    }

    /// The buckets that were reported, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (TokenBucket, u64)> + '_ {
        TokenBucket::ALL.into_iter().filter_map(|bucket| Some((bucket, self.get(bucket)?)))
    }

    /// Whether nothing was reported at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// All input, cached or not: what Cloudflare calls `tokens_in`. `None` where no input was reported.
    #[must_use]
    pub fn total_in(&self) -> Option<u64> {
        self.total(true)
    }

    /// All output, reasoning included: what Cloudflare calls `tokens_out`. `None` where no output was reported.
    #[must_use]
    pub fn total_out(&self) -> Option<u64> {
        self.total(false)
    }

    fn total(&self, input: bool) -> Option<u64> {
        self.iter()
            .filter(|(bucket, _)| bucket.is_input() == input)
            .map(|(_, count)| count)
            .reduce(|a, b| a + b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreported_is_not_zero() {
        let mut tokens = Tokens::default();
        assert!(tokens.is_empty());
        assert_eq!((tokens.total_in(), tokens.total_out()), (None, None));
        tokens.set(TokenBucket::CacheRead, 0).unwrap();
        assert_eq!((tokens.total_in(), tokens.total_out()), (Some(0), None));
    }

    #[test]
    fn totals_take_every_bucket_once() {
        let mut tokens = Tokens::default();
        for (index, bucket) in TokenBucket::ALL.into_iter().enumerate() {
            assert_eq!(bucket as usize, index, "ALL is in the order of the enum");
            tokens.set(bucket, 1 << index).unwrap();
        }
        assert_eq!(tokens.total_in(), Some(0b1_1111_1111));
        assert_eq!(tokens.total_out(), Some(0b111_1110_0000_0000));
    }

    #[test]
    fn json_and_price_books_use_one_word() {
        for bucket in TokenBucket::ALL {
            assert_eq!(serde_json::to_value(bucket).unwrap(), bucket.as_str());
        }
    }

    #[test]
    fn an_impossible_count_is_refused() {
        let mut tokens = Tokens::default();
        let error = tokens.set(TokenBucket::TextOutput, Tokens::BUCKET_MAX + 1).unwrap_err();
        assert_eq!(error.to_string(), "1000000000001 tokens in TextOutput is more than 1000000000000");
        assert!(tokens.is_empty());
    }
}

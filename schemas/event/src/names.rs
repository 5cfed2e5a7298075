//! The closed vocabularies of an event. Each word is the same in JSON, in Rust and in SQL.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A word that the named vocabulary does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {vocabulary} {word:?}")]
pub struct UnknownName {
    /// Which vocabulary was asked.
    pub vocabulary: &'static str,
    /// The word that it does not have.
    pub word: String,
}

/// Declares an enum whose variants are words, with the conversions that all of them share.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident, $label:literal { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for it, as JSON and SQL have it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    // Any other word is the caller's, not ours.
                    _ => Err(UnknownName { vocabulary: $label, word: word.to_owned() }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

vocabulary! {
    /// What kind of thing happened. Gateways that keep accounts log more than requests.
    EventKind, "kind" {
        /// A request was answered.
        Consume = "consume",
        /// Credit was added to an account.
        Topup = "topup",
        /// An administrator changed something.
        Manage = "manage",
        /// A request failed.
        Error = "error",
        /// The system noted something.
        System = "system",
        /// Credit was given back.
        Refund = "refund",
        /// A user signed in.
        Login = "login",
    }
}

impl EventKind {
    /// Whether a model was called: only that is a request. The other kinds are kept and listed, and in no statistics.
    #[must_use]
    pub const fn is_call(self) -> bool {
        matches!(self, Self::Consume | Self::Error)
    }
}

vocabulary! {
    /// Through which door an event came in.
    Source, "source" {
        /// Cloudflare Logpush over HTTP.
        Logpush = "logpush",
        /// Events posted over HTTP.
        Http = "http",
        /// A Kafka topic.
        Kafka = "kafka",
        /// An import from a file.
        Import = "import",
    }
}

vocabulary! {
    /// In which form an event was written.
    Dialect, "dialect" {
        /// Weir's own event.
        Canonical = "canonical",
        /// A malacca worker that logs `{request_body}` and `{response_body}` (its documented form).
        MalaccaObject = "malacca_object",
        /// A malacca worker that logs `Request:` and `Response:` with `{body}` (its newest form).
        MalaccaTagged = "malacca_tagged",
        /// A malacca worker of which only the metrics line is there.
        MalaccaMetrics = "malacca_metrics",
        /// A Workers trace event without any line of the worker's logging.
        BareTrace = "bare_trace",
        /// A log of Cloudflare's AI Gateway, delivered by Logpush.
        AiGatewayLogpush = "ai_gateway_logpush",
        /// A row of Cloudflare's AI Gateway Logs API.
        CloudflareLog = "cloudflare_log",
        /// A row of new-api's log.
        NewApiLog = "new_api_log",
    }
}

vocabulary! {
    /// What was asked of the provider.
    RequestType, "request_type" {
        /// A chat completion.
        Chat = "chat",
        /// A text completion.
        Completion = "completion",
        /// A response (OpenAI's Responses API).
        Response = "response",
        /// Embeddings.
        Embedding = "embedding",
        /// Images.
        Image = "image",
        /// Speech or transcription.
        Audio = "audio",
        /// Anything else.
        Other = "other",
    }
}

vocabulary! {
    /// Where the cost of an event comes from.
    CostSource, "cost_source" {
        /// The event carried it.
        Provided = "provided",
        /// The event carried prices per token.
        Custom = "custom",
        /// Token counts times a row of the price book.
        Computed = "computed",
        /// The gateway answered from its own cache, so nothing was bought.
        CachedZero = "cached_zero",
        /// No price or no token counts: the cost is unknown, which is not 0.
        Unpriced = "unpriced",
    }
}

vocabulary! {
    /// What live windows are told apart by. The word is also the name of a parameter and of a member of an answer.
    Dimension, "dimension" {
        /// The API token, see [`crate::Caller::token`].
        Token = "token",
        /// The model that answered.
        Model = "model",
        /// Who ran the model.
        Provider = "provider",
        /// The user's id.
        User = "user",
        /// The upstream channel's id.
        Channel = "channel",
    }
}

vocabulary! {
    /// A figure that rows of live windows are ordered by.
    Measure, "measure" {
        /// Requests.
        Requests = "requests",
        /// Requests that failed.
        Errors = "errors",
        /// Requests that the gateway's cache answered.
        Cached = "cached",
        /// Requests whose cost is unknown.
        Unpriced = "unpriced",
        /// Input and output tokens together.
        Tokens = "tokens",
        /// Input tokens.
        TokensIn = "tokens_in",
        /// Output tokens.
        TokensOut = "tokens_out",
        /// The known costs.
        Cost = "cost",
    }
}

vocabulary! {
    /// Why a cost is unknown, which is not 0.
    UnpricedReason, "unpriced_reason" {
        /// Nothing was counted: an error, a log that was cut, or an answer that did not report its usage.
        NoUsage = "no_usage",
        /// Output was reported and input was not: a part of the cost is not the cost.
        NoInput = "no_input",
        /// Input was reported, and output, which has a price, was not.
        NoOutput = "no_output",
        /// The provider is not known.
        NoProvider = "no_provider",
        /// The model is not known.
        NoModel = "no_model",
        /// The price book does not know the provider's model.
        NoPrice = "no_price",
        /// The price book knows the model, but no price that was in force at the time.
        NotInForce = "not_in_force",
        /// The price book knows the model, but no price for the service tier that it ran in.
        NoTierPrice = "no_tier_price",
        /// A bucket of tokens was used that has no price.
        NoBucketPrice = "no_bucket_price",
        /// Only units were counted, and none of them has a price.
        NoUnitPrice = "no_unit_price",
        /// The sum is more than an amount can be.
        OutOfRange = "out_of_range",
    }
}

vocabulary! {
    /// Where the quota units of an event come from.
    QuotaSource, "quota_source" {
        /// The event carried them.
        Provided = "provided",
        /// The gateway's own ratios, which the event carried.
        Ratios = "ratios",
        /// The cost, at 500,000 units to the dollar.
        Cost = "cost",
    }
}

vocabulary! {
    /// How new-api turns ratios into quota units; it has changed.
    QuotaArithmetic, "quota_arithmetic" {
        /// In decimals, rounded half away from zero at the end, held within 32 bits.
        Current = "current",
        /// As until 2025: a request in Anthropic's form is truncated, and nothing is held within bounds.
        Legacy = "legacy",
    }
}

vocabulary! {
    /// What new-api calls the prompt tokens of a request.
    QuotaSemantics, "quota_semantics" {
        /// All input, cached or not.
        Openai = "openai",
        /// The input without what was read from or written to the cache.
        Anthropic = "anthropic",
    }
}

vocabulary! {
    /// What new-api charges a request for.
    QuotaMode, "quota_mode" {
        /// Its tokens, or a fixed price.
        Text = "text",
        /// Its text and audio tokens, each at ratios of their own.
        Audio = "audio",
        /// A task, at a fixed price that is truncated.
        Task = "task",
    }
}

vocabulary! {
    /// What is counted, and billed, apart from tokens. Names end in the unit; without one it is a number of things.
    Unit, "unit" {
        /// Searches of the web that the provider ran for the answer.
        WebSearches = "web_searches",
        /// Searches of stored files that the provider ran for the answer.
        FileSearches = "file_searches",
        /// Runs of code by the provider for the answer.
        CodeExecutions = "code_executions",
        /// Searches of a reranking request, as the provider bills them.
        RerankSearches = "rerank_searches",
        /// Images that were made.
        ImagesOutput = "images_output",
        /// Audio that was transcribed or translated, in milliseconds.
        AudioInputMs = "audio_input_ms",
        /// Audio that was spoken, in milliseconds.
        AudioOutputMs = "audio_output_ms",
        /// Video that was made, in milliseconds.
        VideoOutputMs = "video_output_ms",
        /// Characters of a text that is to be spoken.
        InputCharacters = "input_characters",
        /// Pages of a document that was read.
        InputPages = "input_pages",
        /// Pages of a document that was read and annotated.
        AnnotatedPages = "annotated_pages",
    }
}

vocabulary! {
    /// What a reader of a row has to know about it that no figure tells.
    Flag, "flag" {
        /// The provider's usage contradicts itself (parts beyond their whole): no token of it was believed.
        ImpossibleUsage = "impossible_usage",
        /// The request's body came encrypted, and could not be decrypted.
        RequestUndecryptable = "request_undecryptable",
        /// The answer's body came encrypted, and could not be decrypted.
        ResponseUndecryptable = "response_undecryptable",
        /// The metadata came encrypted, and could not be decrypted.
        MetadataUndecryptable = "metadata_undecryptable",
        /// Something in the bodies or the metadata was blanked by a redaction rule.
        Redacted = "redacted",
        /// The redaction rules could not be applied, so the bodies and the metadata were not stored.
        RedactionFailed = "redaction_failed",
        /// Only the beginnings of the bodies were stored, as the gateway's policy has it.
        BodiesCut = "bodies_cut",
        /// The bodies were not stored, as the gateway's policy has it.
        BodiesWithheld = "bodies_withheld",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for dialect in Dialect::ALL {
            assert_eq!(dialect.as_str().parse(), Ok(*dialect));
        }
    }

    #[test]
    fn an_unknown_word_names_the_vocabulary() {
        let error = "Consume".parse::<EventKind>().unwrap_err();
        assert_eq!(error.to_string(), r#"unknown kind "Consume""#);
    }
}

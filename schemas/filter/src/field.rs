//! The catalogue: every field that can be asked for, by the name that it has in JSON, in SQL and in the text form.

use std::fmt;

use crate::Operator;

/// Declares the fields of one kind. What is said of a field is its documentation here and in the reference.
macro_rules! fields {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal: $about:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $about] $variant,)+ }

        impl $name {
            /// Every field of this kind, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, which is also that of its column where it has one of its own.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What it is, for the reference.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

fields! {
    /// A field that is a text. Where the source did not say, it is the empty text.
    TextField {
        Id = "id": "the event's id, 26 characters",
        EventId = "event_id": "the producer's own id",
        RequestId = "request_id": "the provider's id for the answer",
        RayId = "ray_id": "Cloudflare's ray id of the request",
        Source = "source": "the door it came in through: logpush, http, kafka, import",
        Dialect = "dialect": "the form it was written in",
        Kind = "kind": "what happened: consume, topup, manage, error, system, refund, login",
        Provider = "provider": "who ran the model",
        Model = "model": "the model that answered",
        ModelRequested = "model_requested": "the model, or deployment, that was asked for",
        ModelType = "model_type": "what sort of model",
        RequestType = "request_type": "what was asked of it",
        Path = "path": "the provider's path, without a leading slash",
        Error = "error": "what went wrong, in the provider's words",
        UserId = "user_id": "the caller's id",
        UserName = "user_name": "the caller's name",
        Token = "token": "what statistics per API token go by: its id, else its hash, else its name",
        TokenId = "token_id": "the API token's id",
        TokenName = "token_name": "the API token's name",
        TokenHash = "token_hash": "SHA-256 of the API token, 64 hex digits",
        Group = "group": "the caller's group",
        ChannelId = "channel_id": "the upstream channel's id",
        Ip = "ip": "the caller's address",
        Country = "country": "the caller's country, two letters",
        UserAgent = "user_agent": "the caller's User-Agent",
        ServiceTier = "service_tier": "how the provider ran it, empty for standard",
        CostSource = "cost_source": "where the cost is from",
        UnpricedReason = "unpriced_reason": "why there is no cost",
        PriceId = "price_id": "the row of the price book that made a computed cost",
        PriceBook = "price_book": "the edition of the price book that made a computed cost",
        RequestContentType = "request_content_type": "the request's content type",
        ResponseContentType = "response_content_type": "the answer's content type",
        DlpAction = "dlp_action": "what data loss prevention did: FLAG, BLOCK",
        PromptId = "prompt_id": "the stored prompt that the request was made of",
        PromptVersionId = "prompt_version_id": "the version of that prompt",
        Content = "content": "what an event that is no failure is about, in words",
        UpstreamRequestId = "upstream_request_id": "the provider's own id, where the other one is the gateway's",
    }
}

fields! {
    /// A field that is a number, or unknown.
    NumberField {
        Cost = "cost": "US dollars, to 18 decimals",
        Tokens = "tokens": "input and output tokens together",
        TokensIn = "tokens_in": "input tokens",
        TokensOut = "tokens_out": "output tokens",
        TokensCacheRead = "tokens_cache_read": "input tokens from the provider's cache",
        TokensReasoning = "tokens_reasoning": "output tokens that are reasoning",
        DurationMs = "duration_ms": "how long it took, in milliseconds",
        TimeToFirstTokenMs = "time_to_first_token_ms": "milliseconds to the first token of a streamed answer",
        StatusCode = "status_code": "the HTTP status of the answer",
        Step = "step": "the index of the fallback step that answered",
        RequestSize = "request_size": "the request's bytes",
        ResponseSize = "response_size": "the answer's bytes",
        Quota = "quota": "quota units, 500,000 to the dollar",
        Feedback = "feedback": "what people think of the answer, from -1 to 1",
        Score = "score": "how good the answer was found to be, from 0 to 100",
    }
}

fields! {
    /// A field that is a point in time, to the millisecond.
    TimeField {
        CreatedAt = "created_at": "when the call ended",
        StartedAt = "started_at": "when the call began",
    }
}

fields! {
    /// A field that is true or false.
    FlagField {
        Success = "success": "whether it went well",
        Cached = "cached": "whether the gateway's cache answered",
        Streamed = "streamed": "whether the answer was streamed",
        Truncated = "truncated": "whether parts of the log were cut before they arrived",
        CustomCost = "custom_cost": "whether the caller set the prices",
        Authentication = "authentication": "whether the gateway asked its caller to authenticate",
        Wholesale = "wholesale": "whether the gateway's operator pays the provider for its callers",
        CompatibilityMode = "compatibility_mode": "whether the request came in the form of another provider's API",
    }
}

fields! {
    /// A side of all entries of a row's metadata. A row is asked whether any of its entries has it; two conditions may
    /// be met by two entries.
    EntrySide {
        Key = "metadata.key": "the name of any entry of the metadata",
        Value = "metadata.value": "the value of any entry of the metadata, as text",
    }
}

/// Any field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A text.
    Text(Texts),
    /// A number.
    Number(NumberField),
    /// A point in time.
    Time(TimeField),
    /// True or false.
    Flag(FlagField),
}

/// Which texts of a row are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Texts {
    /// One.
    Of(TextField),
    /// One side of all entries of the metadata.
    AnyEntry(EntrySide),
    /// The value of the metadata's entry of this name, as text: `metadata["team"]`.
    Entry(String),
}

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Texts.
    Text,
    /// Decimal numbers.
    Number,
    /// Points in time.
    Time,
    /// True or false.
    Flag,
}

impl Field {
    /// Every field but the single entries of metadata, whose names are the callers' own.
    pub fn all() -> impl Iterator<Item = Self> {
        let times = TimeField::ALL.iter().copied().map(Self::Time);
        let texts = TextField::ALL.iter().copied().map(Texts::Of).map(Self::Text);
        let numbers = NumberField::ALL.iter().copied().map(Self::Number);
        let flags = FlagField::ALL.iter().copied().map(Self::Flag);
        let entries = EntrySide::ALL.iter().copied().map(Texts::AnyEntry).map(Self::Text);
        times.chain(texts).chain(numbers).chain(flags).chain(entries)
    }

    /// The field of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|field| field.to_string() == name)
    }

    /// What its values are.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Number(_) => Kind::Number,
            Self::Time(_) => Kind::Time,
            Self::Flag(_) => Kind::Flag,
        }
    }

    /// What it is, for the reference.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        match self {
            Self::Text(Texts::Of(field)) => field.about(),
            Self::Text(Texts::AnyEntry(side)) => side.about(),
            Self::Text(Texts::Entry(_)) => "the value of the metadata's entry of this name, as text",
            Self::Number(field) => field.about(),
            Self::Time(field) => field.about(),
            Self::Flag(field) => field.about(),
        }
    }
}

impl Kind {
    /// The operators that it admits.
    #[must_use]
    pub const fn operators(self) -> &'static [Operator] {
        use Operator as Op;
        match self {
            Self::Text => &[Op::Eq, Op::Neq, Op::In, Op::Contains, Op::StartsWith, Op::Like, Op::Exists],
            Self::Number => &[Op::Eq, Op::Neq, Op::Lt, Op::Lte, Op::Gt, Op::Gte, Op::In, Op::Exists],
            Self::Time => &[Op::Eq, Op::Neq, Op::Lt, Op::Lte, Op::Gt, Op::Gte],
            Self::Flag => &[Op::Eq, Op::Neq],
        }
    }
}

/// As the text form has it.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(texts) => texts.fmt(f),
            Self::Number(field) => field.fmt(f),
            Self::Time(field) => field.fmt(f),
            Self::Flag(field) => field.fmt(f),
        }
    }
}

impl fmt::Display for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(field) => field.fmt(f),
            Self::AnyEntry(side) => side.fmt(f),
            Self::Entry(name) => write!(f, "metadata[{}]", serde_json::Value::from(name.as_str())),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Time => "time",
            Self::Flag => "flag",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_by_no_other() {
        let names: Vec<_> = Field::all().map(|field| field.to_string()).collect();
        let mut distinct = names.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len());
        for (field, name) in Field::all().zip(names) {
            assert_eq!(Field::named(&name), Some(field));
        }
        assert_eq!(Field::named("metadata[\"a\"]"), None);
        assert_eq!(Field::named("Model"), None);
    }
}

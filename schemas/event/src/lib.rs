//! The canonical event and what it is made of: the vocabulary that every part of Weir shares.
//!
//! Everything here is plain data with its rules: no I/O, no async, no clock. The rules are enforced by the types
//! (private fields, fallible constructors), so code that holds a value does not check it again.
//!
//! - [`UsageEvent`]: one thing that happened, as every source decodes to it.
//! - [`EventId`], [`AccountId`], [`GatewayId`], [`Timestamp`]: what identifies it.
//! - [`Usd`]: money, exact; [`Tokens`]: disjoint token counts; [`Units`]: what else is billed.
//! - [`Histogram`]: how long calls took, as far as quantiles need it.
//! - [`wire`]: the published JSON form for producers; [`bus`]: what travels from `ingest` to `aggregator`.

mod attributes;
pub mod bus;
mod event;
mod flags;
mod fnv;
mod histogram;
mod id;
mod members;
mod metadata;
mod money;
mod names;
mod quota;
mod rating;
mod scope;
mod texts;
mod time;
mod tokens;
mod units;
pub mod wire;

pub use attributes::Attributes;
pub use event::{Bodies, Caller, CustomCost, UsageEvent};
pub use flags::Flags;
pub use fnv::fnv1a;
pub use histogram::Histogram;
pub use id::{EventId, EventIdError};
pub use members::Members;
pub use metadata::{Metadata, MetadataValue};
pub use money::{Usd, UsdError};
pub use names::{
    CostSource, Dialect, Dimension, EventKind, Flag, Measure, QuotaArithmetic, QuotaMode, QuotaSemantics,
    QuotaSource, RequestType, Source, Unit, UnknownName, UnpricedReason,
};
pub use quota::{QuotaRatios, QuotaTool, Ratio, RatioError};
pub use rating::{Feedback, Rating, RatingError, Score};
pub use scope::{AccountId, GatewayId, Scope, ScopeError};
pub use texts::Texts;
pub use time::{Timestamp, TimestampError};
pub use tokens::{TokenBucket, Tokens, TokensError};
pub use units::{Units, UnitsError};

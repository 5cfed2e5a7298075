//! Stage 3: from what a source said to what happened.
//!
//! In: a [`TraceRecord`](crate::decode::TraceRecord) or an [`AiGatewayLog`](crate::decode::AiGatewayLog). Out: a [`UsageEvent`](weir_event::UsageEvent): which provider
//! ran which model, how it went, how many tokens of which kind. What the record does not say stays unknown: a partial
//! record gives a partial event, never an error and never a guess.
//!
//! - `route` and `provider`: from the URL to who is behind it, which model the path names, and in which API it answers.
//! - `question` and `answer`: what the bodies say, whatever they are made of (JSON, events, lists), whole or cut.
//! - `api`: one file for each API that providers answer in: how it reports usage, taken apart into disjoint buckets.
//! - `facts`: what all of these say of one call.
//! - `event` and `ai_gateway`: the event put together, one file for each source; `metadata`: what the caller attached.

mod ai_gateway;
mod answer;
mod api;
mod arrival;
mod event;
mod facts;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod metadata;
mod provider;
mod question;
mod route;
#[cfg(test)]
mod testing;

pub use ai_gateway::normalize_ai_gateway;
pub use arrival::{Arrival, normalize_event};
pub use event::normalize;

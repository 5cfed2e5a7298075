//! Stage 3: from what a source said to what happened.
//!
//! In: a [`TraceRecord`](crate::decode::TraceRecord), an [`AiGatewayLog`](crate::decode::AiGatewayLog) or an
//! [`EventRecord`](crate::decode::EventRecord). Out: a [`UsageEvent`](weir_event::UsageEvent): which provider
//! ran which model, how it went, how many tokens of which kind. What the record does not say stays unknown: a partial
//! record gives a partial event, never an error and never a guess.
//!
//! - `route` and `provider`: from the URL to who is behind it, which model the path names, and in which API it answers.
//! - `question` and `answer`: what the bodies say, whatever they are made of (JSON, events, lists), whole or cut.
//! - `api`: one file for each API that providers answer in: how it reports usage, taken apart into disjoint buckets.
//! - `facts`: what all of these say of one call.
//! - `event`, `ai_gateway`, `cloudflare_log` and `new_api_log`: the event put together, one file for each form; `arrival`:
//!   what an event that its producer wrote does not say itself; `metadata`: what the caller attached.

mod ai_gateway;
mod answer;
mod api;
mod arrival;
mod cloudflare_log;
mod event;
mod facts;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod metadata;
mod new_api_log;
mod provider;
mod question;
mod route;
#[cfg(test)]
mod testing;

pub use ai_gateway::normalize_ai_gateway;
pub use arrival::{Arrival, normalize_event};
pub use event::normalize;
pub use new_api_log::NewApiTypes;

//! Stage 3: from what a source said to what happened.
//!
//! In: a [`TraceRecord`](crate::decode::TraceRecord). Out: a [`UsageEvent`](weir_event::UsageEvent): which provider
//! ran which model, how it went, how many tokens of which kind. What the record does not say stays unknown: a partial
//! record gives a partial event, never an error and never a guess.

mod answer;
mod event;
mod question;
mod route;
mod sse;
mod usage;

pub use event::normalize;

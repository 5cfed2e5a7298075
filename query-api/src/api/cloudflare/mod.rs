//! The AI Gateway Logs API as Cloudflare's clients speak it: list, get, patch, delete, request body, response body.
//!
//! In: paths under `/client/v4/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs`. Out: Cloudflare's
//! envelopes and codes. SDKs read 4xx and 5xx as errors and retry some of them on their own, so statuses are chosen
//! with care, and a 200 never carries `success: false`.

mod delete_query;
mod envelope;
mod error;
mod filters;
#[cfg(fuzzing)]
pub mod fuzzing;
mod instant;
mod list_query;
mod logs;
mod patch_body;
mod routes;
mod tenant;

pub(super) use error::refuse;
#[cfg(test)]
pub(super) use list_query::problems as list_problems;
pub(super) use routes::routes;

//! Delivers alerts to endpoints over HTTP, signed.
//!
//! In: the stream of alerts, and the endpoints that the configuration names. Out: a `POST` of each alert to each endpoint that its
//! budget names, by the rules of Standard Webhooks (<https://www.standardwebhooks.com>): an id that is the same in every
//! delivery, a time, and an HMAC-SHA256 of both with the body.
//!
//! Each endpoint has a durable consumer of its own, which all aggregators share, so none holds up another. An alert is
//! acknowledged when its endpoint has answered with a 2xx; whoever dies in between leaves it to be delivered again. Where
//! budgets lead to is said in the configuration alone: who may write a budget cannot have us send to an address of theirs, nor to
//! one that is not for their account. What anomalies name is configuration too, so it is not asked whose they are.

mod answer;
mod delivery;
mod endpoints;
mod health;
mod http;
mod metrics;
mod signature;

pub use delivery::{Webhooks, WebhooksError, consumer_config};
pub use endpoints::{Endpoint, Endpoints, EndpointsError, NoWay};
pub use metrics::WebhookMetrics;

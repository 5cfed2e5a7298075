//! What can go wrong in this dialect, and the one function that turns it into a response.

use tokio::time::error::Elapsed;
use warp::http::StatusCode;
use warp::http::header::{ALLOW, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use warp::path::FullPath;
use warp::reply::Response;

use super::envelope::{ErrorEnvelope, Issue, Step};
use crate::api::app::{Blame, DialectError, Failure};
use crate::api::reply::{json, with_retry_after};
use crate::api::routes::Unmatched;
use crate::auth::{AuthError, Forbidden};
use crate::store::{DeletionError, StoreError};

/// A request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// 401.
    #[error("caller is not known")]
    Unauthenticated(#[from] AuthError),
    /// 403.
    #[error("caller may not do this")]
    Forbidden(#[from] Forbidden),
    /// 400, with everything that is wrong.
    #[error("parameters are not understood")]
    Invalid(Vec<Issue>),
    /// 404: no such entry, or no such body.
    #[error("there is no such log")]
    NotFound,
    /// 503, or 500 where we are to blame.
    #[error("logs cannot be read")]
    Store(#[from] StoreError),
    /// 500: the server's ClickHouse user may not write. A repetition does not help, and it says so.
    #[error("the clickhouse user may not annotate: it needs INSERT on annotations")]
    NoRights(#[source] StoreError),
    /// 503, or 500 where we are to blame. Where a repetition does not help, or may delete more than was asked for, it says so.
    #[error("logs cannot be deleted")]
    Deletion(#[from] DeletionError),
    /// 503.
    #[error("time is up")]
    TimedOut(#[from] Elapsed),
}

/// Cloudflare's codes, as far as clients are known to see them.
const AUTHENTICATION: u32 = 10_000;
const INVALID: u32 = 7_001;
const METHOD: u32 = 7_001;
const NOT_FOUND: u32 = 7_002;
const NO_ROUTE: u32 = 7_000;
const FAILURE: u32 = 10_013;

impl Issue {
    /// What is wrong with a query parameter.
    pub(super) fn of_query(parameter: &str, message: impl Into<String>) -> Self {
        Self { code: INVALID, message: message.into(), path: vec!["query".into(), parameter.into()] }
    }

    /// What is wrong with one of the filters, from 0, or with one of its parts.
    pub(super) fn of_filter(index: usize, part: Option<&str>, message: impl Into<String>) -> Self {
        let path = ["query".into(), "filters".into(), Step::Number(index)].into_iter();
        Self { code: INVALID, message: message.into(), path: path.chain(part.map(Step::from)).collect() }
    }

    /// What is wrong with the body, or with a member of it.
    pub(super) fn of_body(members: &[&str], message: impl Into<String>) -> Self {
        let path = std::iter::once("body").chain(members.iter().copied()).map(Step::from);
        Self { code: INVALID, message: message.into(), path: path.collect() }
    }

    /// What is wrong with a part of the path.
    pub(super) fn of_path(parameter: &str, message: impl Into<String>) -> Self {
        Self { code: INVALID, message: message.into(), path: vec!["params".into(), parameter.into()] }
    }

    fn plain(code: u32, message: &str) -> Self {
        Self { code, message: message.to_owned(), path: Vec::new() }
    }
}

impl Failure for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Unauthenticated(AuthError::Unavailable)
            | Self::Deletion(DeletionError::Busy | DeletionError::Unknown(_))
            | Self::TimedOut(_) => Blame::Surroundings,
            Self::Unauthenticated(_) | Self::Forbidden(_) | Self::Invalid(_) | Self::NotFound => {
                Blame::Client
            }
            Self::Store(error) if error.is_retryable() => Blame::Surroundings,
            Self::Deletion(DeletionError::Store(error)) if error.is_retryable() => Blame::Surroundings,
            Self::Store(_)
            | Self::NoRights(_)
            | Self::Deletion(DeletionError::Store(_) | DeletionError::NoRights(_)) => Blame::Program,
        }
    }
}

impl DialectError for Error {
    fn into_response(self) -> Response {
        match &self {
            Self::Unauthenticated(AuthError::Unavailable) => unavailable(),
            Self::Unauthenticated(_) => {
                let issue = Issue::plain(AUTHENTICATION, "Authentication error");
                let response = json(StatusCode::UNAUTHORIZED, &ErrorEnvelope::refused(issue));
                with_header(response, WWW_AUTHENTICATE, "Bearer")
            }
            Self::Forbidden(_) => {
                let issue = Issue::plain(AUTHENTICATION, "Authentication error");
                json(StatusCode::FORBIDDEN, &ErrorEnvelope::refused(issue))
            }
            Self::Invalid(issues) => json(StatusCode::BAD_REQUEST, &ErrorEnvelope::invalid(issues.clone())),
            Self::NotFound => {
                json(StatusCode::NOT_FOUND, &ErrorEnvelope::not_found(Issue::plain(NOT_FOUND, "Not Found")))
            }
            Self::NoRights(_) | Self::Deletion(DeletionError::NoRights(_)) => {
                let message = "Logs cannot be changed here: the server is not set up for it";
                let refused = ErrorEnvelope::refused(Issue::plain(FAILURE, message));
                not_again(json(StatusCode::INTERNAL_SERVER_ERROR, &refused))
            }
            Self::Deletion(DeletionError::Unknown(_)) => {
                let message = "It is not known whether the logs will be deleted: look before you repeat it";
                not_again(json(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &ErrorEnvelope::refused(Issue::plain(FAILURE, message)),
                ))
            }
            Self::Store(error) | Self::Deletion(DeletionError::Store(error)) if !error.is_retryable() => {
                let issue = Issue::plain(FAILURE, "Internal Server Error");
                json(StatusCode::INTERNAL_SERVER_ERROR, &ErrorEnvelope::refused(issue))
            }
            Self::Store(_) | Self::Deletion(_) | Self::TimedOut(_) => unavailable(),
        }
    }
}

/// Answers where no route matched.
pub(in crate::api) fn refuse(path: &FullPath, unmatched: Unmatched) -> Response {
    match unmatched {
        Unmatched::Path => {
            let issue = Issue::plain(NO_ROUTE, "No route for that URI");
            json(StatusCode::NOT_FOUND, &ErrorEnvelope::refused(issue))
        }
        Unmatched::Method => {
            let issue = Issue::plain(METHOD, "Method not available for that URI");
            let response = json(StatusCode::METHOD_NOT_ALLOWED, &ErrorEnvelope::refused(issue));
            with_header(response, ALLOW, methods(path.as_str()))
        }
    }
}

fn unavailable() -> Response {
    let issue = Issue::plain(FAILURE, "Service Unavailable");
    with_retry_after(json(StatusCode::SERVICE_UNAVAILABLE, &ErrorEnvelope::refused(issue)))
}

/// The methods of a path that there is, told by its length.
fn methods(path: &str) -> &'static str {
    const LIST: usize = 9;
    const ENTRY: usize = 10;
    match path.trim_end_matches('/').split('/').count() {
        LIST => "GET, DELETE",
        ENTRY => "GET, PATCH",
        _ => "GET",
    }
}

/// Tells the SDKs not to repeat the request by themselves, as they do after every 5xx.
fn not_again(response: Response) -> Response {
    with_header(response, HeaderName::from_static("x-should-retry"), "false")
}

fn with_header(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

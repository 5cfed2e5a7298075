//! What can go wrong in this dialect, and the one function that turns it into a response.

use serde::Serialize;
use tokio::time::error::Elapsed;
use warp::http::StatusCode;
use warp::http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use warp::reply::Response;

use super::streams::Full;
use crate::api::app::{Blame, DialectError, Failure};
use crate::api::reply::{json, with_retry_after};
use crate::api::routes::Unmatched;
use crate::auth::{AuthError, Forbidden};
use crate::store::{BudgetError, LiveError, StoreError};
use crate::tail::NotHeard;

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
    Invalid(Vec<String>),
    /// 404.
    #[error("there is no such thing")]
    NotFound,
    /// 409 where there are too many of them, else as `Store`.
    #[error("budget cannot be made, or changed")]
    Budget(#[source] BudgetError),
    /// 500: the server's ClickHouse user may not write.
    #[error("the clickhouse user may not write budgets: it needs INSERT on budgets")]
    NoRights(#[source] StoreError),
    /// 503, 400 where what is asked is refused, or 500 where an answer cannot be read.
    #[error("live windows cannot be read")]
    Live(#[from] LiveError),
    /// 503, or 500 where it is our mistake.
    #[error("what is stored cannot be read, or changed")]
    Store(#[from] StoreError),
    /// 503, or 429 where it is the caller's own doing.
    #[error("there is no room for another stream")]
    Full(#[from] Full),
    /// 503.
    #[error("rows are not heard of")]
    NotHeard(#[from] NotHeard),
    /// 503.
    #[error("time is up")]
    TimedOut(#[from] Elapsed),
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Serialize)]
struct ErrorDetail {
    code: &'static str,
    message: String,
}

impl Failure for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Unauthenticated(AuthError::Unavailable)
            | Self::Live(LiveError::NoAggregator | LiveError::Unreachable(_))
            | Self::NotHeard(_)
            | Self::TimedOut(_) => Blame::Surroundings,
            // Whoever has the most streams open is one of them.
            Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::Invalid(_)
            | Self::NotFound
            | Self::Live(LiveError::Refused(_))
            | Self::Budget(BudgetError::Full(_))
            | Self::Full(_) => Blame::Client,
            Self::Store(error) if error.is_retryable() => Blame::Surroundings,
            Self::Live(LiveError::Answer(_) | LiveError::NotUnderstood(_))
            | Self::Store(_)
            | Self::NoRights(_)
            | Self::Budget(_) => Blame::Program,
        }
    }
}

impl Error {
    /// Why a budget was not changed.
    pub(super) fn of_change(error: StoreError) -> Self {
        if error.is_lack_of_rights() { Self::NoRights(error) } else { Self::Store(error) }
    }
}

impl From<BudgetError> for Error {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::Store(error) => Self::of_change(error),
            BudgetError::Full(_) | BudgetError::Random(_) | BudgetError::Stopped => Self::Budget(error),
        }
    }
}

impl DialectError for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthenticated(error @ AuthError::Unavailable) => unavailable(&error.to_string()),
            Self::Unauthenticated(_) => {
                let mut response = body(StatusCode::UNAUTHORIZED, "unauthenticated", "who are you?");
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
            Self::Forbidden(_) => body(StatusCode::FORBIDDEN, "forbidden", "you may not do this"),
            Self::Invalid(problems) => body(StatusCode::BAD_REQUEST, "invalid", &problems.join("; ")),
            Self::NotFound => body(StatusCode::NOT_FOUND, "not_found", "there is none of this id"),
            Self::Budget(error @ BudgetError::Full(_)) => {
                body(StatusCode::CONFLICT, "full", &error.to_string())
            }
            Self::NoRights(_) => {
                let message = "budgets cannot be changed here: the server is not set up for it";
                body(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
            }
            Self::Live(LiveError::Refused(reason)) => body(StatusCode::BAD_REQUEST, "invalid", &reason),
            Self::Live(LiveError::Answer(_) | LiveError::NotUnderstood(_)) | Self::Budget(_) => {
                body(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this cannot be answered")
            }
            Self::Store(error) if !error.is_retryable() => {
                body(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this cannot be answered")
            }
            Self::Store(error) => unavailable(&error.to_string()),
            Self::Live(error) => unavailable(&error.to_string()),
            Self::Full(full @ Full::Process) => unavailable(&full.to_string()),
            Self::Full(full @ Full::Caller) => {
                with_retry_after(body(StatusCode::TOO_MANY_REQUESTS, "too_many", &full.to_string()))
            }
            Self::NotHeard(error) => unavailable(&error.to_string()),
            Self::TimedOut(_) => unavailable("time is up"),
        }
    }
}

/// Answers where no route matched under `path`.
pub(in crate::api) fn refuse(path: &str, unmatched: Unmatched) -> Response {
    match unmatched {
        Unmatched::Path => body(StatusCode::NOT_FOUND, "not_found", "there is nothing under this path"),
        Unmatched::Method => {
            let allowed = match path.strip_prefix("/v1/budgets") {
                Some("") => "GET, POST",
                Some(_) => "GET, PUT, DELETE",
                None => "GET",
            };
            let message = format!("this path is only for {allowed}");
            let mut response = body(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &message);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            response
        }
    }
}

fn unavailable(message: &str) -> Response {
    with_retry_after(body(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message))
}

fn body(status: StatusCode, code: &'static str, message: &str) -> Response {
    json(status, &ErrorBody { error: ErrorDetail { code, message: message.to_owned() } })
}

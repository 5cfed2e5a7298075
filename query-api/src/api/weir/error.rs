//! What can go wrong in this dialect, and the one function that turns it into a response.

use serde::Serialize;
use tokio::time::error::Elapsed;
use warp::http::StatusCode;
use warp::http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use warp::reply::Response;

use crate::api::app::{Blame, DialectError, Failure};
use crate::api::reply::{json, with_retry_after};
use crate::api::routes::Unmatched;
use crate::auth::{AuthError, Forbidden};
use crate::store::{LiveError, StoreError};

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
    /// 503, or 500 where an answer cannot be read.
    #[error("live windows cannot be read")]
    Live(#[from] LiveError),
    /// 503, or 500 where it is our mistake.
    #[error("ledger cannot be read")]
    Store(#[from] StoreError),
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
            Self::Unauthenticated(AuthError::Unavailable) => Blame::Surroundings,
            Self::Unauthenticated(_) | Self::Forbidden(_) | Self::Invalid(_) => Blame::Client,
            Self::Live(LiveError::NoAggregator | LiveError::Unreachable(_)) | Self::TimedOut(_) => {
                Blame::Surroundings
            }
            Self::Store(error) if error.is_retryable() => Blame::Surroundings,
            Self::Live(LiveError::Answer(_)) | Self::Store(_) => Blame::Program,
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
            Self::Live(LiveError::Answer(_)) => {
                body(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this cannot be answered")
            }
            Self::Store(error) if !error.is_retryable() => {
                body(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this cannot be answered")
            }
            Self::Store(error) => unavailable(&error.to_string()),
            Self::Live(error) => unavailable(&error.to_string()),
            Self::TimedOut(_) => unavailable("time is up"),
        }
    }
}

/// Answers where no route matched.
pub(in crate::api) fn refuse(unmatched: Unmatched) -> Response {
    match unmatched {
        Unmatched::Path => body(StatusCode::NOT_FOUND, "not_found", "there is nothing under this path"),
        Unmatched::Method => {
            let mut response =
                body(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path is only for GET");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
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

//! The HTTP routes of intake.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use serde_json::json;
use warp::http::StatusCode;
use warp::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, RETRY_AFTER, WWW_AUTHENTICATE};
use warp::http::{HeaderMap, HeaderValue};
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};
use weir_event::{ScopeError, Source};
use weir_service::auth::{AuthError, BearerTokens};
use weir_service::telemetry::chain;

use super::body::BodyError;
use super::encoding::Encoding;
use super::push::{PushError, Pushes, Tally};
use crate::metrics::{IngestMetrics, PushResult};

/// How long a sender is asked to wait before it comes back, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Why a request was turned away.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("authentication")]
    Auth(#[from] AuthError),
    #[error("path")]
    Scope(#[from] ScopeError),
    #[error("the content encoding is not one of {}", Encoding::ACCEPTED)]
    Encoding,
    #[error("push")]
    Push(#[from] PushError),
}

#[derive(Clone)]
struct Intake {
    tokens: Arc<BearerTokens>,
    pushes: Pushes,
    metrics: IngestMetrics,
}

/// What the path of a push names, not checked yet.
struct Path {
    account: String,
    gateway: Option<String>,
}

/// Every route of intake. What matches none is answered with 404 or 405.
pub fn routes(
    tokens: BearerTokens,
    pushes: Pushes,
    metrics: IngestMetrics,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let intake = Intake { tokens: Arc::new(tokens), pushes, metrics };
    let gateway = warp::path!("v1" / "logpush" / String / String)
        .map(|account, gateway| Path { account, gateway: Some(gateway) });
    let account = warp::path!("v1" / "logpush" / String).map(|account| Path { account, gateway: None });
    gateway
        .or(account)
        .unify()
        .and(warp::post())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |path, headers, body| {
            let intake = intake.clone();
            async move { intake.logpush(path, headers, body).await }
        })
        .recover(unmatched)
        .unify()
}

impl Intake {
    async fn logpush<B: Buf>(
        self,
        path: Path,
        headers: HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>> + Send,
    ) -> Response {
        let result = self.take(path, &headers, body).await;
        self.metrics.push(match &result {
            Ok(_) => PushResult::Stored,
            Err(RequestError::Push(error)) if error.is_ours() => PushResult::Failed,
            Err(_) => PushResult::Refused,
        });
        result.map_or_else(RequestError::into_response, |tally| warp::reply::json(&tally).into_response())
    }

    async fn take<B: Buf>(
        &self,
        path: Path,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>> + Send,
    ) -> Result<Tally, RequestError> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let sender = self.tokens.authenticate(text(AUTHORIZATION))?.label;
        let gateway = path.gateway.map(|gateway| gateway.parse()).transpose()?;
        let encoding = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
        let encoding = Encoding::of_header(encoding).map_err(|()| RequestError::Encoding)?;
        let origin = self.pushes.origin(path.account.parse()?, gateway, Source::Logpush);
        let batch = origin.batch.clone();
        let result = self.pushes.take(origin, encoding, body).await;
        match &result {
            Ok(tally) => tracing::info!(
                batch,
                sender,
                received = tally.received,
                stored = tally.stored,
                duplicates = tally.duplicates,
                dead_lettered = tally.dead_lettered,
                ignored = tally.ignored,
                sealed = tally.sealed,
                "push committed"
            ),
            Err(error) => tracing::warn!(batch, sender, error = chain(error), "push not taken"),
        }
        if let Ok(Tally { sealed: sealed @ 1.., .. }) = &result {
            tracing::warn!(batch, sender, sealed, "records have fields that could not be decrypted");
        }
        Ok(result?)
    }
}

impl RequestError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Auth(_) => StatusCode::UNAUTHORIZED,
            Self::Scope(_) => StatusCode::NOT_FOUND,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Push(PushError::Body(BodyError::TooLong { .. })) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Push(PushError::Body(_)) => StatusCode::BAD_REQUEST,
            Self::Push(PushError::Busy | PushError::Sink(_) | PushError::Reader) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// What the sender is told. Trouble of ours is named, not described: the log has the details.
    fn message(&self) -> String {
        match self {
            Self::Auth(error) => error.to_string(),
            Self::Scope(error) => error.to_string(),
            Self::Encoding => self.to_string(),
            Self::Push(error) if error.is_ours() => error.to_string(),
            Self::Push(error) => chain(error),
        }
    }

    fn into_response(self) -> Response {
        let mut response = error_response(self.status(), &self.message());
        let headers = response.headers_mut();
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if matches!(self, Self::Encoding) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(Encoding::ACCEPTED));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn error_response(status: StatusCode, message: &str) -> Response {
    warp::reply::with_status(warp::reply::json(&json!({ "error": message })), status).into_response()
}

async fn unmatched(rejection: Rejection) -> Result<Response, Infallible> {
    Ok(if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        error_response(StatusCode::METHOD_NOT_ALLOWED, "this path takes POST")
    } else {
        error_response(
            StatusCode::NOT_FOUND,
            "there is POST /v1/logpush/{account_id}/{gateway_id} and POST /v1/logpush/{account_id}",
        )
    })
}

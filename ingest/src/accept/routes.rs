//! The HTTP routes of intake.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use tokio::sync::watch;
use warp::http::StatusCode;
use warp::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, RETRY_AFTER, WWW_AUTHENTICATE,
};
use warp::http::{HeaderMap, HeaderValue};
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};
use weir_event::{ScopeError, Source};
use weir_service::telemetry::chain;

use super::body::{BodyError, Incoming};
use super::encoding::Encoding;
use super::events::{self, EventsError};
use super::push::{Push, PushError, Pushes, Tally};
use super::senders::{Forbidden, Senders, UnknownSender};
use super::{Form, Framing};
use crate::metrics::{IngestMetrics, PushResult};

/// How long a sender is asked to wait before it comes back, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Why a request was turned away.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("sender")]
    Sender(#[from] UnknownSender),
    #[error("path")]
    Scope(#[from] ScopeError),
    #[error("token")]
    Forbidden(#[from] Forbidden),
    #[error("more than this token may push; come back in {seconds} s")]
    Limited { seconds: u64 },
    #[error("the content encoding is not one of {}", Encoding::ACCEPTED)]
    Encoding,
    #[error("events")]
    Events(#[from] EventsError),
    #[error("push")]
    Push(#[from] PushError),
}

#[derive(Clone)]
struct Intake {
    senders: watch::Receiver<Arc<Senders>>,
    pushes: Pushes,
    metrics: IngestMetrics,
}

/// What the path of a push names, not checked yet.
struct Path {
    source: Source,
    account: String,
    gateway: Option<String>,
}

type Parameters = Vec<(String, String)>;

/// Every route of intake. What matches none is answered with 404 or 405.
pub fn routes(
    senders: watch::Receiver<Arc<Senders>>,
    pushes: Pushes,
    metrics: IngestMetrics,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let intake = Intake { senders, pushes, metrics };
    let logpush = warp::path!("v1" / "logpush" / String / String).map(|account, gateway| Path {
        source: Source::Logpush,
        account,
        gateway: Some(gateway),
    });
    let logpush_account = warp::path!("v1" / "logpush" / String).map(|account| Path {
        source: Source::Logpush,
        account,
        gateway: None,
    });
    let events = warp::path!("v1" / "events" / String / String).map(|account, gateway| Path {
        source: Source::Http,
        account,
        gateway: Some(gateway),
    });
    logpush
        .or(logpush_account)
        .unify()
        .or(events)
        .unify()
        .and(warp::post())
        .and(warp::query::<Parameters>())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |path, parameters, headers, body| {
            let intake = intake.clone();
            async move { intake.answer(path, parameters, headers, incoming(body)).await }
        })
        .recover(unmatched)
        .unify()
}

fn incoming<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> Incoming {
    let part = |part: Result<B, _>| part.map(|mut data| data.copy_to_bytes(data.remaining()));
    body.map(move |result| part(result).map_err(io::Error::other)).boxed()
}

impl Intake {
    async fn answer(
        self,
        path: Path,
        parameters: Parameters,
        headers: HeaderMap,
        body: Incoming,
    ) -> Response {
        let result = self.take(path, &parameters, &headers, body).await;
        self.metrics.push(match &result {
            Ok(Tally { spooled: 1.., .. }) => PushResult::Spooled,
            Ok(_) => PushResult::Stored,
            Err(RequestError::Push(error)) if error.is_ours() => PushResult::Failed,
            Err(RequestError::Limited { .. }) => PushResult::Limited,
            Err(_) => PushResult::Refused,
        });
        result.map_or_else(RequestError::into_response, |tally| warp::reply::json(&tally).into_response())
    }

    async fn take(
        &self,
        path: Path,
        parameters: &Parameters,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Tally, RequestError> {
        let senders = Arc::clone(&self.senders.borrow());
        let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let sender = senders.sender(authorization, self.pushes.now_ms())?;
        let gateway = path.gateway.map(|gateway| gateway.parse()).transpose()?;
        let account = path.account.parse()?;
        let terms = sender.terms(path.source, &account, gateway.as_ref())?;
        if let Some(wait) = terms.wait(Instant::now()) {
            return Err(RequestError::Limited { seconds: wait.as_secs() + 1 });
        }
        let encoding = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
        let encoding = Encoding::of_header(encoding).map_err(|()| RequestError::Encoding)?;
        // Cloudflare says nothing of a batch that would not be in its first bytes.
        let (form, framing) = if path.source == Source::Logpush {
            (Form::Logpush, Framing::Lines)
        } else {
            events::told(parameters, headers)?
        };
        let origin = self.pushes.origin(account, gateway, path.source, form);
        let batch = origin.batch.clone();
        let result = self.pushes.take(Push { origin, terms, encoding, framing, body }).await;
        log(&batch, sender.label, &result);
        Ok(result?)
    }
}

fn log(batch: &str, sender: &str, result: &Result<Tally, PushError>) {
    match result {
        Ok(tally) => tracing::info!(
            batch,
            sender,
            received = tally.received,
            stored = tally.stored,
            duplicates = tally.duplicates,
            dead_lettered = tally.dead_lettered,
            ignored = tally.ignored,
            sealed = tally.sealed,
            spooled = tally.spooled,
            "push taken"
        ),
        Err(error) => tracing::warn!(batch, sender, error = chain(error), "push not taken"),
    }
    if let Ok(Tally { sealed: sealed @ 1.., .. }) = result {
        tracing::warn!(batch, sender, sealed, "records have fields that could not be decrypted");
    }
}

impl RequestError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Sender(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Push(PushError::Forbidden(_)) => StatusCode::FORBIDDEN,
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Scope(_) => StatusCode::NOT_FOUND,
            Self::Encoding | Self::Events(EventsError::ContentType) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Push(PushError::Slow) => StatusCode::REQUEST_TIMEOUT,
            Self::Push(PushError::Body(BodyError::TooLong { .. })) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Events(_) | Self::Push(PushError::Body(_)) => StatusCode::BAD_REQUEST,
            Self::Push(PushError::Busy | PushError::Sink(_) | PushError::Reader) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// What the sender is told. Trouble of ours is named, not described: the log has the details.
    fn message(&self) -> String {
        match self {
            Self::Sender(error) => error.to_string(),
            Self::Forbidden(error) => error.to_string(),
            Self::Scope(error) => error.to_string(),
            Self::Encoding | Self::Limited { .. } => self.to_string(),
            Self::Events(error) => error.to_string(),
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
        if let Self::Limited { seconds } = self {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if matches!(self, Self::Encoding) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(Encoding::ACCEPTED));
        }
        if matches!(self, Self::Events(EventsError::ContentType)) {
            headers.insert(ACCEPT, HeaderValue::from_static(events::MEDIA_TYPES));
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
            "there is POST /v1/logpush/{account_id}/{gateway_id}, POST /v1/logpush/{account_id} and \
             POST /v1/events/{account_id}/{gateway_id}",
        )
    })
}

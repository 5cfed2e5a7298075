//! Answers without an end: server-sent events. How many there are, how long they last, and what ends them.
//!
//! A stream ends at once when the process is to stop; when its time is up; when its caller may no longer see what it shows; and
//! when its reader is too slow. The reader is told which, as far as it reads.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use warp::Reply;
use warp::http::HeaderMap;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use warp::reply::Response;
use weir_event::Scope;

use crate::api::app::{Admitted, App};
use crate::auth::AuthError;
use crate::metrics::{QueryMetrics, StreamEnd, StreamKind};

/// How long nothing is sent at most: proxies give up on what is silent for a minute.
const BEAT: Duration = Duration::from_secs(15);
/// How often to ask whether the caller may still see it.
const CHECK: Duration = Duration::from_secs(5);
/// What nginx goes by: events are to be passed on as they come.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// What says nothing: the beginning, for proxies that wait for some of a body, and a sign of life. Without an empty line behind it,
/// for there are clients that take one for an event.
const COMMENT: &[u8] = b":\n";

/// How many streams there may be, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// At a time.
    pub open_max: usize,
    /// Of one caller, at a time.
    pub per_caller_max: usize,
    /// The longest that one lasts.
    pub time_max: Duration,
}

/// The streams of this process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Streams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: StreamLimits,
    soft_stop: CancellationToken,
    metrics: QueryMetrics,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    streams: usize,
    by_caller: HashMap<String, usize>,
}

/// There is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// In this process: a 503.
    #[error("too many streams are open")]
    Process,
    /// For this caller: a 429.
    #[error("you have too many streams open")]
    Caller,
}

/// Room for one stream, as long as it is there.
#[derive(Debug)]
pub(super) struct Slot {
    streams: Streams,
    kind: StreamKind,
    caller: String,
    end: StreamEnd,
}

/// What a stream is made of.
pub(super) trait Source: Send + Sync + 'static {
    /// Events as text, see [`event`]; nothing where the reader has been told that it is too slow.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send + Sync;
}

/// A stream under way.
struct Flow<S> {
    app: Arc<App>,
    headers: HeaderMap,
    scope: Scope,
    slot: Slot,
    source: S,
    /// When its time is up.
    end: Instant,
    check: Instant,
    is_over: bool,
}

impl Streams {
    /// None are open. All end when `soft_stop` is cancelled.
    #[must_use]
    pub fn new(limits: StreamLimits, soft_stop: CancellationToken, metrics: QueryMetrics) -> Self {
        Self(Arc::new(Shared { limits, soft_stop, metrics, open: Mutex::default() }))
    }

    /// Makes room for one more of `caller`.
    pub(super) fn admit(&self, kind: StreamKind, caller: &str) -> Result<Slot, Full> {
        let StreamLimits { open_max, per_caller_max, .. } = self.0.limits;
        let mut open = self.open();
        if open.streams >= open_max {
            return Err(Full::Process);
        }
        let own = open.by_caller.entry(caller.to_owned()).or_default();
        if *own >= per_caller_max {
            return Err(Full::Caller);
        }
        *own += 1;
        open.streams += 1;
        drop(open);
        self.0.metrics.stream_begins(kind);
        Ok(Slot { streams: self.clone(), kind, caller: caller.to_owned(), end: StreamEnd::Left })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // The counts are whole at every unlock, so a panic elsewhere does not spoil them.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.streams -= 1;
        if let Some(own) = open.by_caller.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                open.by_caller.remove(&self.caller);
            }
        }
        drop(open);
        self.streams.0.metrics.stream_ends(self.kind, self.end);
    }
}

/// An event: its name, and its data, which is JSON without line ends. `id` is what browsers remember of it.
pub(super) fn event(name: &str, id: Option<&str>, data: &str) -> Bytes {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("event: {name}\n{id}data: {data}\n\n").into()
}

/// Answers `call`, which may read `scope`, with what `source` gives.
pub(super) fn respond(call: Admitted, scope: Scope, slot: Slot, source: impl Source) -> Response {
    let Admitted { app, headers, .. } = call;
    let now = Instant::now();
    let end = now + slot.streams.0.limits.time_max;
    let flow = Flow { app, headers, scope, slot, source, end, check: now + CHECK, is_over: false };
    let opening = stream::iter([Ok::<_, Infallible>(Bytes::from_static(COMMENT))]);
    let events = stream::unfold(flow, async |mut flow: Flow<_>| Some((Ok(flow.next().await?), flow)));
    let mut response = warp::reply::stream(futures_util::StreamExt::chain(opening, events)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

impl<S: Source> Flow<S> {
    /// What is to be sent next; nothing after the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let soft_stop = self.slot.streams.0.soft_stop.clone();
        let beat = Instant::now() + BEAT;
        loop {
            tokio::select! {
                biased;
                () = soft_stop.cancelled() => return Some(self.over(StreamEnd::Stopping)),
                () = sleep_until(self.end) => return Some(self.over(StreamEnd::Time)),
                () = sleep_until(self.check) => {
                    if !self.is_allowed().await {
                        return Some(self.over(StreamEnd::Unauthorized));
                    }
                    self.check = Instant::now() + CHECK;
                }
                () = sleep_until(beat) => return Some(Bytes::from_static(COMMENT)),
                next = self.source.next() => {
                    if next.is_none() {
                        self.slot.end = StreamEnd::Slow;
                    }
                    return next;
                }
            }
        }
    }

    /// The last event.
    fn over(&mut self, end: StreamEnd) -> Bytes {
        self.is_over = true;
        self.slot.end = end;
        event("end", None, &format!("{{\"reason\":\"{}\"}}", end.reason()))
    }

    /// Whether its caller is still known and may read this. Where nobody can say it goes on.
    async fn is_allowed(&self) -> bool {
        match self.app.authenticator.authenticate(&self.headers).await {
            Ok(principal) => principal.may_read(self.scope.clone()).is_ok(),
            Err(AuthError::Unavailable) => true,
            Err(AuthError::Missing | AuthError::Malformed | AuthError::Unknown) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_service::metrics::Metrics;

    use super::*;

    #[test]
    fn there_are_so_many_streams_and_so_many_of_a_caller() {
        let metrics = QueryMetrics::register(&mut Metrics::new("query-api", "0"));
        let limits = StreamLimits { open_max: 3, per_caller_max: 2, time_max: Duration::from_secs(1) };
        let streams = Streams::new(limits, CancellationToken::new(), metrics);
        let admit = |caller| streams.admit(StreamKind::Tail, caller);
        let (first, second) = (admit("a").unwrap(), admit("a").unwrap());
        assert_eq!(admit("a").unwrap_err(), Full::Caller);
        let _third = admit("b").unwrap();
        assert_eq!(admit("c").unwrap_err(), Full::Process);
        drop(first);
        let _fourth = admit("a").unwrap();
        drop(second);
        assert!(admit("c").is_ok());
    }
}

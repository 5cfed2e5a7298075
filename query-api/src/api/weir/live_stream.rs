//! `GET /v1/live/stream`: what happens now, again and again, as server-sent events.
//!
//! A reader asks when it is ready for the next snapshot, so one that is slow misses some and gets the latest. Equal questions are
//! asked once for all their readers: their times lie on one grid, and whoever comes first asks.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use warp::reply::Response;
use weir_event::Scope;
use weir_event::bus::LiveSnapshot;

use super::error::Error;
use super::live_question::{LiveCall, check_window};
use super::streams::{Source, event, respond};
use crate::api::app::Admitted;
use crate::auth::Readable;
use crate::metrics::StreamKind;
use crate::store::{Aggregators, LiveError, LiveQuestion};
use crate::view::LiveView;

/// The questions that are being asked. Clones are the same.
#[derive(Clone, Debug)]
pub struct LiveStreams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where the grid of times begins.
    begun: Instant,
    questions: Mutex<Vec<Weak<Asked>>>,
}

/// A question, as long as somebody asks it.
#[derive(Debug)]
struct Asked {
    scope: Readable<Scope>,
    question: LiveQuestion,
    interval: Duration,
    answer: tokio::sync::Mutex<Option<Answer>>,
}

/// What was answered last.
#[derive(Clone, Debug)]
struct Answer {
    /// When it came.
    at: Instant,
    event: Bytes,
}

/// A reader's stream.
struct Snapshots {
    aggregators: Aggregators,
    streams: LiveStreams,
    question: Arc<Asked>,
    next: Instant,
}

/// The handler.
pub(super) async fn live_stream(call: Admitted) -> Result<Response, Error> {
    let LiveCall { scope, question, interval } =
        LiveCall::parse(&call.query, true).map_err(Error::Invalid)?;
    let place = scope.clone();
    let scope = call.principal.may_read(scope)?;
    let slot = call.app.streams.admit(StreamKind::Live, call.principal.label())?;
    let (aggregators, streams) = (call.app.aggregators.clone(), call.app.live_streams.clone());
    // What is wrong with a question is told before the stream begins.
    let top = question.top;
    let first = aggregators.live(&scope, question.clone()).await?;
    check_window(&first, top).map_err(|problem| Error::Invalid(vec![problem]))?;
    let question = streams.question(Asked { scope, question, interval, answer: None.into() });
    question.begin_with(first).await;
    Ok(respond(call, place, slot, Snapshots { aggregators, streams, question, next: Instant::now() }))
}

impl LiveStreams {
    /// Nobody asks anything.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared { begun: Instant::now(), questions: Mutex::default() }))
    }

    /// The same question, if somebody asks it already, or this one.
    fn question(&self, question: Asked) -> Arc<Asked> {
        // The list is whole at every unlock, so a panic elsewhere does not spoil it.
        let mut questions = self.0.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.retain(|other| other.strong_count() > 0);
        if let Some(other) = questions.iter().filter_map(Weak::upgrade).find(|other| other.is_same(&question))
        {
            return other;
        }
        let question = Arc::new(question);
        questions.push(Arc::downgrade(&question));
        question
    }

    /// The next time of the grid.
    fn next(&self, interval: Duration) -> Instant {
        let past = self.0.begun.elapsed().as_nanos() / interval.as_nanos();
        let next = u32::try_from(past + 1).unwrap_or(u32::MAX);
        self.0.begun + interval * next
    }
}

impl Default for LiveStreams {
    fn default() -> Self {
        Self::new()
    }
}

impl Asked {
    fn is_same(&self, other: &Self) -> bool {
        (&self.scope, &self.question, self.interval) == (&other.scope, &other.question, other.interval)
    }

    async fn begin_with(&self, snapshot: LiveSnapshot) {
        let mut answer = self.answer.lock().await;
        answer.get_or_insert_with(|| Answer { at: Instant::now(), event: event_of(Ok(snapshot)) });
    }

    /// An answer of about now. It is asked for and kept also if nobody waits for it any more: a reader that has something
    /// else to see to comes back to it.
    async fn answer(self: &Arc<Self>, aggregators: &Aggregators) -> Bytes {
        let (asked, aggregators) = (Arc::clone(self), aggregators.clone());
        let answer = tokio::spawn(async move { asked.answered(&aggregators).await }).await;
        // Only if the process is about to end.
        answer.unwrap_or_else(|_| event_of(Err(LiveError::NoAggregator)))
    }

    /// The same. Whoever comes first asks, and the others wait for it.
    async fn answered(&self, aggregators: &Aggregators) -> Bytes {
        let mut answer = self.answer.lock().await;
        if let Some(answer) = answer.as_ref().filter(|answer| answer.at.elapsed() < self.interval / 2) {
            return answer.event.clone();
        }
        let event = event_of(aggregators.live(&self.scope, self.question.clone()).await);
        // From now on, since those who waited were here before it.
        *answer = Some(Answer { at: Instant::now(), event: event.clone() });
        event
    }
}

fn event_of(answered: Result<LiveSnapshot, LiveError>) -> Bytes {
    match answered {
        Ok(snapshot) => {
            let view = serde_json::to_string(&LiveView::from(snapshot));
            event("snapshot", None, &view.expect("a view has names for keys"))
        }
        Err(error) => event("unavailable", None, &json!({ "message": error.to_string() }).to_string()),
    }
}

impl Source for Snapshots {
    async fn next(&mut self) -> Option<Bytes> {
        sleep_until(self.next).await;
        let event = self.question.answer(&self.aggregators).await;
        self.next = self.streams.next(self.question.interval);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Principal;

    fn question(gateway: &str, interval_s: u64) -> Asked {
        let scope = Principal::operator("tests").may_read(Scope::parse("acc", gateway).unwrap()).unwrap();
        let interval = Duration::from_secs(interval_s);
        Asked { scope, question: LiveQuestion::default(), interval, answer: None.into() }
    }

    #[test]
    fn equal_questions_are_one_as_long_as_somebody_asks() {
        let streams = LiveStreams::new();
        let (one, two) = (streams.question(question("a", 1)), streams.question(question("a", 1)));
        assert!(Arc::ptr_eq(&one, &two));
        let others = [streams.question(question("b", 1)), streams.question(question("a", 2))];
        assert!(others.iter().all(|other| !Arc::ptr_eq(&one, other)));
        drop((one, two));
        streams.question(question("c", 1));
        assert_eq!(streams.0.questions.lock().unwrap().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn readers_come_at_the_same_times() {
        let streams = LiveStreams::new();
        let interval = Duration::from_secs(2);
        for (after_ms, expected_ms) in [(0, 2_000), (1_500, 2_000), (600, 4_000)] {
            tokio::time::advance(Duration::from_millis(after_ms)).await;
            assert_eq!(streams.next(interval), streams.0.begun + Duration::from_millis(expected_ms));
        }
    }
}

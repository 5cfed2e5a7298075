//! Asks the aggregators for their live windows, over NATS.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};
use weir_event::bus::{
    LIVE_REFUSAL, LIVE_REFUSAL_CODE, LIVE_REFUSED, LIVE_SUBJECT, LiveRequest, LiveSnapshot, SHARDS, Top,
};
use weir_event::{Dimension, Scope};
use weir_service::config::NatsConfig;
use weir_service::telemetry::chain;

use crate::auth::Readable;

/// After the last answer so far, while shards are missing: how many aggregators there are nobody knows.
const SILENCE: Duration = Duration::from_millis(300);

/// The aggregators, as far as they listen. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Aggregators {
    client: Client,
    timeout: Duration,
}

/// What is asked of the live windows of a tenant, see [`LiveRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveQuestion {
    /// A filter in its text form, `""` for none.
    pub filter: String,
    /// What rows are told apart by.
    pub group_by: Vec<Dimension>,
    /// Only the first rows.
    pub top: Option<Top>,
}

/// The aggregators did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Nobody keeps live windows at the moment.
    #[error("no aggregator is running")]
    NoAggregator,
    /// Nobody answered in time, or NATS cannot be reached.
    #[error("aggregators cannot be reached")]
    Unreachable(#[source] async_nats::Error),
    /// No answer is what we expect: versions that do not fit together.
    #[error("answer of an aggregator cannot be read")]
    Answer(#[source] serde_json::Error),
    /// What we ask is not understood: versions that do not fit together.
    #[error("aggregator does not understand the question: {0}")]
    NotUnderstood(String),
    /// What is asked for is nothing that live windows can tell, for this reason.
    #[error("{0}")]
    Refused(String),
}

/// The answers so far. Pure.
#[derive(Debug, Default)]
struct Answers {
    parts: Vec<LiveSnapshot>,
    shards: BTreeSet<u16>,
    /// Two say that they hold one shard: it changed hands between them.
    overlap: bool,
    /// Why an answer is none.
    trouble: Option<LiveError>,
}

impl Aggregators {
    /// Connects in the background and for ever: a NATS server that comes later, or comes back, is found. Answers
    /// are waited for as long as `timeout`.
    pub async fn connect(config: &NatsConfig, timeout: Duration) -> Result<Self, async_nats::ConnectError> {
        let options = ConnectOptions::new().name("query-api").retry_on_initial_connect();
        let options = match &config.token {
            Some(token) => options.token(token.expose().to_owned()),
            None => options,
        };
        let client = options.connect(config.url.as_str()).await?;
        Ok(Self { client, timeout })
    }

    /// The live windows of a tenant, put together from what each aggregator says of the shards that it holds. It is complete
    /// only if all shards were answered for, each by one.
    pub async fn live(
        &self,
        scope: &Readable<Scope>,
        question: LiveQuestion,
    ) -> Result<LiveSnapshot, LiveError> {
        let LiveQuestion { filter, group_by, top } = question;
        let request = LiveRequest { scope: Scope::clone(scope), filter, group_by, top };
        let request = serde_json::to_vec(&request).expect("plain data always prints as JSON").into();
        let mut answers = self.ask(&request).await?;
        if answers.overlap {
            answers = self.ask(&request).await?;
        }
        answers.put_together(top).ok_or(LiveError::NoAggregator)
    }

    /// Asks every aggregator once.
    async fn ask(&self, request: &Bytes) -> Result<Answers, LiveError> {
        let end = Instant::now() + self.timeout;
        let asked = async {
            let inbox = self.client.new_inbox();
            let answers = self.client.subscribe(inbox.clone()).await?;
            self.client.publish_with_reply(LIVE_SUBJECT, inbox, request.clone()).await?;
            Ok(answers)
        };
        let mut incoming = match timeout_at(end, asked).await {
            Ok(asked) => asked.map_err(LiveError::Unreachable)?,
            Err(elapsed) => return Err(LiveError::Unreachable(elapsed.into())),
        };
        let mut answers = Answers::default();
        let mut until = end;
        while !answers.are_whole() {
            let answer = match timeout_at(until, incoming.next()).await {
                Ok(Some(answer)) if answer.status.is_some() => return Err(LiveError::NoAggregator),
                Ok(Some(answer)) => answer,
                Err(elapsed) if answers.parts.is_empty() => {
                    return Err(answers.trouble.unwrap_or_else(|| LiveError::Unreachable(elapsed.into())));
                }
                Ok(None) | Err(_) => break,
            };
            answers.hear(&answer)?;
            until = end.min(Instant::now() + SILENCE);
        }
        Ok(answers)
    }

    /// The connection, for others to ask over.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether NATS is there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

impl Answers {
    /// Takes in what one aggregator says. What cannot be read is as good as no answer: its shards are missing. A refusal is one
    /// of the question, whoever else may answer it.
    fn hear(&mut self, answer: &Message) -> Result<(), LiveError> {
        let header = |name: &str| Some(answer.headers.as_ref()?.get(name)?.as_str());
        let trouble = if let Some(reason) = header(LIVE_REFUSAL) {
            let reason = reason.to_owned();
            if header(LIVE_REFUSAL_CODE) == Some(LIVE_REFUSED) {
                return Err(LiveError::Refused(reason));
            }
            LiveError::NotUnderstood(reason)
        } else {
            match serde_json::from_slice(&answer.payload) {
                Ok(snapshot) => {
                    self.add(snapshot);
                    return Ok(());
                }
                Err(error) => LiveError::Answer(error),
            }
        };
        tracing::warn!(error = chain(&trouble), "an aggregator does not answer what it was asked");
        self.trouble = Some(trouble);
        Ok(())
    }

    fn add(&mut self, snapshot: LiveSnapshot) {
        if snapshot.shards.iter().any(|shard| self.shards.contains(shard)) {
            self.overlap = true;
        } else {
            self.shards.extend(&snapshot.shards);
            self.parts.push(snapshot);
        }
    }

    fn are_whole(&self) -> bool {
        self.shards.len() == usize::from(SHARDS)
    }

    /// One answer, if there is any.
    fn put_together(self, top: Option<Top>) -> Option<LiveSnapshot> {
        let is_whole = self.are_whole() && !self.overlap;
        let mut merged = LiveSnapshot::merge(self.parts)?;
        merged.complete &= is_whole;
        if !is_whole {
            merged.complete_through = None;
        }
        if let Some(top) = top {
            merged.keep_top(top);
        }
        Some(merged)
    }
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use weir_event::Timestamp;

    use super::*;

    fn answer((first, end): (u16, u16)) -> LiveSnapshot {
        LiveSnapshot {
            as_of: Timestamp::MIN,
            complete_through: Some(Timestamp::MIN),
            complete: true,
            shards: (first..end).collect(),
            late: 1,
            rows: Vec::new(),
        }
    }

    fn check(parts: &[(u16, u16)], is_complete: bool, late: u64) {
        let mut answers = Answers::default();
        for part in parts {
            answers.add(answer(*part));
        }
        let whole = answers.put_together(None).unwrap();
        assert_eq!((whole.complete, whole.late), (is_complete, late), "{parts:?}");
        assert_eq!(whole.complete_through.is_some(), is_complete);
    }

    #[test]
    fn an_answer_is_complete_when_every_shard_is_answered_for_once() {
        check(&[(0, 16)], true, 1);
        check(&[(8, 16), (0, 8)], true, 2);
        check(&[(0, 16), (16, 16)], true, 1);
        check(&[(0, 8)], false, 1);
        check(&[(0, 0)], false, 1);
        check(&[(0, 9), (8, 16)], false, 1);
        assert!(Answers::default().put_together(None).is_none());
    }

    fn message(payload: Vec<u8>, refusal: Option<(&str, &str)>) -> Message {
        let headers = refusal.map(|(code, reason)| {
            let mut headers = HeaderMap::new();
            headers.insert(LIVE_REFUSAL, reason);
            headers.insert(LIVE_REFUSAL_CODE, code);
            headers
        });
        let length = payload.len();
        Message {
            subject: "inbox".into(),
            reply: None,
            payload: payload.into(),
            headers,
            status: None,
            description: None,
            length,
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_missing_and_spoils_no_other() {
        let readable = serde_json::to_vec(&answer((0, 8))).unwrap();
        for other in [message(b"{}".to_vec(), None), message(Vec::new(), Some(("400", "what?")))] {
            let mut answers = Answers::default();
            answers.hear(&other).unwrap();
            answers.hear(&message(readable.clone(), None)).unwrap();
            assert!(answers.trouble.is_some());
            let found = answers.put_together(None).unwrap();
            assert_eq!((found.complete, found.shards.len()), (false, 8));
        }
    }

    #[test]
    fn a_question_that_is_refused_is_the_askers_mistake() {
        let refusal = message(Vec::new(), Some((LIVE_REFUSED, "no such field")));
        match Answers::default().hear(&refusal) {
            Err(LiveError::Refused(reason)) => assert_eq!(reason, "no such field"),
            other => panic!("{other:?}"),
        }
    }
}

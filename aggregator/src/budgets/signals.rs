//! Word of rows, as far as budgets need it: of which gateway, and when they ended.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::{Context, Message};
use futures_util::StreamExt;
use serde::Deserialize;
use weir_event::bus::{DIRTY_SUBJECT, DirtyMessage, OTHERS_SUBJECT, USAGE_STREAM};
use weir_event::{Scope, Timestamp};

use super::error::BudgetsError;
use crate::consume::messages;

/// After this time without us the server forgets the consumer.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);
const PULL_MESSAGES: usize = 200;

/// What was heard and not acted upon yet. A gateway that nobody has a budget of is missing.
#[derive(Debug, Default)]
pub(super) struct Words(Mutex<BTreeMap<Scope, Heard>>);

/// Minutes of a gateway that were touched.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// In epoch milliseconds.
    pub(super) minutes: BTreeSet<i64>,
    /// When the first of it was said, in epoch milliseconds.
    pub(super) since_ms: Option<i64>,
}

#[derive(Deserialize)]
struct Entries {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    scope: Scope,
    created_at: Timestamp,
}

/// Messages from now on. None of them has to be acknowledged, or kept: what they tell of is read from `logs` by whoever comes
/// next, as a whole.
pub(super) async fn listen(context: &Context) -> Result<pull::Stream, BudgetsError> {
    let stream = context.get_stream(USAGE_STREAM).await.map_err(BudgetsError::Usage)?;
    let config = pull::Config {
        description: Some("tells budgets which minutes were touched".to_owned()),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::None,
        inactive_threshold: FORGOTTEN_AFTER,
        memory_storage: true,
        ..pull::Config::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await.map_err(BudgetsError::Consumer)?;
    messages(&consumer, PULL_MESSAGES).await.map_err(BudgetsError::Pull)
}

/// Hears for ever. It is to be asked again soon whatever else is done, for a server that is not listened to goes away.
pub(super) async fn hear(messages: &mut pull::Stream, words: &Words) -> Result<Infallible, BudgetsError> {
    loop {
        let message = messages.next().await.ok_or(BudgetsError::Ended)?.map_err(BudgetsError::Interrupted)?;
        let touched = touched_by(&message);
        let published = message.info().map(|info| info.published.unix_timestamp_nanos() / 1_000_000);
        let published_ms = published.ok().and_then(|ms| i64::try_from(ms).ok());
        let mut gateways = words.lock();
        for (scope, minute_ms) in touched {
            if let Some(heard) = gateways.get_mut(&scope)
                && heard.minutes.insert(minute_ms)
            {
                heard.since_ms = heard.since_ms.or(published_ms);
            }
        }
    }
}

impl Words {
    /// From now on of these gateways.
    pub(super) fn listen_for<'s>(&self, scopes: impl Iterator<Item = &'s Scope>) {
        let mut gateways = self.lock();
        let mut before = std::mem::take(&mut *gateways);
        *gateways = scopes.map(|scope| (scope.clone(), before.remove(scope).unwrap_or_default())).collect();
    }

    /// What was heard of a gateway since this was asked last.
    pub(super) fn take(&self, scope: &Scope) -> Heard {
        self.lock().get_mut(scope).map(std::mem::take).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Scope, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The minutes that a message tells of, in epoch milliseconds. One that cannot be read tells nothing; the intake says so.
fn touched_by(message: &Message) -> Vec<(Scope, i64)> {
    if message.subject.as_str() == DIRTY_SUBJECT {
        let Ok(dirty) = serde_json::from_slice::<DirtyMessage>(&message.payload) else { return Vec::new() };
        return dirty.minutes.iter().map(|minute| (dirty.scope.clone(), minute.minute().millis())).collect();
    }
    if message.subject.as_str() == OTHERS_SUBJECT {
        // No measure counts it.
        return Vec::new();
    }
    let Ok(usage) = serde_json::from_slice::<Entries>(&message.payload) else { return Vec::new() };
    usage.entries.into_iter().map(|entry| (entry.scope, entry.created_at.minute().millis())).collect()
}

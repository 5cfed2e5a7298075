//! Usage messages as they are sent: bounded in entries and in bytes, and named by what they say.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use weir_event::bus::{self, DirtyMessage, OtherEntry, SHARDS, UsageEntry, UsageMessage};
use weir_event::{Scope, Timestamp, TokenBucket, Tokens};

use super::EventRef;
use crate::price::PricedEvent;
use crate::text::{NAME_MAX, shorten};

/// A message is closed before it grows beyond this: half of what NATS takes by default.
const PAYLOAD_BYTES_MAX: usize = 512 << 10;

/// After this an aggregator that started meanwhile may have read the rows with the past: it looks back for ten minutes
/// to tell what it has from what it has not (`aggregator::fold`), and half of that is a margin for clocks.
const LATE_AFTER: Duration = Duration::from_mins(5);

const OPENING: &[u8] = br#"{"entries":["#;
const CLOSING: &[u8] = b"]}";
/// What the columns `tokens_cache_read` and `tokens_cache_write` of `usage_15m` sum up.
const CACHE_READ: &[TokenBucket] =
    &[TokenBucket::CacheRead, TokenBucket::CacheReadAudio, TokenBucket::CacheReadImage];
const CACHE_WRITE: &[TokenBucket] = &[TokenBucket::CacheWrite5m, TokenBucket::CacheWrite1h];
/// Stands for the shard of what is no call.
pub(super) const OTHERS: u16 = SHARDS;
/// How an entry ends, by whether its row was there before.
const FRESH: &[u8] = b"false}";
const DUPLICATE: &[u8] = b"true}";

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Where it goes.
    pub(super) subject: String,
    /// The same for the same entries: JetStream drops what it has within its duplicate window. Word of changed minutes
    /// has none: what is said again may be of another change.
    pub(super) id: Option<String>,
    /// A [`bus::UsageMessage`], or a [`bus::OthersMessage`] or [`bus::DirtyMessage`] under the subject of those.
    pub(super) payload: Bytes,
    /// When its rows were committed, or a moment later.
    pub(super) made_at: Instant,
    /// Dropped with the message; whoever has the other end sees when the last message of a write is gone.
    pub(super) held: Option<mpsc::Sender<Refused>>,
}

/// NATS will never take a message, so it was dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused;

/// A message that still takes entries.
struct Open {
    payload: Vec<u8>,
    entries: usize,
    name: Sha256,
}

/// The messages for a write: entries of one shard together.
pub(super) fn messages(fresh: &[EventRef<'_>], duplicates: &[EventRef<'_>]) -> Vec<Message> {
    let fresh = fresh.iter().map(|event| (*event, false));
    messages_of(fresh.chain(duplicates.iter().map(|event| (*event, true))))
}

fn messages_of<'e>(events: impl Iterator<Item = (EventRef<'e>, bool)>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut shards: BTreeMap<u16, Open> = BTreeMap::new();
    // What was put away by an earlier release has nothing to tell of what is no call.
    for (event, duplicate) in events.filter(|(event, _)| !event.entry.is_empty()) {
        let open = shards.entry(event.shard).or_insert_with(|| Open::new(event.shard));
        if !open.has_room_for(event.entry) {
            messages.push(std::mem::replace(open, Open::new(event.shard)).close(event.shard));
        }
        open.add(&event, duplicate);
    }
    messages.extend(shards.into_iter().map(|(shard, open)| open.close(shard)));
    messages
}

/// The messages that say which minutes were changed.
pub(super) fn dirty_messages(minutes: impl Iterator<Item = (Scope, Timestamp)>) -> Vec<Message> {
    DirtyMessage::of(minutes).iter().map(Message::dirty).collect()
}

/// Appends an event's [`UsageEntry`] as JSON that ends before the value of its last member, `duplicate`.
pub(super) fn entry_json(priced: &PricedEvent, out: &mut Vec<u8>) {
    append_open(&entry(priced), false, out);
}

/// The same of an event that is no call: its [`OtherEntry`].
pub(super) fn other_json(priced: &PricedEvent, out: &mut Vec<u8>) {
    let event = priced.event();
    let (scope, created_at) = (event.scope.clone(), event.created_at);
    append_open(&OtherEntry { id: event.id, scope, created_at, duplicate: false }, false, out);
}

fn append_open(entry: &impl Serialize, duplicate: bool, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, entry).expect("plain data always prints as JSON");
    let end = if duplicate { DUPLICATE } else { FRESH };
    assert!(out.ends_with(end), "`duplicate` is the last member of an entry");
    out.truncate(out.len() - end.len());
}

impl Message {
    fn dirty(message: &DirtyMessage) -> Self {
        let payload = serde_json::to_vec(message).expect("plain data always prints as JSON");
        Self {
            subject: bus::DIRTY_SUBJECT.to_owned(),
            id: None,
            payload: payload.into(),
            made_at: Instant::now(),
            held: None,
        }
    }

    /// The message as it is to be sent now. One that is late says of its rows that they may have been counted: the
    /// aggregator then counts only those that it can tell it has not.
    pub(super) fn at(mut self, now: Instant) -> Self {
        let is_counted = ![bus::DIRTY_SUBJECT, bus::OTHERS_SUBJECT].contains(&self.subject.as_str());
        if is_counted && now.duration_since(self.made_at) > LATE_AFTER {
            self.mark_late();
        }
        self
    }

    fn mark_late(&mut self) {
        let mut message: UsageMessage =
            serde_json::from_slice(&self.payload).expect("a message was written by this module");
        for entry in &mut message.entries {
            entry.duplicate = true;
        }
        self.payload = serde_json::to_vec(&message).expect("plain data always prints as JSON").into();
    }
}

impl Open {
    fn new(shard: u16) -> Self {
        let name = Sha256::new().chain_update(shard.to_le_bytes());
        Self { payload: OPENING.to_vec(), entries: 0, name }
    }

    fn has_room_for(&self, entry: &[u8]) -> bool {
        let bytes = self.payload.len() + 1 + entry.len() + FRESH.len() + CLOSING.len();
        self.entries == 0 || (self.entries < bus::ENTRIES_PER_MESSAGE_MAX && bytes <= PAYLOAD_BYTES_MAX)
    }

    fn add(&mut self, event: &EventRef<'_>, duplicate: bool) {
        if self.entries > 0 {
            self.payload.push(b',');
        }
        self.payload.extend_from_slice(event.entry);
        self.payload.extend_from_slice(if duplicate { DUPLICATE } else { FRESH });
        self.entries += 1;
        self.name.update(event.id.bytes());
        self.name.update([u8::from(duplicate)]);
    }

    fn close(mut self, shard: u16) -> Message {
        self.payload.extend_from_slice(CLOSING);
        Message {
            subject: if shard == OTHERS { bus::OTHERS_SUBJECT.to_owned() } else { bus::usage_subject(shard) },
            id: Some(hex::encode(self.name.finalize())),
            payload: self.payload.into(),
            made_at: Instant::now(),
            held: None,
        }
    }
}

fn entry(priced: &PricedEvent) -> UsageEntry {
    let (event, cost) = (priced.event(), priced.cost());
    UsageEntry {
        id: event.id,
        scope: event.scope.clone(),
        created_at: event.created_at,
        provider: bounded(event.provider.as_deref().unwrap_or_default()),
        model: bounded(event.model.as_deref().unwrap_or_default()),
        token: bounded(event.caller.token()),
        user: bounded(event.caller.user_id.as_deref().unwrap_or_default()),
        channel: bounded(event.caller.channel_id.as_deref().unwrap_or_default()),
        success: event.success,
        cached: event.cached,
        tokens_in: event.tokens.total_in(),
        tokens_out: event.tokens.total_out(),
        tokens_cache_read: tokens_in_any(event.tokens, CACHE_READ),
        tokens_cache_write: tokens_in_any(event.tokens, CACHE_WRITE),
        tokens_reasoning: event.tokens.get(TokenBucket::Reasoning),
        duration_ms: event.duration_ms,
        time_to_first_token_ms: event.time_to_first_token_ms,
        cost: cost.amount(),
        cost_source: cost.source(),
        duplicate: false,
    }
}

/// The sum of those of `buckets` that were reported, `None` if none was.
fn tokens_in_any(tokens: Tokens, buckets: &[TokenBucket]) -> Option<u64> {
    buckets.iter().filter_map(|bucket| tokens.get(*bucket)).reduce(|a, b| a + b)
}

/// Names are far shorter; whatever else got into the place of one must not make an entry that no server takes.
fn bounded(text: &str) -> String {
    shorten(text.to_owned(), NAME_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use weir_event::{CostSource, EventId};

    use super::*;

    fn entry(number: u8, model: &str) -> UsageEntry {
        let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
        let created_at = Timestamp::from_millis(1_790_000_000_000 + i64::from(number)).unwrap();
        UsageEntry {
            id: EventId::derive(created_at, &[&[number]]),
            scope,
            created_at,
            provider: "azure-openai".to_owned(),
            model: model.to_owned(),
            token: String::new(),
            user: "u\"7".to_owned(),
            channel: String::new(),
            success: true,
            cached: false,
            tokens_in: Some(1),
            tokens_out: None,
            tokens_cache_read: Some(0),
            tokens_cache_write: None,
            tokens_reasoning: None,
            duration_ms: Some(1_250),
            time_to_first_token_ms: None,
            cost: None,
            cost_source: CostSource::Unpriced,
            duplicate: false,
        }
    }

    fn messages_of(entries: impl IntoIterator<Item = UsageEntry>) -> Vec<Message> {
        let entries: Vec<_> = entries.into_iter().collect();
        let json: Vec<_> = entries
            .iter()
            .map(|entry| {
                let mut json = Vec::new();
                append_open(entry, entry.duplicate, &mut json);
                json
            })
            .collect();
        let events =
            entries.iter().zip(&json).map(|(UsageEntry { id, scope, duplicate, token, .. }, entry)| {
                let shard = bus::shard_of(scope, token);
                (EventRef { id: *id, scope, shard, log: &[], body: &[], entry }, *duplicate)
            });
        super::messages_of(events)
    }

    fn entries_of(messages: &[Message]) -> Vec<UsageEntry> {
        let read = |message: &Message| serde_json::from_slice::<UsageMessage>(&message.payload).unwrap();
        messages.iter().flat_map(|message| read(message).entries).collect()
    }

    #[test]
    fn messages_are_split_by_bytes_and_lose_nothing() {
        let long = "m".repeat(200_000);
        let entries: Vec<_> = (0..7).map(|number| entry(number, &long)).collect();
        let messages = messages_of(entries.clone());
        assert_eq!(messages.len(), 4);
        assert!(messages.iter().all(|message| message.payload.len() <= PAYLOAD_BYTES_MAX));
        assert_eq!(entries_of(&messages), entries);
    }

    #[test]
    fn what_is_no_call_is_told_apart_from_calls_and_is_never_late() {
        let UsageEntry { id, scope, created_at, .. } = entry(0, "a");
        let other = OtherEntry { id, scope: scope.clone(), created_at, duplicate: false };
        let (mut of_other, mut of_call) = (Vec::new(), Vec::new());
        append_open(&other, false, &mut of_other);
        append_open(&entry(1, "a"), false, &mut of_call);
        let event = |shard, entry| EventRef { id, scope: &scope, shard, log: &[], body: &[], entry };
        let messages = messages(&[event(OTHERS, &of_other), event(3, &of_call)], &[event(OTHERS, &of_other)]);
        let subjects: Vec<_> = messages.iter().map(|message| message.subject.as_str()).collect();
        assert_eq!(subjects, ["weir.usage.3", bus::OTHERS_SUBJECT]);
        let late = messages[1].made_at + LATE_AFTER * 2;
        let sent: bus::OthersMessage = serde_json::from_slice(&messages[1].clone().at(late).payload).unwrap();
        assert_eq!(sent.entries, [other.clone(), OtherEntry { duplicate: true, ..other }]);
    }

    #[test]
    fn of_an_event_without_an_entry_nothing_is_told() {
        let UsageEntry { id, scope, .. } = entry(0, "a");
        let silent = EventRef { id, scope: &scope, shard: 0, log: &[], body: &[], entry: &[] };
        assert!(messages(&[silent], &[silent]).is_empty());
    }

    #[test]
    fn one_entry_beyond_the_limit_is_a_message_of_its_own() {
        let entries = [entry(0, "a"), entry(1, &"m".repeat(PAYLOAD_BYTES_MAX)), entry(2, "b")];
        let messages = messages_of(entries.clone());
        assert_eq!(messages.len(), 3);
        assert_eq!(entries_of(&messages), entries);
    }

    #[test]
    fn a_message_is_named_by_its_entries_and_their_flags() {
        let name = |entries: &[UsageEntry]| messages_of(entries.iter().cloned())[0].id.clone();
        let once = [entry(0, "a"), entry(1, "a")];
        let mut again = once.clone();
        again[1].duplicate = true;
        assert_eq!(name(&once), name(&once));
        let names: BTreeSet<_> = [name(&once), name(&again), name(&once[..1])].into();
        assert_eq!(names.len(), 3);
    }

    #[test]
    fn changed_minutes_are_told_once_each_and_are_never_late() {
        let scope =
            |name: &str| Scope { account_id: name.parse().unwrap(), gateway_id: "gw".parse().unwrap() };
        let minute = |number: i64| Timestamp::from_millis(1_790_000_040_000 + number * 60_000).unwrap();
        let many = (0..1_001).flat_map(|number| [(scope("b"), minute(number)), (scope("b"), minute(number))]);
        let messages = dirty_messages([(scope("a"), minute(5))].into_iter().chain(many));
        let read = |message: Message| {
            assert_eq!((message.subject.as_str(), message.id.as_ref()), (bus::DIRTY_SUBJECT, None));
            let late = message.made_at + LATE_AFTER * 2;
            serde_json::from_slice::<DirtyMessage>(&message.at(late).payload).unwrap()
        };
        let messages: Vec<_> = messages.into_iter().map(read).collect();
        assert_eq!(messages.iter().map(|message| message.minutes.len()).collect::<Vec<_>>(), [1, 1_000, 1]);
        assert_eq!(messages[2].scope, scope("b"));
    }

    #[test]
    fn a_late_message_does_not_claim_that_its_rows_are_new() {
        let entries = [entry(0, "a \"duplicate\":false"), entry(1, "b")];
        let message = messages_of(entries.clone()).remove(0);
        let made_at = message.made_at;
        let sent = [message.clone().at(made_at + LATE_AFTER)];
        assert_eq!(entries_of(&sent), entries);
        let late = [message.at(made_at + LATE_AFTER + Duration::from_millis(1))];
        let expected = entries.map(|entry| UsageEntry { duplicate: true, ..entry });
        assert_eq!(entries_of(&late), expected);
    }

    #[test]
    fn parts_of_tokens_are_summed_as_in_usage_15m() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens_in_any(tokens, CACHE_READ), None);
        for (index, bucket) in TokenBucket::ALL.into_iter().enumerate() {
            tokens.set(bucket, 1 << index).unwrap();
        }
        let part = |bucket: TokenBucket| 1_u64 << (bucket as usize);
        let read =
            [TokenBucket::CacheRead, TokenBucket::CacheReadAudio, TokenBucket::CacheReadImage].map(part);
        assert_eq!(tokens_in_any(tokens, CACHE_READ), Some(read.iter().sum()));
        let written = part(TokenBucket::CacheWrite5m) + part(TokenBucket::CacheWrite1h);
        assert_eq!(tokens_in_any(tokens, CACHE_WRITE), Some(written));
    }

    #[test]
    fn texts_from_outside_are_bounded() {
        assert_eq!(bounded("gpt-4o"), "gpt-4o");
        assert_eq!(bounded(&"\u{e9}".repeat(300)), "\u{e9}".repeat(256));
    }
}

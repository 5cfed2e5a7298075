//! What travels from `ingest` to `aggregator` over NATS JetStream, and under which subjects.
//!
//! A message tells of rows that are already committed in ClickHouse: the bus is a signal, never a copy of record.
//! Losing one leaves its rows out of the statistics until their minute is touched, or the past is read, again.
//! There are three kinds, told apart by their subject: [`UsageMessage`]s of new calls, [`OthersMessage`]s of new rows that are
//! no calls, and [`DirtyMessage`]s of rows that were changed where they lie.
//!
//! Apart from these, and read by `ingest` alone, is the spool: batches that ClickHouse was not there for, in a stream of
//! their own. That one is a copy of record: a message is in it until its rows are committed. Who wants to know how many
//! records wait asks the stream for its subjects ([`SPOOL_SUBJECTS`] as the filter of its info), and sums them up with
//! [`spooled_records`].

mod live;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::live::{Group, LiveRequest, LiveRow, LiveSnapshot, LiveWindow, Top};
use crate::{CostSource, EventId, Scope, Source, Timestamp, Usd, fnv1a};

/// The JetStream stream that holds usage messages.
pub const USAGE_STREAM: &str = "WEIR_USAGE";
/// Every subject of the stream.
pub const USAGE_SUBJECTS: &str = "weir.usage.>";
/// The subject of [`DirtyMessage`]s. It is one of the stream's: the stream's order is what says whether a warm-up saw
/// the rows before or after they changed.
pub const DIRTY_SUBJECT: &str = "weir.usage.dirty";
/// The subject of [`OthersMessage`]s. It is one of the stream's, so it gets there as surely, and nobody counts what it tells.
pub const OTHERS_SUBJECT: &str = "weir.usage.others";
/// How long the stream keeps a message. An aggregator that was away for longer reads the past from ClickHouse.
///
/// These constants describe the stream to both of its creators, whichever comes first: it is stored in files, one
/// copy per server that it runs on, and gives up its oldest messages when it is full.
pub const USAGE_AGE_MAX: Duration = Duration::from_hours(24);
/// How much the stream keeps, in bytes.
pub const USAGE_BYTES_MAX: i64 = 1 << 30;
/// For how long a message that is published twice under one message id is stored once.
pub const USAGE_DUPLICATE_WINDOW: Duration = Duration::from_mins(2);
/// The JetStream stream of the spool. Its messages leave it when they are acknowledged and in no other way: it has no
/// age, and when it is full it refuses what is new.
pub const SPOOL_STREAM: &str = "WEIR_SPOOL";
/// Every subject of the spool, see [`spool_subject`].
pub const SPOOL_SUBJECTS: &str = "weir.spool.>";
/// The durable consumer that every `ingest` drains the spool through.
pub const SPOOL_CONSUMER: &str = "drain";
/// For how long a part of a push that is pushed again lies in the spool once.
pub const SPOOL_DUPLICATE_WINDOW: Duration = Duration::from_hours(1);
/// After how long without a sign of life of whoever drains it a message is given to another one.
pub const SPOOL_ACK_WAIT: Duration = Duration::from_mins(1);
const SPOOL_PREFIX: &str = "weir.spool.";
const SETTLING_PREFIX: &str = "weir.settling.";
/// Where an aggregator answers [`LiveRequest`]s.
pub const LIVE_SUBJECT: &str = "weir.live";
/// The header that says why an answer is none.
pub const LIVE_REFUSAL: &str = "Nats-Service-Error";
/// The header with its code.
pub const LIVE_REFUSAL_CODE: &str = "Nats-Service-Error-Code";
/// The [`LIVE_REFUSAL_CODE`] of a [`LiveRequest`] that is understood and asks for what live windows cannot tell.
pub const LIVE_REFUSED: &str = "422";
/// Where every ingest process answers, with [`InFlight`], how much is on its way. The question is empty.
pub const LEDGER_SUBJECT: &str = "weir.ledger";
/// Where one of the ingest processes hears, without a word, that there is a removal to be done.
pub const REMOVALS_SUBJECT: &str = "weir.removals";
/// Into how many shards usage is split. Aggregators share them out.
pub const SHARDS: u16 = 16;
/// The most entries in one message: keeps it below NATS's default limit of 1 MiB.
pub const ENTRIES_PER_MESSAGE_MAX: usize = 1_000;
/// The most minutes in one message: bounds what waits for its acknowledgement.
pub const MINUTES_PER_MESSAGE_MAX: usize = 1_000;

/// A slice of a committed batch: what the aggregator needs of each row, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageMessage {
    /// The entries, all of one shard.
    pub entries: Vec<UsageEntry>,
}

/// The same of what is no call, such as a login: there is nothing to count, and who looks on is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OthersMessage {
    /// Of any shard.
    pub entries: Vec<OtherEntry>,
}

/// One committed row that is no call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherEntry {
    /// Which event.
    pub id: EventId,
    /// Whose.
    pub scope: Scope,
    /// When it ended.
    pub created_at: Timestamp,
    /// The row was stored by an earlier delivery.
    pub duplicate: bool,
}

/// One committed row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageEntry {
    /// Which event.
    pub id: EventId,
    /// Whose.
    pub scope: Scope,
    /// When it ended: the time that windows and rollups go by.
    pub created_at: Timestamp,
    /// The provider, `""` where unknown.
    pub provider: String,
    /// The model, `""` where unknown.
    pub model: String,
    /// The API token, see [`crate::Caller::token`].
    pub token: String,
    /// The user's id, `""` where unknown. This and the other members with a default are not in the messages of an older
    /// ingest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The upstream channel's id, `""` where unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// Whether it went well.
    pub success: bool,
    /// Whether the gateway's cache answered.
    pub cached: bool,
    /// Input tokens of all buckets, where reported.
    pub tokens_in: Option<u64>,
    /// Output tokens of all buckets, where reported.
    pub tokens_out: Option<u64>,
    /// Of the input tokens those that the provider had in its cache: text, audio and images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_cache_read: Option<u64>,
    /// Of the input tokens those that were written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_cache_write: Option<u64>,
    /// Of the output tokens those that are reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_reasoning: Option<u64>,
    /// How long it took, in milliseconds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Milliseconds to the first token of a streamed answer, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<u64>,
    /// The cost, where known.
    pub cost: Option<Usd>,
    /// Where the cost comes from.
    pub cost_source: CostSource,
    /// Whether the row was already stored when this delivery of it came in. It was counted then and is not to be
    /// counted again, unless the first delivery died before it was announced; in any case its minute is to be checked.
    pub duplicate: bool,
}

/// Minutes of one tenant whose rows were changed after they had been told of: priced anew, or deleted. The changes are
/// committed. Said twice, it is as good as said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirtyMessage {
    /// Whose.
    pub scope: Scope,
    /// The first millisecond of each, at most [`MINUTES_PER_MESSAGE_MAX`].
    pub minutes: Vec<Timestamp>,
}

impl DirtyMessage {
    /// The messages that tell of `minutes`, each once: of one tenant each, and bounded.
    #[must_use]
    pub fn of(minutes: impl IntoIterator<Item = (Scope, Timestamp)>) -> Vec<Self> {
        let mut scopes: BTreeMap<Scope, BTreeSet<Timestamp>> = BTreeMap::new();
        for (scope, minute) in minutes {
            scopes.entry(scope).or_default().insert(minute);
        }
        let mut messages = Vec::new();
        for (scope, minutes) in scopes {
            let minutes: Vec<_> = minutes.into_iter().collect();
            let bounded = minutes.chunks(MINUTES_PER_MESSAGE_MAX);
            messages.extend(bounded.map(|minutes| Self { scope: scope.clone(), minutes: minutes.to_vec() }));
        }
        messages
    }
}

/// The shard of an API token's usage: all of a token's events meet in one place.
#[must_use]
pub fn shard_of(scope: &Scope, token: &str) -> u16 {
    let hash = fnv1a([scope.account_id.as_str(), "\0", token]);
    u16::try_from(hash % u64::from(SHARDS)).expect("less than SHARDS")
}

/// The subject of a shard: `weir.usage.7`.
#[must_use]
pub fn usage_subject(shard: u16) -> String {
    format!("weir.usage.{shard}")
}

/// The subject of a message of the spool: whose door its records came in through, and how many they are, those in which
/// there was nothing to store included. `weir.spool.logpush.200`.
#[must_use]
pub fn spool_subject(source: Source, records: u64) -> String {
    format!("{SPOOL_PREFIX}{}.{records}", source.as_str())
}

/// How many records wait in the spool, by source: summed up from its subjects and the number of messages under each. A
/// subject of another form counts as nothing.
#[must_use]
pub fn spooled_records<'s>(subjects: impl IntoIterator<Item = (&'s str, u64)>) -> BTreeMap<Source, u64> {
    let parse = |subject: &str| {
        let (source, records) = subject.strip_prefix(SPOOL_PREFIX)?.split_once('.')?;
        Some((source.parse::<Source>().ok()?, records.parse::<u64>().ok()?))
    };
    let mut sums = BTreeMap::new();
    for (subject, messages) in subjects {
        if let Some((source, records)) = parse(subject) {
            *sums.entry(source).or_default() += records * messages;
        }
    }
    sums
}

/// Where the one that settles a write, named by its insert token in hexadecimal, answers for as long as it does.
#[must_use]
pub fn settling_subject(token: &str) -> String {
    format!("{SETTLING_PREFIX}{token}")
}

/// What an ingest process answers under [`LEDGER_SUBJECT`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InFlight {
    /// Records that were read and whose way has not ended, of all accounts. A source without any may be missing.
    pub sources: BTreeMap<Source, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_pinned() {
        let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
        // A change of these would move live state between aggregators of different versions.
        assert_eq!(
            [shard_of(&scope, ""), shard_of(&scope, "team-a"), shard_of(&scope, "team-b")],
            [14, 13, 4]
        );
        assert!((0..1_000).all(|n| shard_of(&scope, &n.to_string()) < SHARDS));
    }

    #[test]
    fn an_entry_of_an_older_ingest_is_read() {
        let json = r#"{"id":"01JBWGSV1G00000000000000W0","scope":{"account_id":"acc","gateway_id":"gw"},
            "created_at":"2024-09-30T09:45:41.328Z","provider":"openai","model":"gpt-4o","token":"t","success":true,
            "cached":false,"tokens_in":1,"tokens_out":null,"cost":"0.1","cost_source":"computed","duplicate":false}"#;
        let entry: UsageEntry = serde_json::from_str(json).unwrap();
        assert_eq!((entry.user.as_str(), entry.duration_ms, entry.tokens_reasoning), ("", None, None));
        let again = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<UsageEntry>(&again).unwrap(), entry);
        assert!(!again.contains("user") && again.ends_with(r#""duplicate":false}"#), "{again}");
    }

    #[test]
    fn the_subjects_of_the_spool_say_how_many_records_are_in_it() {
        let subjects = [
            spool_subject(Source::Logpush, 200),
            spool_subject(Source::Logpush, 3),
            spool_subject(Source::Http, 7),
        ];
        assert_eq!(subjects[0], "weir.spool.logpush.200");
        let counted = subjects.iter().map(String::as_str).zip([2, 1, 1]);
        let odd = [("weir.spool.logpush", 9), ("weir.spool.smoke.1", 9), ("weir.usage.1", 9)];
        let sums = spooled_records(counted.chain(odd));
        assert_eq!(sums, BTreeMap::from([(Source::Logpush, 403), (Source::Http, 7)]));
        assert!(!settling_subject("ab").starts_with(SPOOL_PREFIX), "what is asked is not to be stored");
    }
}

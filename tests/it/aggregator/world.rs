//! The aggregator as a process, in front of the real engine and a real NATS; rows and messages are made by hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::{self, Context};
use async_nats::{Client as NatsClient, ConnectOptions, Message};
use clickhouse::Client;
use futures_util::{StreamExt, TryStreamExt};
use harness::{create_tables, eventually, run_audit};
use tempfile::TempDir;
use weir_event::bus::{self, DirtyMessage, LiveRequest, LiveSnapshot, SHARDS, UsageEntry, UsageMessage};
use weir_event::{CostSource, Dimension, EventId, Scope, Timestamp, Usd};
use weir_local::{ClickHouse, Installation, Nats, Probe, Program, Service, free_address, random_secret};
use weir_store::{LogRow, ScaledUsd};

use super::expected::Rollup;

pub(super) const LIMIT: Duration = Duration::from_mins(1);
/// So that a process that takes over from a killed one does not wait for long.
pub(super) const LEASE_TIMEOUT: &str = "2s";

/// An aggregator, and where it tells of itself.
pub(super) struct Aggregator {
    pub(super) service: Service,
    ops_url: String,
}

/// Everything that the aggregator needs, and the aggregator.
pub(super) struct World {
    pub(super) first: Aggregator,
    pub(super) clickhouse: ClickHouse,
    pub(super) nats: Nats,
    pub(super) store: Client,
    pub(super) bus: NatsClient,
    pub(super) jetstream: Context,
    // Last, so that the processes are gone before their files.
    dir: TempDir,
}

impl World {
    /// Starts with a short flush interval and redelivery, and `args` on top.
    pub(super) async fn start(args: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let secret = || random_secret().unwrap();
        let clickhouse =
            ClickHouse::start(&installation, &dir.path().join("clickhouse"), &secret()).await.unwrap();
        let nats = Nats::start(&installation, &dir.path().join("nats"), &secret()).await.unwrap();
        let store = create_tables(&clickhouse).await;
        let bus = ConnectOptions::with_token(nats.token.clone()).connect(&nats.url).await.unwrap();
        let place = (dir.path(), "aggregator");
        let first = Aggregator::start(&installation, place, (&clickhouse, &nats), args).await;
        let jetstream = jetstream::new(bus.clone());
        Self { first, clickhouse, nats, store, bus, jetstream, dir }
    }

    /// Starts one more aggregator, with `args` on top.
    pub(super) async fn another(&self, name: &str, args: &[&str]) -> Aggregator {
        let installation = Installation::detect().unwrap();
        let place = (self.dir.path(), name);
        Aggregator::start(&installation, place, (&self.clickhouse, &self.nats), args).await
    }

    /// The clock of this machine.
    pub(super) async fn now_ms(&self) -> i64 {
        self.store.query("SELECT toUnixTimestamp64Milli(now64(3))").fetch_one().await.unwrap()
    }

    /// Commits the rows of `entries`, as ingest does before it tells of them.
    pub(super) async fn commit(&self, entries: &[UsageEntry]) {
        self.commit_at(entries, self.now_ms().await).await;
    }

    /// The same, at another time than now.
    pub(super) async fn commit_at(&self, entries: &[UsageEntry], ingested_at: i64) {
        let mut insert = self.store.insert::<LogRow<'_>>("logs").await.unwrap();
        for entry in entries {
            insert.write(&log_row(entry, ingested_at)).await.unwrap();
        }
        insert.end().await.unwrap();
    }

    /// Publishes `entries`, at most 50 to a message, under their shards.
    pub(super) async fn publish(&self, entries: &[UsageEntry]) {
        for entries in entries.chunks(50) {
            let mut shards: BTreeMap<u16, Vec<UsageEntry>> = BTreeMap::new();
            for entry in entries {
                shards.entry(bus::shard_of(&entry.scope, &entry.token)).or_default().push(entry.clone());
            }
            for (shard, entries) in shards {
                let payload = serde_json::to_vec(&UsageMessage { entries }).unwrap();
                self.publish_to(bus::usage_subject(shard), payload).await;
            }
        }
    }

    pub(super) async fn publish_bytes(&self, payload: Vec<u8>) {
        self.publish_to(bus::usage_subject(0), payload).await;
    }

    /// Starts the aggregator again, and waits until it has all shards: those of a predecessor that was killed have to run out.
    pub(super) async fn restart(&self) {
        self.first.service.restart(LIMIT).await.unwrap();
        eventually(LIMIT, u64::from(SHARDS), || self.metric("weir_aggregator_shards_held")).await;
        self.first.service.wait_until_ready(LIMIT).await.unwrap();
    }

    /// Says that the rows of `entries` were changed.
    pub(super) async fn publish_dirty(&self, entries: &[UsageEntry]) {
        for scope in ["gw-a", "gw-b"].map(scope) {
            let minute = |entry: &UsageEntry| (entry.scope == scope).then(|| entry.created_at.minute());
            let minutes = entries.iter().filter_map(minute).collect();
            let message = DirtyMessage { scope: scope.clone(), minutes };
            self.publish_to(bus::DIRTY_SUBJECT.to_owned(), serde_json::to_vec(&message).unwrap()).await;
        }
    }

    /// Says that the rows of these minutes were changed: gateways and times in seconds.
    pub(super) async fn tell_of(&self, minutes: &str) {
        self.tell(&self.minutes_of(minutes).await).await;
    }

    pub(super) async fn minutes_of(&self, statement: &str) -> Vec<(Scope, Timestamp)> {
        let rows: Vec<(String, i64)> = self.store.query_raw(statement).fetch_all().await.unwrap();
        let minute = |(gateway, at_s): &(String, i64)| {
            (scope(gateway), Timestamp::from_millis(at_s * 1_000).unwrap().minute())
        };
        rows.iter().map(minute).collect()
    }

    pub(super) async fn tell(&self, minutes: &[(Scope, Timestamp)]) {
        for message in DirtyMessage::of(minutes.iter().cloned()) {
            self.publish_to(bus::DIRTY_SUBJECT.to_owned(), serde_json::to_vec(&message).unwrap()).await;
        }
    }

    async fn publish_to(&self, subject: String, payload: Vec<u8>) {
        let published = self.jetstream.publish(subject, payload.into()).await.unwrap();
        published.await.unwrap();
    }

    /// Commits, then publishes.
    pub(super) async fn deliver(&self, entries: &[UsageEntry]) {
        self.commit(entries).await;
        self.publish(entries).await;
    }

    /// Asks until somebody is there to answer.
    pub(super) async fn ask(&self, request: Vec<u8>) -> Message {
        let asking = async {
            loop {
                match self.bus.request(bus::LIVE_SUBJECT, request.clone().into()).await {
                    Ok(answer) => return answer,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(LIMIT, asking).await.unwrap()
    }

    /// The live windows by token and model, without what depends on when messages came.
    pub(super) async fn live(&self, scope: &Scope) -> LiveSnapshot {
        let group_by = vec![Dimension::Token, Dimension::Model];
        let request = LiveRequest { scope: scope.clone(), filter: String::new(), group_by, top: None };
        let answer = self.ask(serde_json::to_vec(&request).unwrap()).await;
        let live = serde_json::from_slice(&answer.payload).unwrap();
        LiveSnapshot { complete_through: None, late: 0, ..live }
    }

    /// The rollups that are in force, the ones of nothing included.
    pub(super) async fn rollups(&self) -> Vec<Rollup> {
        let statement = "SELECT gateway_id, toUnixTimestamp(minute) AS minute, provider, model, token, requests, \
            errors, cached, unpriced, tokens_in, tokens_out, cost FROM usage_1m FINAL \
            ORDER BY gateway_id, minute, provider, model, token";
        self.store.query(statement).fetch_all::<Rollup>().await.unwrap()
    }

    /// Runs `aggregator verify` or `rebuild`, see [`run_audit`].
    pub(super) async fn audit(&self, args: &[&str]) -> (i32, String) {
        run_audit(&self.clickhouse, &self.nats, args).await
    }

    /// A statement that answers nothing.
    pub(super) async fn execute(&self, statement: &str) {
        self.store.query_raw(statement).execute().await.unwrap();
    }

    /// The one text, or figure, that a statement gives.
    pub(super) async fn text(&self, statement: &str) -> String {
        let statement = format!("SELECT ifNull(toString(({statement})), 'NULL')");
        self.store.query_raw(&statement).fetch_one::<String>().await.unwrap()
    }

    /// The consumers of the shards.
    pub(super) async fn consumers(&self) -> Vec<Info> {
        let stream = self.jetstream.get_stream(bus::USAGE_STREAM).await.unwrap();
        let consumers: Vec<Info> = stream.consumers().try_collect().await.unwrap();
        consumers.into_iter().filter(|info| info.name.starts_with("aggregator-")).collect()
    }

    /// Waits until every message of every shard is acknowledged.
    pub(super) async fn wait_until_acknowledged(&self) {
        let left = async || {
            let consumers = self.consumers().await;
            let waits = |info: &&Info| info.num_ack_pending > 0 || info.num_pending > 0;
            (consumers.len(), consumers.iter().filter(waits).count())
        };
        eventually(LIMIT, (usize::from(SHARDS), 0), left).await;
    }

    /// A counter or gauge of the first aggregator.
    pub(super) async fn metric(&self, name: &str) -> u64 {
        self.first.metric(name).await
    }

    /// What the ops listener of the first aggregator answers.
    pub(super) async fn ops(&self, path: &str) -> String {
        self.first.ops(path).await
    }

    /// What each aggregator says of its shards, as soon as all shards are there.
    pub(super) async fn live_of_all(&self, scope: &Scope) -> Vec<LiveSnapshot> {
        self.answers(scope, (usize::from(SHARDS), Duration::from_secs(1))).await
    }

    /// What each aggregator says of its shards, until there are `enough` of them or there is silence.
    pub(super) async fn answers(
        &self,
        scope: &Scope,
        (enough, silence): (usize, Duration),
    ) -> Vec<LiveSnapshot> {
        let group_by = vec![Dimension::Token, Dimension::Model];
        let request = LiveRequest { scope: scope.clone(), filter: String::new(), group_by, top: None };
        let request = serde_json::to_vec(&request).unwrap();
        let inbox = self.bus.new_inbox();
        let mut incoming = self.bus.subscribe(inbox.clone()).await.unwrap();
        self.bus.publish_with_reply(bus::LIVE_SUBJECT, inbox, request.into()).await.unwrap();
        let mut answers: Vec<LiveSnapshot> = Vec::new();
        while answers.iter().map(|answer| answer.shards.len()).sum::<usize>() < enough {
            match tokio::time::timeout(silence, incoming.next()).await {
                Ok(Some(answer)) if answer.status.is_none() => {
                    let live: LiveSnapshot = serde_json::from_slice(&answer.payload).unwrap();
                    answers.push(LiveSnapshot { complete_through: None, late: 0, ..live });
                }
                _ => break,
            }
        }
        answers
    }
}

impl Aggregator {
    /// Starts with a short flush interval and redelivery, and `args` on top.
    async fn start(
        installation: &Installation,
        (dir, name): (&Path, &str),
        (clickhouse, nats): (&ClickHouse, &Nats),
        args: &[&str],
    ) -> Self {
        let ops_listen = free_address().unwrap().to_string();
        let ops_url = format!("http://{ops_listen}");
        let executable = installation.binary("aggregator").unwrap();
        let program = Program::new(name, executable, dir.join(format!("{name}.log")))
            .args(["--aggregator-ops-listen", &ops_listen])
            .args(args)
            .env("WEIR_AGGREGATOR_FLUSH_INTERVAL", "100ms")
            .env("WEIR_AGGREGATOR_USAGE_15M_INTERVAL", "200ms")
            .env("WEIR_AGGREGATOR_ACK_WAIT", "2s")
            .env("WEIR_AGGREGATOR_LEASE_TIMEOUT", LEASE_TIMEOUT)
            .reaching(clickhouse, nats)
            .ready_when(Probe::Http(format!("{ops_url}/readyz")));
        Self { service: Service::start(program, LIMIT).await.unwrap(), ops_url }
    }

    /// A counter or gauge.
    pub(super) async fn metric(&self, name: &str) -> u64 {
        let text = self.ops("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        line.parse().unwrap()
    }

    /// What the ops listener answers.
    pub(super) async fn ops(&self, path: &str) -> String {
        reqwest::get(format!("{}{path}", self.ops_url)).await.unwrap().text().await.unwrap()
    }
}

pub(super) fn scope(gateway: &str) -> Scope {
    Scope { account_id: "acc".parse().unwrap(), gateway_id: gateway.parse().unwrap() }
}

/// An event that is told apart by `seed`, which also decides its figures and whose it is.
pub(super) fn entry(seed: u32, created_ms: i64) -> UsageEntry {
    let created_at = Timestamp::from_millis(created_ms).unwrap();
    let priced = !seed.is_multiple_of(5);
    UsageEntry {
        id: EventId::derive(created_at, &[&seed.to_le_bytes()]),
        scope: scope(["gw-a", "gw-b"][seed as usize % 2]),
        created_at,
        provider: ["openai", "o'pen\\ai;"][seed as usize % 7 % 2].to_owned(),
        model: format!("model-{}", seed % 3),
        token: ["", "team-a", "team-b"][seed as usize % 9 / 3].to_owned(),
        user: ["", "7"][seed as usize % 2].to_owned(),
        channel: String::new(),
        success: !seed.is_multiple_of(4),
        cached: seed.is_multiple_of(6),
        tokens_in: (!seed.is_multiple_of(8)).then_some(u64::from(seed)),
        tokens_out: Some(7),
        tokens_cache_read: seed.is_multiple_of(3).then_some(u64::from(seed / 2)),
        tokens_cache_write: seed.is_multiple_of(5).then_some(3),
        tokens_reasoning: seed.is_multiple_of(7).then_some(2),
        duration_ms: (!seed.is_multiple_of(9)).then_some(u64::from(seed) * 37),
        time_to_first_token_ms: seed.is_multiple_of(2).then_some(u64::from(seed) * 11),
        cost: priced.then(|| format!("1.{seed:018}").parse::<Usd>().unwrap()),
        cost_source: if priced { CostSource::Computed } else { CostSource::Unpriced },
        duplicate: false,
    }
}

/// `count` events of the past 25 hours, most of them recent.
pub(super) fn entries(first_seed: u32, count: u32, now_ms: i64) -> Vec<UsageEntry> {
    let age_ms = |n: u32| match n % 4 {
        0 => i64::from(n) * 37,
        1 => i64::from(n) * 2_300,
        2 => i64::from(n) * 100_003 % 3_600_000,
        _ => i64::from(n) * 1_000_003 % 90_000_000,
    };
    (0..count).map(|n| entry(first_seed + n, now_ms - age_ms(n))).collect()
}

fn log_row(entry: &UsageEntry, ingested_at: i64) -> LogRow<'_> {
    LogRow {
        account_id: entry.scope.account_id.as_str(),
        gateway_id: entry.scope.gateway_id.as_str(),
        created_at: entry.created_at.millis(),
        id: entry.id.bytes(),
        started_at: entry.id.started_at().millis(),
        ingested_at,
        source: "http",
        dialect: "canonical",
        kind: "consume",
        provider: &entry.provider,
        model: &entry.model,
        token: &entry.token,
        user_id: &entry.user,
        channel_id: &entry.channel,
        success: entry.success,
        cached: entry.cached,
        tokens_in: entry.tokens_in,
        tokens_out: entry.tokens_out,
        tokens_cache_read: entry.tokens_cache_read,
        tokens_cache_write_1h: entry.tokens_cache_write,
        tokens_reasoning: entry.tokens_reasoning,
        duration_ms: entry.duration_ms,
        time_to_first_token_ms: entry.time_to_first_token_ms,
        cost: entry.cost.map(ScaledUsd::from),
        cost_source: entry.cost_source.as_str(),
        ..LogRow::default()
    }
}

//! A store and a bus with rows made by hand, and `ingest reprice` in front of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream;
use clickhouse::Client;
use harness::create_tables;
use tempfile::TempDir;
use weir_event::Timestamp;
use weir_event::bus::{self, DirtyMessage};
use weir_local::{ClickHouse, Installation, Nats, Program, Service, random_secret};

pub(super) const LIMIT: Duration = Duration::from_mins(2);

/// Everything that a reprice needs.
pub(super) struct World {
    pub(super) clickhouse: ClickHouse,
    pub(super) nats: Nats,
    pub(super) store: Client,
    // Last, so that the processes are gone before their files.
    dir: TempDir,
}

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) output: String,
}

impl World {
    pub(super) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let secret = || random_secret().unwrap();
        let clickhouse =
            ClickHouse::start(&installation, &dir.path().join("clickhouse"), &secret()).await.unwrap();
        let nats = Nats::start(&installation, &dir.path().join("nats"), &secret()).await.unwrap();
        let store = create_tables(&clickhouse).await;
        Self { clickhouse, nats, store, dir }
    }

    /// Writes a price file and gives its place.
    pub(super) fn price_file(&self, name: &str, text: &str) -> PathBuf {
        write_file(self.dir.path(), name, text)
    }

    /// Starts a run with `args` over all of the time that the tests have rows of.
    pub(super) fn spawn(&self, name: &str, args: &[&str]) -> Service {
        spawn_reprice(&self.clickhouse, &self.nats, self.dir.path(), name, args)
    }

    /// The same, and waits for its end.
    pub(super) async fn run(&self, name: &str, args: &[&str]) -> Ended {
        end_of(&self.spawn(name, args)).await
    }

    pub(super) async fn execute(&self, statement: &str) {
        self.store.query_raw(statement).execute().await.unwrap();
    }

    /// The one figure, or text, that a statement gives.
    pub(super) async fn text(&self, statement: &str) -> String {
        let statement = format!("SELECT ifNull(toString(({statement})), 'NULL')");
        self.store.query_raw(&statement).fetch_one::<String>().await.unwrap()
    }

    /// `rows` rows of an account, spread over the end of June and July 2026, with all sorts of costs: wrong ones,
    /// unknown ones, and such as a reprice has to leave alone. Rows of the same number are the same but for the account.
    pub(super) async fn insert_rows(&self, account: &str, rows: u64) {
        let statement = format!(
            "INSERT INTO logs (account_id, gateway_id, created_at, id, started_at, ingested_at, source, dialect, \
                kind, provider, model, success, cached, token, tokens_in, tokens_out, tokens_uncached_input, \
                tokens_text_output, cost, cost_source, unpriced_reason, price_id, price_book, quota, quota_source) \
             SELECT '{account}', concat('gw-', toString(number % 2)), \
                toDateTime64('2026-06-28 00:00:00', 3, 'UTC') \
                    + toIntervalMillisecond(number * 7919 % 604800000) AS ended, \
                leftPad(upper(hex(sipHash64('{account}', number))), 26, '0'), ended, ended, 'http', 'canonical', \
                'consume', 'mine', concat('model-', toString(number % 3)), number % 5 != 0 AS well, \
                number % 11 = 0 AS hit, concat('team-', toString(number % 4)), 1000 + number % 13, number % 17, \
                1000 + number % 13, number % 17, \
                multiIf(hit, toDecimal128(0, 18), number % 7 = 0, toDecimal128(5, 18), \
                    number % 3 = 0, NULL, toDecimal128(number, 18) / 1000000) AS amount, \
                multiIf(hit, 'cached_zero', number % 7 = 0, 'provided', number % 3 = 0, 'unpriced', 'computed') \
                    AS origin, \
                if(origin = 'unpriced', 'no_price', ''), if(origin = 'computed', 'mine/old', ''), \
                if(origin = 'computed', 'old-edition', ''), \
                multiIf(number % 4 = 0, 77, amount IS NULL OR NOT well, NULL, toInt64(amount * 500000)) AS units, \
                multiIf(number % 4 = 0, 'provided', units IS NULL, '', 'cost') \
             FROM numbers({rows})"
        );
        self.execute(&statement).await;
    }

    /// Everything that `logs` says of an account, as one number; without what differs between accounts.
    pub(super) async fn digest(&self, account: &str) -> String {
        let statement = format!(
            "SELECT concat(toString(count()), ' rows, ', toString(sum(cost)), ' USD, ', \
                toString(groupBitXor(sipHash64(formatRow('TSV', gateway_id, created_at, started_at, ingested_at, provider, model, \
                    success, cached, token, tokens_in, tokens_out, tokens_uncached_input, tokens_text_output, \
                    cost, cost_source, unpriced_reason, price_id, price_book, cost_revision, quota, \
                    quota_source))))) FROM logs WHERE account_id = '{account}'"
        );
        self.text(&statement).await
    }

    /// Everything that `cost_revisions` says of an account, as one number, and how many rows it has more than once.
    pub(super) async fn history(&self, account: &str) -> String {
        let statement = format!(
            "SELECT concat(toString(count()), ' changes, ', toString(count() - uniqExact(id, revision)), ' double, ', \
                toString(groupBitXor(sipHash64(formatRow('TSV', gateway_id, created_at, revision, old_cost, \
                    old_cost_source, old_unpriced_reason, old_price_id, old_price_book, old_quota, \
                    old_quota_source, new_cost, new_cost_source, new_unpriced_reason, new_price_id, \
                    new_price_book, new_quota, new_quota_source))))) \
             FROM cost_revisions WHERE account_id = '{account}'"
        );
        self.text(&statement).await
    }

    /// The minutes of an account that have changed costs, in epoch milliseconds.
    pub(super) async fn changed_minutes(&self, account: &str) -> BTreeSet<(String, i64)> {
        let statement = "SELECT DISTINCT gateway_id, toInt64(toUnixTimestamp(toStartOfMinute(created_at))) * 1000 \
            FROM cost_revisions WHERE account_id = ?";
        let minutes: Vec<(String, i64)> =
            self.store.query(statement).bind(account).fetch_all().await.unwrap();
        minutes.into_iter().collect()
    }

    /// Those that the aggregator was told of.
    pub(super) async fn marked_minutes(&self, account: &str) -> BTreeSet<(String, i64)> {
        let options = ConnectOptions::with_token(self.nats.token.clone());
        let context = jetstream::new(options.connect(&self.nats.url).await.unwrap());
        let mut stream = context.get_stream(bus::USAGE_STREAM).await.unwrap();
        let mut marked = BTreeSet::new();
        for sequence in 1..=stream.info().await.unwrap().state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            assert_eq!(message.subject.as_str(), bus::DIRTY_SUBJECT);
            let dirty: DirtyMessage = serde_json::from_slice(&message.payload).unwrap();
            assert!(dirty.minutes.len() <= bus::MINUTES_PER_MESSAGE_MAX);
            if dirty.scope.account_id.as_str() == account {
                let minute = |minute: &Timestamp| (dirty.scope.gateway_id.to_string(), minute.millis());
                marked.extend(dirty.minutes.iter().map(minute));
            }
        }
        marked
    }
}

pub(super) fn write_file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Starts `ingest reprice` over all time.
pub(super) fn spawn_reprice(
    clickhouse: &ClickHouse,
    nats: &Nats,
    dir: &Path,
    name: &str,
    args: &[&str],
) -> Service {
    let executable = Installation::detect().unwrap().binary("ingest").unwrap();
    let program = Program::new(name, executable, dir.join(format!("{name}.log")))
        .args(["reprice", "--from", "2020-01-01", "--to", "2099-01-01"])
        .args(args)
        .reaching(clickhouse, nats);
    Service::spawn(program).unwrap()
}

pub(super) async fn end_of(run: &Service) -> Ended {
    let status = run.wait_until_ended(LIMIT).await.unwrap();
    Ended { status, output: std::fs::read_to_string(run.log()).unwrap() }
}

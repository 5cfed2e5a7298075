//! From `cost_revisions` to `logs`: a batch at a time, each by one mutation.
//!
//! The new values of a batch are put into a table of their own, which ClickHouse holds in memory, and a mutation looks
//! each row's up by its id. It changes a row only to a revision that is higher than the row's own. So it may run twice,
//! or in part, and a row whose values are missing stays as it is. ClickHouse writes down a mutation before it begins, and
//! goes on with it after a crash; so the table of a batch stays until its mutation is known to be done.

use std::time::Duration;

use clickhouse::{Client, Row};
use serde::Deserialize;
use tokio::time::sleep;

use super::error::RepriceError;
use super::journal::Lease;
use super::table::COMMENT;

/// How the names of the tables with new values begin; the run and the batch follow.
const VALUES_PREFIX: &str = "reprice_values_";
/// Between two looks at a mutation.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Rows that came twice while a mutation was being made are not in it: it is repeated for them.
const ATTEMPTS_MAX: u32 = 3;

/// The values by id. In memory it takes some 170 bytes a row.
const CREATE_VALUES: &str = "CREATE TABLE IF NOT EXISTS ? (\
        id FixedString(26), revision UInt32, cost Nullable(Decimal(38, 18)), cost_source String, \
        unpriced_reason String, price_id String, price_book String, quota Nullable(Int64), quota_source String\
    ) ENGINE = Join(ANY, LEFT, id)";
const FILL_VALUES: &str = "INSERT INTO ? SELECT id, revision, new_cost, new_cost_source, \
        new_unpriced_reason, new_price_id, new_price_book, new_quota, new_quota_source \
    FROM cost_revisions WHERE run = ? AND batch = ? \
        AND created_at BETWEEN fromUnixTimestamp64Milli(?, 'UTC') AND fromUnixTimestamp64Milli(?, 'UTC')";
/// Which rows are not at the revision yet that the values hold for them. Of an id without values the revision is 0.
const BEHIND: &str = "created_at BETWEEN fromUnixTimestamp64Milli(?, 'UTC') AND fromUnixTimestamp64Milli(?, 'UTC') \
    AND joinGet(?, 'revision', id) > cost_revision";
/// The columns that a mutation sets.
const COLUMNS: [&str; 7] =
    ["cost", "cost_source", "unpriced_reason", "price_id", "price_book", "quota", "quota_source"];

/// A batch of a run, as it lies in `cost_revisions`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Batch {
    /// Its number in the run.
    #[serde(rename = "batch")]
    pub(super) number: u32,
    /// The month that its rows are of: the partition of `logs`.
    pub(super) month: u32,
    /// When the first of its rows ended.
    pub(super) first: i64,
    /// When the last did.
    pub(super) last: i64,
    /// How many changes it has.
    pub(super) rows: u64,
}

/// Applies batches.
#[derive(Clone)]
pub(super) struct Applier {
    client: Client,
    database: String,
}

#[derive(Row, Deserialize)]
struct MutationRow {
    mutation_id: String,
    is_done: bool,
    parts_to_do: i64,
    latest_fail_reason: String,
}

impl Applier {
    pub(super) fn new(client: Client, database: &str) -> Self {
        Self { client, database: database.to_owned() }
    }

    /// Refuses tables that it cannot work on.
    pub(super) async fn check_engine(&self) -> Result<(), RepriceError> {
        const ENGINE: &str = "SELECT engine FROM system.tables WHERE database = ? AND name = 'logs'";
        let engine = self.client.query(ENGINE).bind(&self.database).fetch_one::<String>().await;
        let engine = engine.map_err(RepriceError::clickhouse("look at logs"))?;
        if engine.starts_with("Replicated") { Err(RepriceError::Replicated) } else { Ok(()) }
    }

    /// The batches of a run from `first` on, in order.
    pub(super) async fn batches(&self, run: &str, first: u32) -> Result<Vec<Batch>, RepriceError> {
        const BATCHES: &str = "SELECT batch, toYYYYMM(created_at) AS month, \
                toUnixTimestamp64Milli(min(created_at)) AS first, toUnixTimestamp64Milli(max(created_at)) AS last, \
                count() AS rows \
            FROM cost_revisions WHERE run = ? AND batch >= ? GROUP BY batch, month ORDER BY batch, month";
        let batches = self.client.query(BATCHES).bind(run).bind(first).fetch_all().await;
        batches.map_err(RepriceError::clickhouse("read cost_revisions"))
    }

    /// Applies one batch of `run`: afterwards, every row of it has the revision, or a higher one.
    pub(super) async fn apply(&self, lease: &Lease, run: &str, batch: &Batch) -> Result<(), RepriceError> {
        // Whoever applies it has a table of its own: one that was taken for dead must not touch it.
        let values = format!("{VALUES_PREFIX}{}_{run}_{}", lease.run(), batch.number).replace('-', "");
        lease.check()?;
        self.fill(&values, run, batch).await?;
        let mut attempts = 0;
        loop {
            let behind = self.behind(&values, batch).await?;
            if behind == 0 {
                return self.drop_values(&values).await;
            }
            if attempts == ATTEMPTS_MAX {
                return Err(RepriceError::NotApplied { batch: batch.number, rows: behind });
            }
            attempts += 1;
            lease.check()?;
            self.mutate(&values, batch).await?;
            self.wait_for_mutations(&values, Some(lease)).await?;
        }
    }

    /// Waits for what a dead run left running, and clears its tables away.
    pub(super) async fn clear_up(&self) -> Result<(), RepriceError> {
        const RUNNING: &str =
            "SELECT count() FROM system.processes WHERE startsWith(Settings['log_comment'], ?)";
        const TABLES: &str = "SELECT name FROM system.tables WHERE database = ? AND startsWith(name, ?)";
        let failed = || RepriceError::clickhouse("look for what an earlier run left");
        while self.client.query(RUNNING).bind(COMMENT).fetch_one::<u64>().await.map_err(failed())? > 0 {
            sleep(LOOK_INTERVAL).await;
        }
        self.wait_for_mutations(VALUES_PREFIX, None).await?;
        let query = self.client.query(TABLES).bind(&self.database).bind(VALUES_PREFIX);
        for table in query.fetch_all::<String>().await.map_err(failed())? {
            self.drop_values(&table).await?;
        }
        Ok(())
    }

    async fn fill(&self, values: &str, run: &str, batch: &Batch) -> Result<(), RepriceError> {
        // One that is there may be filled in part.
        self.drop_values(values).await?;
        let table = clickhouse::sql::Identifier(values);
        let create = self.client.query(CREATE_VALUES).bind(table).execute();
        create.await.map_err(RepriceError::clickhouse("create the values of a batch"))?;
        let fill = self.client.query(FILL_VALUES).bind(clickhouse::sql::Identifier(values));
        let fill = fill.bind(run).bind(batch.number).bind(batch.first).bind(batch.last);
        let fill = fill.with_setting("log_comment", format!("{COMMENT}{run}")).execute();
        fill.await.map_err(RepriceError::clickhouse("fill the values of a batch"))
    }

    async fn behind(&self, values: &str, batch: &Batch) -> Result<u64, RepriceError> {
        let query = self.client.query(&format!("SELECT count() FROM logs WHERE {BEHIND}"));
        let query = query.bind(batch.first).bind(batch.last).bind(self.qualified(values));
        query.fetch_one().await.map_err(RepriceError::clickhouse("count what is not applied"))
    }

    async fn mutate(&self, values: &str, batch: &Batch) -> Result<(), RepriceError> {
        let lookup = |column: &str| format!("{column} = joinGet(?, '{column}', id)");
        let sets: Vec<_> = COLUMNS.into_iter().chain(["revision"]).map(lookup).collect();
        let sets = sets.join(", ").replace("revision = ", "cost_revision = ");
        let month = batch.month;
        let sql = format!("ALTER TABLE logs UPDATE {sets} IN PARTITION {month} WHERE {BEHIND}");
        let mut query = self.client.query(&sql);
        for _ in 0..=COLUMNS.len() {
            query = query.bind(self.qualified(values));
        }
        let query = query.bind(batch.first).bind(batch.last).bind(self.qualified(values));
        // It is looked at instead: an answer that takes minutes is one that proxies cut off.
        let query = query.with_setting("mutations_sync", "0");
        query.execute().await.map_err(RepriceError::clickhouse("begin a mutation of logs"))
    }

    /// Returns when no mutation that names `values` is running. One that fails is taken back: left alone, ClickHouse
    /// would try it for ever, and every later one would wait behind it.
    async fn wait_for_mutations(&self, values: &str, lease: Option<&Lease>) -> Result<(), RepriceError> {
        const MUTATIONS: &str = "SELECT mutation_id, is_done, parts_to_do, latest_fail_reason \
            FROM system.mutations WHERE database = ? AND table = 'logs' AND NOT is_done \
                AND position(command, ?) > 0";
        const KILL: &str = "KILL MUTATION WHERE database = ? AND table = 'logs' AND mutation_id = ?";
        let failed = || RepriceError::clickhouse("look at the mutations of logs");
        loop {
            let query = self.client.query(MUTATIONS).bind(&self.database).bind(values);
            let running: Vec<MutationRow> = query.fetch_all().await.map_err(failed())?;
            let Some(first) = running.into_iter().find(|mutation| !mutation.is_done) else {
                return Ok(());
            };
            if !first.latest_fail_reason.is_empty() {
                let kill = self.client.query(KILL).bind(&self.database).bind(&first.mutation_id);
                kill.execute().await.map_err(RepriceError::clickhouse("take a mutation back"))?;
                return Err(RepriceError::Mutation { reason: first.latest_fail_reason });
            }
            tracing::debug!(
                mutation = first.mutation_id,
                parts_to_do = first.parts_to_do,
                "mutation is running"
            );
            lease.map_or(Ok(()), Lease::check)?;
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn drop_values(&self, values: &str) -> Result<(), RepriceError> {
        let drop = self.client.query("DROP TABLE IF EXISTS ? SYNC").bind(clickhouse::sql::Identifier(values));
        drop.execute().await.map_err(RepriceError::clickhouse("drop the values of a batch"))
    }

    /// With its database: a mutation that ClickHouse takes up after a restart has no current one.
    fn qualified(&self, values: &str) -> String {
        format!("{}.{values}", self.database)
    }
}

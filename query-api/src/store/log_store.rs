//! Runs statements on ClickHouse.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, Compression, RowOwned, RowRead};
use tokio::sync::Mutex;
use tokio::time::Instant;
use weir_event::{AccountId, EventId, Scope, Source, Timestamp};
use weir_filter::Filter;
use weir_service::config::ClickHouseConfig;
use weir_service::telemetry::chain;

use super::error::StoreError;
use super::newapi::Sum;
use super::record::{BodyHeads, LedgerHour, LogEntry, LogSummary, Part, PartSummary, StoredBody, ValueCount};
use super::summaries::{Answers, OfPart, Parts, Summaries, Summary};
use crate::auth::Readable;
use crate::metrics::{QueryMetrics, SummaryFrom};
use crate::sql::{self, Annotated, BodyPart, BodyTable, Column, Order, Page, Run, Statement};

/// The logs in ClickHouse, and what is said of them. Clones share connections.
#[derive(Clone)]
pub struct LogStore {
    client: Client,
    summaries: Arc<Summaries<LogSummary>>,
    sums: Arc<Summaries<Sum>>,
    metrics: QueryMetrics,
    /// Whether the log says that parts cannot be listed.
    is_told: Arc<AtomicBool>,
}

/// The entries of a tenant that are to be listed, and how.
struct List<'l> {
    scope: &'l Readable<Scope>,
    filter: &'l Filter,
    annotated: Annotated,
    order: Order,
}

/// How often the parts of the table are looked at before the table is read as a whole: they change while they are read.
const LOOKS_MAX: usize = 5;

impl LogStore {
    /// Prepares a client; nothing is connected yet. No statement runs longer than `timeout`, not even when nobody
    /// waits for it any more. The user may be a read-only one, if it is allowed to set that limit (`readonly = 2`):
    /// what cannot be done then is to annotate.
    #[must_use]
    pub fn new(config: &ClickHouseConfig, timeout: Duration, metrics: QueryMetrics) -> Self {
        let password = config.password.expose();
        let client = weir_store::client(config.url.as_str(), &config.database, &config.user, password)
            // Pages are small, and bodies mostly arrive from the same network.
            .with_compression(Compression::None)
            .with_setting("max_execution_time", timeout.as_secs().max(1).to_string());
        Self { client, summaries: Arc::default(), sums: Arc::default(), metrics, is_told: Arc::default() }
    }

    /// A page of entries, and what is to be said of all entries that the filter lets through. Two statements at
    /// once: a row that is written between them may be in one answer and not yet in the other. A third one asks whether the
    /// tenant has annotations; before them where the filter asks for what can be annotated, else at the same time.
    pub async fn list(
        &self,
        scope: &Readable<Scope>,
        filter: &Filter,
        order: Order,
        page: Page,
    ) -> Result<(Vec<LogEntry>, LogSummary), StoreError> {
        let listed = async |annotated| -> Result<_, StoreError> {
            let list = List { scope, filter, annotated, order };
            tokio::try_join!(self.page(&list, page), self.summary(scope, filter, annotated))
        };
        let (annotated, (mut entries, summary)) = if sql::asks_for_annotated(filter) {
            let annotated = self.annotated(scope).await?;
            (annotated, listed(annotated).await?)
        } else {
            tokio::try_join!(self.annotated(scope), listed(Annotated::NONE))?
        };
        if annotated.any() && !entries.is_empty() {
            let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
            self.said_of(scope, &ids).await?.apply(&mut entries);
        }
        Ok((entries, summary))
    }

    /// A page. The table is ordered by time: in another order most pages lie within the entries of one value, which are
    /// counted first, and are then read in the table's order.
    async fn page(&self, list: &List<'_>, page: Page) -> Result<Vec<LogEntry>, StoreError> {
        let List { scope, filter, annotated, order } = *list;
        if order.column != Column::CreatedAt {
            let values = sql::values(scope, filter, annotated, order);
            let values = self.query(&values).fetch_all::<ValueCount>().await?;
            if let Some(run) = run_of(&values, page) {
                let statement = sql::page_of_value(scope, filter, annotated, order, run);
                let entries: Vec<_> = self.query(&statement).fetch_all().await?;
                // There are fewer where some were deleted meanwhile, and others follow then.
                if entries.len() == page.per_page as usize {
                    return Ok(entries);
                }
            }
        }
        Ok(self.query(&sql::page(scope, filter, annotated, order, page)).fetch_all().await?)
    }

    /// What is to be said of all entries that the filter lets through: of those that were there at one moment.
    async fn summary(
        &self,
        scope: &Readable<Scope>,
        filter: &Filter,
        annotated: Annotated,
    ) -> Result<LogSummary, StoreError> {
        let question = sql::summary(scope, filter, annotated);
        let by_part = |parts| sql::summary_by_part(scope, filter, parts);
        self.summed_up::<_, PartSummary>(&self.summaries, &question, by_part).await
    }

    /// The answer to `question`. Only parts of the table are read, by what `by_part` makes of their names, that are new to this
    /// process or were not asked for by this question lately.
    pub(super) async fn summed_up<S, R>(
        &self,
        summaries: &Summaries<S>,
        question: &Statement,
        by_part: impl Fn(Vec<String>) -> Statement,
    ) -> Result<S, StoreError>
    where
        S: Summary + RowOwned + RowRead,
        R: RowOwned + RowRead + Into<OfPart<S>>,
    {
        // What other tables say is not known by the parts of this one.
        if question.reads_one_table()
            && let Some(summary) =
                self.summed_up_by_part::<S, R>(&summaries.answers(question), by_part).await?
        {
            return Ok(summary);
        }
        self.metrics.summed_up(SummaryFrom::Table);
        Ok(self.query(question).fetch_one().await?)
    }

    /// What is known, put together by parts; `None` where they cannot be listed, or change all the time.
    async fn summed_up_by_part<S, R>(
        &self,
        answers: &Mutex<Answers<S>>,
        by_part: impl Fn(Vec<String>) -> Statement,
    ) -> Result<Option<S>, StoreError>
    where
        S: Summary,
        R: RowOwned + RowRead + Into<OfPart<S>>,
    {
        let mut from = SummaryFrom::Memory;
        for _ in 0..LOOKS_MAX {
            let Some(mut parts) = self.parts().await else { return Ok(None) };
            let mut answers = answers.lock().await;
            if !answers.confirm(&parts) {
                // Somebody has read parts since these were listed; now nobody does.
                let Some(again) = self.parts().await else { return Ok(None) };
                answers.confirm(&again);
                parts = again;
            }
            let unknown = answers.unknown(&parts);
            if unknown.is_empty() {
                self.metrics.summed_up(from);
                return Ok(Some(answers.total(&parts)));
            }
            from = SummaryFrom::Parts;
            let names = unknown.iter().map(|part| part.name.clone()).collect();
            let rows = self.query(&by_part(names)).fetch_all::<R>().await?;
            answers.read(unknown, rows.into_iter().map(Into::into).collect(), Instant::now());
        }
        Ok(None)
    }

    /// The parts of the table; `None` where they are not to be had, or say nothing about its rows.
    async fn parts(&self) -> Option<Parts> {
        let asked_at = Instant::now();
        match self.client.query_raw(sql::PARTS).fetch_all::<Part>().await {
            Ok(parts) => {
                self.is_told.store(false, Ordering::Relaxed);
                Parts::new(asked_at, parts)
            }
            Err(error) => {
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    let error = chain(&error);
                    tracing::warn!(
                        error,
                        "the parts of logs cannot be listed: the totals of lists are counted anew"
                    );
                }
                None
            }
        }
    }

    /// An entry with the beginnings of its bodies, if there is one.
    pub async fn entry(
        &self,
        scope: &Readable<Scope>,
        id: &EventId,
    ) -> Result<Option<(LogEntry, BodyHeads)>, StoreError> {
        let entry = async { Ok(self.query(&sql::entry(scope, id)).fetch_optional::<LogEntry>().await?) };
        let heads = self.of_bodies::<BodyHeads>(|table| sql::heads(scope, id, table));
        let ids = [*id];
        let (entry, heads, said) = tokio::try_join!(entry, heads, self.said_of(scope, &ids))?;
        Ok(entry.map(|mut entry| {
            said.apply(std::slice::from_mut(&mut entry));
            (entry, heads.unwrap_or_default())
        }))
    }

    /// A body of an entry, if it is stored.
    pub async fn body(
        &self,
        scope: &Readable<Scope>,
        id: &EventId,
        part: BodyPart,
    ) -> Result<Option<String>, StoreError> {
        let stored = self.of_bodies::<StoredBody>(|table| sql::body(scope, id, part, table)).await?;
        Ok(stored.and_then(|stored| stored.body))
    }

    /// What the first table says that knows something.
    async fn of_bodies<R: RowOwned + RowRead>(
        &self,
        statement: impl Fn(BodyTable) -> Statement,
    ) -> Result<Option<R>, StoreError> {
        for table in BodyTable::ALL {
            if let Some(found) = self.query(&statement(table)).fetch_optional::<R>().await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What the ledger says of an account by hour and source, with the rows that there are.
    pub async fn ledger(
        &self,
        account_id: &Readable<AccountId>,
        hours: &Range<Timestamp>,
        source: Option<Source>,
    ) -> Result<Vec<LedgerHour>, StoreError> {
        Ok(self.query(&sql::ledger(account_id, hours, source)).fetch_all().await?)
    }

    /// Whether the tables can be read.
    pub async fn probe(&self) -> Result<(), StoreError> {
        Ok(self.client.query_raw(sql::PROBE).execute().await?)
    }

    /// What is known of sums.
    pub(super) fn sums(&self) -> &Summaries<Sum> {
        &self.sums
    }

    /// What statements are sent with.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn query(&self, statement: &Statement) -> Query {
        statement.query(&self.client)
    }
}

/// The run of entries with one value that a full page lies in.
fn run_of(values: &[ValueCount], page: Page) -> Option<Run<'_>> {
    let mut before = page.before();
    for ValueCount { value, entries } in values {
        if before < *entries {
            let is_full = entries - before >= page.per_page.into();
            return is_full.then_some(Run { value, before, per_page: page.per_page });
        }
        before -= entries;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_within_one_value_is_known_by_the_counts() {
        let count = |(value, entries): (&str, u64)| ValueCount { value: value.to_owned(), entries };
        let values: Vec<_> = [("", 25), ("a", 5), ("b", 60)].into_iter().map(count).collect();
        let check = |number, expected: Option<(&str, u64)>| {
            let expected = expected.map(|(value, before)| Run { value, before, per_page: 10 });
            assert_eq!(run_of(&values, Page { number, per_page: 10 }), expected, "page {number}");
        };
        check(1, Some(("", 0)));
        check(2, Some(("", 10)));
        // Five of one value and five of the next.
        check(3, None);
        check(4, Some(("b", 0)));
        check(9, Some(("b", 50)));
        check(10, None);
        check(u64::MAX, None);
    }
}

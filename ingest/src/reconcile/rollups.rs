//! Minutes whose rollup is not what their rows come to.
//!
//! The aggregator computes a minute when a message tells it to, and a message may be lost: with a process that was
//! killed before NATS had it, with NATS's disk, or because too many waited. What is looked for here is not who died but
//! what is wrong: the rows of a minute are summed up as the aggregator does it and held against `usage_1m`. A minute
//! that differs at two looks is told of once more; the aggregator then computes it anew, and its live windows with it.

use std::collections::BTreeSet;
use std::ops::Range;

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use weir_event::{Scope, Timestamp};

use super::Reconciler;
use super::slices::{LOOK_BACK_MS, MINUTE_MS, Time};
use super::suspects::{Minute, SUSPECTS_MAX};
use crate::sink::SinkError;

/// How far back a process looks that has just started: one that was before it may have left this, and nobody looked.
const LOOK_BACK_FIRST_MS: i64 = 24 * 60 * MINUTE_MS;
/// A minute of which a row was stored later than this ago is not looked at: the aggregator may be about to write it.
const SETTLED_MS: i64 = 30_000;
/// How many minutes are looked at by their names in one statement: keeps it well within the server's limit on a query's
/// length (256 KiB).
const NAMED_PER_STATEMENT_MAX: usize = 1_000;

/// Minutes of which a row was stored lately.
const TOUCHED: &str = "SELECT DISTINCT account_id, gateway_id, toStartOfMinute(created_at) AS minute FROM logs \
    WHERE ingested_at >= fromUnixTimestamp64Milli(?) \
        AND created_at >= fromUnixTimestamp64Milli(?) AND created_at < fromUnixTimestamp64Milli(?)";
/// Minutes by their names.
const NAMED: &str = "SELECT name.1 AS account_id, name.2 AS gateway_id, toDateTime(name.3, 'UTC') AS minute \
    FROM (SELECT arrayJoin(?) AS name)";
/// Those of `minutes` whose sums differ. The first half of the union is what the aggregator computes; only calls are
/// requests, see [`weir_event::EventKind::is_call`].
const DIFFERING: &str = "\
SELECT account_id, gateway_id, toInt64(toUnixTimestamp(minute)) * 1000 AS minute_ms FROM ( \
    SELECT account_id, gateway_id, minute, max(stored_at) AS latest, \
        sum(requests) != 0 OR sum(errors) != 0 OR sum(cached) != 0 OR sum(unpriced) != 0 OR sum(tokens_in) != 0 \
            OR sum(tokens_out) != 0 OR sum(cost) != 0 AS differs \
    FROM ( \
        SELECT account_id, gateway_id, toStartOfMinute(created_at) AS minute, provider, model, token, \
            max(ingested_at) AS stored_at, toInt64(count()) AS requests, toInt64(countIf(NOT success)) AS errors, \
            toInt64(countIf(logs.cached)) AS cached, toInt64(countIf(logs.cost IS NULL)) AS unpriced, \
            toInt64(sum(ifNull(logs.tokens_in, 0))) AS tokens_in, \
            toInt64(sum(ifNull(logs.tokens_out, 0))) AS tokens_out, \
            sum(ifNull(logs.cost, toDecimal128(0, 18))) AS cost \
        FROM logs \
        WHERE created_at >= fromUnixTimestamp64Milli(?) AND created_at < fromUnixTimestamp64Milli(?) \
            AND kind IN ('consume', 'error') \
            AND (account_id, gateway_id, toStartOfMinute(created_at)) IN minutes \
        GROUP BY account_id, gateway_id, minute, provider, model, token \
        UNION ALL \
        SELECT account_id, gateway_id, minute, provider, model, token, \
            fromUnixTimestamp64Milli(toInt64(0), 'UTC'), -toInt64(requests), -toInt64(errors), -toInt64(cached), \
            -toInt64(unpriced), -toInt64(tokens_in), -toInt64(tokens_out), -cost \
        FROM usage_1m FINAL \
        WHERE minute >= fromUnixTimestamp64Milli(?) AND minute < fromUnixTimestamp64Milli(?) \
            AND (account_id, gateway_id, minute) IN minutes \
    ) \
    GROUP BY account_id, gateway_id, minute, provider, model, token \
) \
GROUP BY account_id, gateway_id, minute \
HAVING max(differs) AND max(latest) < fromUnixTimestamp64Milli(?) \
ORDER BY account_id, gateway_id, minute LIMIT ?";

#[derive(Row, Deserialize)]
struct MinuteRow {
    account_id: String,
    gateway_id: String,
    minute_ms: i64,
}

impl Reconciler {
    /// Tells the aggregator of minutes that it should have computed and has not.
    pub(super) async fn compare_rollups(&mut self, now_ms: i64) -> Result<(), SinkError> {
        let look_back_ms = if self.has_looked_back_for_rollups { LOOK_BACK_MS } else { LOOK_BACK_FIRST_MS };
        let (since_ms, settled_ms) = (now_ms - look_back_ms, now_ms - SETTLED_MS);
        let mut differing = BTreeSet::new();
        for range in self.slices(Time::Created, since_ms).await? {
            let touched = self.differing(TOUCHED).bind(since_ms).bind(range.start).bind(range.end);
            differing.extend(self.fetch_differing(touched, &range, settled_ms).await?);
            if differing.len() >= SUSPECTS_MAX {
                break;
            }
        }
        for minutes in self.suspects.besides(&differing).chunks(NAMED_PER_STATEMENT_MAX) {
            let named = self.differing(NAMED).bind(minutes.iter().map(name).collect::<Vec<_>>());
            differing.extend(self.fetch_differing(named, &span(minutes), settled_ms).await?);
        }
        let due = self.suspects.look(differing);
        self.metrics.rollup_minutes_differing(self.suspects.persistent());
        if !due.is_empty() {
            tracing::warn!(minutes = due.len(), "rollups are not what their rows come to: told of again");
            self.metrics.rollup_minutes_told(due.len());
            self.races.announcer().tell_changed(due.into_iter());
        }
        Ok(())
    }

    fn differing(&self, minutes: &str) -> Query {
        self.store.bounded(self.store.client.query(&format!("WITH minutes AS ({minutes}) {DIFFERING}")))
    }

    /// Those of the minutes that `query` is of, all within `range`, that differ and were not touched since `settled_ms`.
    async fn fetch_differing(
        &self,
        query: Query,
        range: &Range<i64>,
        settled_ms: i64,
    ) -> Result<Vec<Minute>, SinkError> {
        let of_range = |query: Query| query.bind(range.start).bind(range.end);
        let query = of_range(of_range(query)).bind(settled_ms).bind(SUSPECTS_MAX).fetch_all();
        let rows: Vec<MinuteRow> = self.store.within("hold rollups against their rows", query).await?;
        Ok(rows.iter().filter_map(MinuteRow::minute).collect())
    }
}

impl MinuteRow {
    /// `None` where it is of a tenant that nobody can ask for, because its name is none.
    fn minute(&self) -> Option<Minute> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        Some((scope, Timestamp::from_millis(self.minute_ms).ok()?))
    }
}

fn name((scope, minute): &Minute) -> (&str, &str, i64) {
    (scope.account_id.as_str(), scope.gateway_id.as_str(), minute.millis() / 1_000)
}

/// From the start of the first to the end of the last.
fn span(minutes: &[Minute]) -> Range<i64> {
    let starts = || minutes.iter().map(|(_, minute)| minute.millis());
    starts().min().unwrap_or_default()..starts().max().unwrap_or_default() + MINUTE_MS
}

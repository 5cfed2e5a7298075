//! What is read of `logs` and written to `cost_revisions`.

use std::fmt::Write;
use std::ops::Range;

use clickhouse::query::{Query, RowCursor};
use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_event::Timestamp;
use weir_store::CostRevisionRow;

use super::error::RepriceError;
use super::request::{Column, Selection};
use super::row::StoredRow;

/// Revisions in one insert: what the client holds of them is far less, what the server holds is a block.
const REVISIONS_PER_INSERT: usize = 50_000;
/// How the `log_comment` of an insert of a reprice begins; the run follows. By it one that a dead run left behind is
/// found.
pub(super) const COMMENT: &str = "weir-reprice ";

pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The tables of a reprice.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) client: Client,
}

/// Writes the revisions of one run.
pub(super) struct Revisions<'t> {
    table: &'t Table,
    run: String,
    insert: Option<clickhouse::insert::Insert<CostRevisionRow<'static>>>,
    in_insert: usize,
}

/// A minute of a tenant, as it is read.
#[derive(Debug, Row, Deserialize)]
pub(super) struct MinuteRow {
    pub(super) account_id: String,
    pub(super) gateway_id: String,
    pub(super) minute_ms: i64,
}

#[derive(Row, Deserialize)]
struct ExtentRow {
    rows: u64,
    first: i64,
    last: i64,
}

impl Table {
    /// The part of the selection's time that has rows at all; `None` where there is none.
    pub(super) async fn extent(&self, selection: &Selection) -> Result<Option<Range<i64>>, RepriceError> {
        const EXTENT: &str = "SELECT count() AS rows, toUnixTimestamp64Milli(min(created_at)) AS first, \
            toUnixTimestamp64Milli(max(created_at)) AS last FROM logs";
        let span = selection.from.millis()..selection.to.millis();
        let query = select(&self.client, EXTENT, selection, &span, "");
        let row: ExtentRow = query.fetch_one().await.map_err(RepriceError::clickhouse("look for rows"))?;
        Ok((row.rows > 0).then(|| row.first..row.last + 1))
    }

    /// The rows of the selection in `span` whose cost is not the source's own.
    pub(super) fn rows(
        &self,
        selection: &Selection,
        span: &Range<i64>,
    ) -> Result<RowCursor<StoredRow<'static>>, RepriceError> {
        const ROWS: &str = "SELECT ?fields FROM logs";
        let query = select(&self.client, ROWS, selection, span, "AND cost_source != 'provided'");
        query.fetch().map_err(RepriceError::clickhouse("read logs"))
    }

    /// The minutes of the selection in `span` that have rows.
    pub(super) fn minutes(
        &self,
        selection: &Selection,
        span: &Range<i64>,
    ) -> Result<RowCursor<MinuteRow>, RepriceError> {
        const MINUTES: &str = "SELECT DISTINCT account_id, gateway_id, \
            toInt64(toUnixTimestamp(toStartOfMinute(created_at))) * 1000 AS minute_ms FROM logs";
        let query =
            select(&self.client, MINUTES, selection, span, "ORDER BY account_id, gateway_id, minute_ms");
        query.fetch().map_err(RepriceError::clickhouse("read minutes"))
    }

    /// A writer of revisions.
    pub(super) fn revisions(&self, run: &str) -> Revisions<'_> {
        Revisions { table: self, run: run.to_owned(), insert: None, in_insert: 0 }
    }
}

impl Revisions<'_> {
    /// Writes one. It is stored when [`Revisions::flush`] has returned, and may be before.
    pub(super) async fn write(&mut self, revision: &CostRevisionRow<'_>) -> Result<(), RepriceError> {
        let failed = || RepriceError::clickhouse("write cost_revisions");
        let insert = match &mut self.insert {
            Some(insert) => insert,
            none => {
                let insert = self.table.client.insert("cost_revisions").await.map_err(failed())?;
                none.insert(insert.with_setting("log_comment", format!("{COMMENT}{}", self.run)))
            }
        };
        insert.write(revision).await.map_err(failed())?;
        self.in_insert += 1;
        if self.in_insert >= REVISIONS_PER_INSERT { self.flush().await } else { Ok(()) }
    }

    /// Returns when everything is stored.
    pub(super) async fn flush(&mut self) -> Result<(), RepriceError> {
        self.in_insert = 0;
        match self.insert.take() {
            Some(insert) => insert.end().await.map_err(RepriceError::clickhouse("write cost_revisions")),
            None => Ok(()),
        }
    }
}

/// A statement over the rows of a selection. Texts are bound, names of columns are our own.
fn select(client: &Client, head: &str, selection: &Selection, span: &Range<i64>, tail: &str) -> Query {
    let mut sql = format!(
        "{head} WHERE created_at >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
         AND created_at < fromUnixTimestamp64Milli({{to:Int64}}, 'UTC')"
    );
    for (column, _) in &selection.equal {
        let name = column.name();
        let _ = write!(sql, " AND {name} = {{{name}:String}}");
    }
    if selection.only_unpriced {
        sql.push_str(" AND cost_source = 'unpriced'");
    }
    sql.push(' ');
    sql.push_str(tail);
    let query = client.query(&sql).param("from", span.start).param("to", span.end);
    let bind = |query: Query, (column, text): &(Column, String)| query.param(column.name(), text);
    selection.equal.iter().fold(query, bind)
}

/// The UTC days of a span of time, each cut to it.
pub(super) fn days(span: Range<i64>) -> impl Iterator<Item = Range<i64>> {
    let Range { start, end } = span;
    let next = move |from: i64| (from < end).then(|| from..(from - from % DAY_MS + DAY_MS).min(end));
    std::iter::successors(next(start), move |day| next(day.end))
}

/// The partition of `logs` that holds a time: its UTC month, as `toYYYYMM` has it.
pub(super) fn month(time: i64) -> Result<u32, RepriceError> {
    let text = Timestamp::from_millis(time)?.to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).take("202608".len()).collect();
    Ok(digits.parse().expect("a time prints as year and month first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_cover_a_span_without_gaps_and_keep_to_months() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().millis();
        let span = at("2026-02-27T13:00:00Z")..at("2026-03-02T00:00:00.001Z");
        let days: Vec<_> = days(span.clone()).collect();
        assert_eq!(days.len(), 4);
        assert_eq!((days[0].start, days[3].end), (span.start, span.end));
        assert!(days.windows(2).all(|pair| pair[0].end == pair[1].start));
        let months: Vec<_> = days.iter().map(|day| month(day.start).unwrap()).collect();
        assert_eq!(months, [202_602, 202_602, 202_603, 202_603]);
        assert!(days.iter().all(|day| month(day.start).unwrap() == month(day.end - 1).unwrap()));
        assert_eq!(super::days(5..5).count(), 0);
    }
}

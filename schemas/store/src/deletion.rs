//! How rows of `logs` are deleted: what the ledger says of each, and the statements that take it out. No I/O.
//!
//! Whoever deletes, and whoever finishes what a dead process began, takes the same steps, each of which may be taken again:
//!
//! 1. The ledger gets a correction for each row, in version 1: from there on the deletion will be finished.
//! 2. Bodies go, then annotations. While its row is there an event is known, so nobody stores it, or bodies of it, anew: what
//!    comes again once the row is gone is whole.
//! 3. The rows go.
//! 4. The aggregator is told of their minutes.
//! 5. The ledger has the corrections in version [`TOLD`].
//!
//! A correction has the key of the row, which is also that of a row that was taken out as a double: whoever takes a row
//! out, and how often, it is counted out once.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};

use crate::removal::month;
use crate::{BODY_TABLES, LedgerRow};

/// The version of a correction of which everything is done and whose minute was told of; before that it is 1.
pub const TOLD: u64 = 2;

/// How many rows one statement takes out: some 30 bytes each, so it is longer than what ClickHouse takes by default.
pub const ROWS_PER_STATEMENT_MAX: usize = 10_000;
/// What `max_query_size` has to be for these statements, in bytes.
pub const STATEMENT_BYTES_MAX: u64 = 1 << 20;

/// A condition on `ledger`: what is said of a row that was taken out by itself. Such an entry has an id for its subject, which no
/// entry of a gateway's day is, however long that is.
pub const IS_CORRECTION: &str = "stored < 0 AND length(subject) = 26 AND NOT startsWith(subject, 'deleted:')";

/// For so long after a row was stored word of it may be on its way, in seconds; and for so long after a correction was
/// entered its deletion may be under way.
pub const YOUNG_S: u32 = 120;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// A row that is to go, by what the ledger knows of it. Its tenant is known from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoomedRow {
    /// Its event.
    pub id: EventId,
    /// The write that stored it.
    pub write_id: u64,
    /// The source that it came from.
    pub source: String,
    /// The hour that it was stored in, in epoch seconds.
    pub hour: u32,
    /// The minute that it is of.
    pub minute: Timestamp,
}

/// A row that is there.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct StoredRow {
    id: [u8; 26],
    write_id: u64,
    source: String,
    created_at: i64,
    ingested_at: i64,
    is_young: bool,
}

/// A statement that takes out what may be there, and one that counts it. Both have the placeholders `{account_id:String}`
/// and `{gateway_id:String}`, unless they are of all tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// How many rows there are to take out: a count. To take out none costs as much as to take out many.
    pub count: String,
    /// Takes them out.
    pub delete: String,
}

impl StoredRow {
    /// When it ended, in epoch milliseconds.
    #[must_use]
    pub const fn ended_at(&self) -> i64 {
        self.created_at
    }

    /// The row as one that is to go, and whether word of it may still be on its way to the aggregator, which would count it
    /// after it was told that it is gone. `None` where it has an id that is none.
    #[must_use]
    pub fn doomed(self) -> Option<(DoomedRow, bool)> {
        let row = DoomedRow {
            id: EventId::try_from(self.id).ok()?,
            write_id: self.write_id,
            source: self.source,
            hour: DoomedRow::hour_of(self.ingested_at),
            minute: Timestamp::from_millis(self.created_at).ok()?.minute(),
        };
        Some((row, self.is_young))
    }
}

impl DoomedRow {
    /// What the ledger says of the row: the same, whoever says it.
    #[must_use]
    pub fn correction<'r>(&'r self, scope: &'r Scope, version: u64) -> LedgerRow<'r> {
        LedgerRow {
            hour: self.hour,
            source: &self.source,
            account_id: scope.account_id.as_str(),
            write_id: self.write_id,
            subject: self.id.as_str(),
            stored: -1,
            deleted: 1,
            gateway_id: scope.gateway_id.as_str(),
            minute: seconds(self.minute.millis()),
            version,
            ..LedgerRow::default()
        }
    }

    /// The hour of a time in epoch milliseconds, as the ledger has it.
    #[must_use]
    pub fn hour_of(ingested_at: i64) -> u32 {
        seconds(ingested_at - ingested_at.rem_euclid(HOUR_MS))
    }
}

/// Takes out what hangs on the events `ids`: their bodies, then what was said of them since.
#[must_use]
pub fn attachments(ids: &[EventId]) -> Vec<Removal> {
    let bodies = by_month(ids, EventId::started_at).into_iter().flat_map(|(month, ids)| {
        let times = ids.iter().map(|id| id.started_at().millis());
        let condition = format!("{} AND {}", between("started_at", times, 0), of_events(&ids));
        BODY_TABLES.map(|table| Removal::new(table, Some(&month), &condition))
    });
    let all: Vec<_> = ids.iter().collect();
    let annotations = (!all.is_empty()).then(|| Removal::new("annotations", None, &of_events(&all)));
    bodies.chain(annotations).collect()
}

/// Takes out `rows` of `logs`, and no other rows of their events.
#[must_use]
pub fn rows(rows: &[DoomedRow]) -> Vec<Removal> {
    let of_month =
        |(month, rows): (String, Vec<&DoomedRow>)| Removal::new("logs", Some(&month), &of_rows(&rows));
    by_month(rows, |row| row.minute).into_iter().map(of_month).collect()
}

/// Gives every row of the events `ids`, a [`StoredRow`] each: several where two writers raced and that is not repaired yet.
/// A statement with the placeholders of a [`Removal`]; there is none for no events.
#[must_use]
pub fn rows_of(ids: &[EventId]) -> Option<String> {
    let times = ids.iter().map(|id| id.started_at().millis());
    let first = times.clone().min()?;
    Some(format!(
        "SELECT id, write_id, source, created_at, ingested_at, \
            ingested_at > now64(3) - INTERVAL {YOUNG_S} SECOND AS is_young \
         FROM logs WHERE {OF_TENANT} AND created_at >= fromUnixTimestamp64Milli({first}, 'UTC') AND {} AND id IN {}",
        between("started_at", times, 0),
        list(&ids.iter().map(EventId::as_str).collect::<Vec<_>>())
    ))
}

/// Gives a [`StoredRow`] for each row of a tenant that ended before `before`, was stored before `stored_before` and has no
/// correction that somebody may be at work on, the oldest `limit` of them and whatever ended in the same millisecond as the last of these. A statement with
/// the placeholders of a [`Removal`].
#[must_use]
pub fn rows_before(before: Timestamp, stored_before: Timestamp, limit: usize) -> String {
    let rows = rows_until(before, stored_before);
    format!(
        "SELECT id, write_id, source, created_at, ingested_at, \
            ingested_at > now64(3) - INTERVAL {YOUNG_S} SECOND AS is_young \
         FROM logs WHERE {rows} AND {NAME} NOT IN ( \
            SELECT concat(subject, toString(write_id)) FROM ledger FINAL \
            WHERE {OF_TENANT} AND {IS_CORRECTION} AND version < {TOLD} \
                AND hour >= (SELECT toStartOfHour(min(ingested_at)) FROM logs WHERE {rows}) \
         ) \
         ORDER BY created_at LIMIT {limit} WITH TIES"
    )
}

/// How many rows of a tenant ended before `before` and were stored before `stored_before`, those included that somebody is
/// taking out: a statement with the placeholders of a [`Removal`].
#[must_use]
pub fn count_before(before: Timestamp, stored_before: Timestamp) -> String {
    format!("SELECT count() FROM logs WHERE {}", rows_until(before, stored_before))
}

fn rows_until(before: Timestamp, stored_before: Timestamp) -> String {
    format!(
        "{OF_TENANT} AND created_at < fromUnixTimestamp64Milli({}, 'UTC') \
         AND ingested_at < fromUnixTimestamp64Milli({}, 'UTC')",
        before.millis(),
        stored_before.millis()
    )
}

/// Gives the names of those of `rows` that are there, see [`name`]: a statement with the placeholders of a [`Removal`]. There is
/// none for no rows.
#[must_use]
pub fn names(rows: &[DoomedRow]) -> Option<String> {
    let condition = (!rows.is_empty()).then(|| of_rows(&rows.iter().collect::<Vec<_>>()))?;
    Some(format!("SELECT {NAME} AS name FROM logs WHERE {OF_TENANT} AND {condition}"))
}

/// The name of a row in the answer to [`names`].
#[must_use]
pub fn name(row: &DoomedRow) -> String {
    format!("{}{}", row.id, row.write_id)
}

const OF_TENANT: &str = "account_id = {account_id:String} AND gateway_id = {gateway_id:String}";
/// An id has 26 characters, always. One text takes ClickHouse a fraction of the time to look for that a pair does.
const NAME: &str = "concat(id, toString(write_id))";

impl Removal {
    fn new(table: &str, month: Option<&str>, condition: &str) -> Self {
        Self::of(table, month, &format!("{OF_TENANT} AND {condition}"))
    }

    /// Takes out whatever `condition` holds of, within a month.
    pub(crate) fn of(table: &str, month: Option<&str>, condition: &str) -> Self {
        let partition = month.map_or(String::new(), |month| format!(" IN PARTITION {month}"));
        Self {
            count: format!("SELECT count() FROM {table} WHERE {condition}"),
            delete: format!("DELETE FROM {table}{partition} WHERE {condition}"),
        }
    }
}

fn of_rows(rows: &[&DoomedRow]) -> String {
    let names: Vec<_> = rows.iter().map(|row| name(row)).collect();
    let minutes = rows.iter().map(|row| row.minute.millis());
    let starts = rows.iter().map(|row| row.id.started_at().millis());
    format!(
        "{} AND {} AND {NAME} IN {}",
        between("created_at", minutes, MINUTE_MS - 1),
        between("started_at", starts, 0),
        list(&names)
    )
}

fn of_events(ids: &[&EventId]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| id.as_str()).collect();
    format!("id IN {}", list(&ids))
}

/// A text that is taken apart is read in a tenth of the time that as many texts are, which a mutation does several times
/// for each part. Ids and numbers have no character that means anything.
fn list(names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    format!("splitByChar(',', '{}')", names.join(","))
}

/// From the first of `times` to `more` milliseconds after the last.
fn between(column: &str, times: impl Iterator<Item = i64> + Clone, more: i64) -> String {
    let (first, last) = (times.clone().min().unwrap_or_default(), times.max().unwrap_or_default() + more);
    format!(
        "{column} BETWEEN fromUnixTimestamp64Milli({first}, 'UTC') AND fromUnixTimestamp64Milli({last}, 'UTC')"
    )
}

/// The partitions of a table, as `YYYYMM`: a statement that names its partition leaves the parts of all others alone.
fn by_month<T>(all: &[T], time: impl Fn(&T) -> Timestamp) -> Vec<(String, Vec<&T>)> {
    let mut months = BTreeMap::<String, Vec<&T>>::new();
    for one in all {
        months.entry(month(time(one)).to_string()).or_default().push(one);
    }
    months.into_iter().collect()
}

pub(crate) fn seconds(millis: i64) -> u32 {
    u32::try_from(millis / 1_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNE: i64 = 1_782_864_000_000 - 1;

    fn row(started_at: i64, minute: i64, write_id: u64) -> DoomedRow {
        let started_at = Timestamp::from_millis(started_at).unwrap();
        DoomedRow {
            id: EventId::derive(started_at, &[&write_id.to_le_bytes()]),
            write_id,
            source: "http".to_owned(),
            hour: DoomedRow::hour_of(started_at.millis()),
            minute: Timestamp::from_millis(minute).unwrap().minute(),
        }
    }

    #[test]
    fn a_correction_sums_to_nothing_and_is_keyed_by_the_row() {
        let scope = Scope::parse("acc", "gw").unwrap();
        let row = row(JUNE, JUNE, 8);
        let LedgerRow { received, stored, duplicates, dead_lettered, ignored, deleted, .. } =
            row.correction(&scope, 1);
        assert_eq!(received, stored + duplicates + dead_lettered + ignored + deleted);
        assert_eq!((stored, deleted), (-1, 1));
        let entry = row.correction(&scope, TOLD);
        assert_eq!((entry.subject, entry.write_id, entry.version), (row.id.as_str(), 8, 2));
        assert_eq!(
            (i64::from(entry.hour) * 1_000, i64::from(entry.minute) * 1_000),
            (JUNE + 1 - 3_600_000, JUNE + 1 - 60_000)
        );
    }

    #[test]
    fn a_statement_is_of_one_partition_and_names_every_row_of_it() {
        // It began in June and ended in July.
        let rows_of_both = [row(JUNE, JUNE, 2), row(JUNE, JUNE + 1, 4), row(JUNE + 5, JUNE + 120_000, 6)];
        let found = rows(&rows_of_both);
        assert_eq!(found.len(), 2);
        assert!(found[0].delete.starts_with(
            "DELETE FROM logs IN PARTITION 202606 WHERE account_id = {account_id:String} AND gateway_id = {gateway_id:String} AND "
        ));
        assert!(found[1].delete.starts_with("DELETE FROM logs IN PARTITION 202607 WHERE "));
        let named = |removal: &Removal| {
            rows_of_both.iter().map(|row| removal.delete.contains(&name(row))).collect::<Vec<_>>()
        };
        assert_eq!(named(&found[0]), [true, false, false]);
        assert_eq!(named(&found[1]), [false, true, true]);
        // The last millisecond of the last minute is in it.
        assert!(found[0].delete.contains(&format!("created_at BETWEEN fromUnixTimestamp64Milli({}, 'UTC') AND fromUnixTimestamp64Milli({JUNE}, 'UTC')", JUNE - 59_999)));
        let ids: Vec<_> = rows_of_both.iter().map(|row| row.id).collect();
        let found = attachments(&ids);
        let (bodies, annotations) = (&found[..4], &found[4].delete);
        assert!(
            annotations.starts_with("DELETE FROM annotations WHERE account_id = {account_id:String} AND ")
        );
        assert!(rows_of_both.iter().all(|row| annotations.contains(row.id.as_str())));
        let places = bodies.iter().map(|removal| {
            let words: Vec<_> = removal.delete.split(' ').collect();
            (words[2], words[5])
        });
        let expected =
            [("bodies", "202606"), ("payloads", "202606"), ("bodies", "202607"), ("payloads", "202607")];
        assert_eq!(places.collect::<Vec<_>>(), expected);
        assert!(found[0].delete.contains(&format!("{},{}", rows_of_both[0].id, rows_of_both[1].id)));
    }

    #[test]
    fn as_many_rows_as_may_be_fit_into_one_statement() {
        let many: Vec<_> =
            (0..ROWS_PER_STATEMENT_MAX as u64).map(|n| row(JUNE, JUNE, u64::MAX - n)).collect();
        let longest = rows(&many)[0].delete.len() as u64;
        assert!(longest * 3 / 2 < STATEMENT_BYTES_MAX, "{longest}");
        assert_eq!(names(&[]), None);
    }
}

//! Marks of the rows that a replay is about to store, by which is found what is left of one that is killed.
//!
//! A row that is opened bears the time of the row whose place it takes, so it does not show later that it is new; and what a
//! replay had sent may land long after it died. So before its rows are stored each has an entry of its own in the ledger, which
//! sums to nothing: subject `replay:`, the gateway, `/`, the event's id, `/` and the hour that the row says it was stored in
//! (epoch seconds), under the id of the write, in the hour of the replay. Once the row is there and is the only one of its
//! event, the ledger has its write, and NATS the word of its minutes, the entry is in version [`TOLD`]. Until then whoever
//! lives sees to it that it comes to that, see [`crate::reconcile`]. Each step of that may be taken again, and beside the
//! replay itself, should it live after all.
//!
//! A row may be taken out again before anybody comes to look: then it is not there, but has a correction in the ledger under its
//! own name, by which is known that it was.

use std::collections::{BTreeMap, HashMap, HashSet};

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::LedgerRow;
use weir_store::deletion::{IS_CORRECTION, TOLD, YOUNG_S};

use super::rows::Part;
use crate::sink::insert::hour_of;
use crate::sink::store::IDS_PER_QUERY_MAX;
use crate::sink::{SinkError, Store, by_scope};

/// How the subject of a mark begins. No gateway has a colon in its name, so no letter's subject begins so.
const SUBJECT: &str = "replay:";
const SEPARATOR: char = '/';

/// For so long it is waited for a row that has not landed.
const OPEN_S: u32 = 86_400;
/// How many marks are dealt with at once.
const MARKS_AT_ONCE_MAX: usize = 10_000;

/// A row that a replay is about to store, or has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
pub(crate) struct Mark {
    /// Of the replay, in epoch seconds.
    hour: u32,
    source: String,
    account_id: String,
    write_id: u64,
    subject: String,
    /// That the row was of whose place it takes, in epoch seconds; 0 where there is none.
    minute: u32,
}

/// A row that has landed, be it there or taken out since.
pub(crate) struct Landed<'m> {
    pub(crate) mark: &'m Mark,
    pub(crate) id: EventId,
    /// That it is of, or was.
    minute: Option<Timestamp>,
}

/// What there is of a row, or was.
#[derive(Row, Deserialize)]
struct LandedRow {
    id: [u8; 26],
    write_id: u64,
    created_at: i64,
}

impl Mark {
    /// Of a row of the event `id`, by a replay that is at work at `now`, that is to have come at `at`.
    pub(super) fn new(
        (source, write_id): (&str, u64),
        (scope, id): (&Scope, EventId),
        (now, at): (Timestamp, Timestamp),
        minute: Option<Timestamp>,
    ) -> Self {
        let seconds = |minute: Timestamp| u32::try_from(minute.millis() / 1_000).unwrap_or_default();
        Self {
            hour: hour_of(now.millis()),
            source: source.to_owned(),
            account_id: scope.account_id.to_string(),
            write_id,
            subject: format!(
                "{SUBJECT}{}{SEPARATOR}{id}{SEPARATOR}{}",
                scope.gateway_id,
                hour_of(at.millis())
            ),
            minute: minute.map_or(0, seconds),
        }
    }

    /// Marks by whose they are, without those that are nobody's.
    pub(crate) fn by_scope(marks: Vec<Self>) -> BTreeMap<Scope, Vec<Self>> {
        by_scope(marks.into_iter().filter_map(|mark| Some((mark.event()?.0, mark))))
    }

    /// Whose event the row is of; `None` where nobody can ask for it, because its name is none.
    pub(crate) fn event(&self) -> Option<(Scope, EventId)> {
        let (gateway_id, id, _) = self.name()?;
        Some((Scope::parse(&self.account_id, gateway_id).ok()?, id.parse().ok()?))
    }

    /// The part of its write that it is of.
    pub(super) fn part(&self) -> Option<Part<'_>> {
        let (_, _, hour) = self.name()?;
        Some((hour, &self.source, &self.account_id, self.write_id))
    }

    fn name(&self) -> Option<(&str, &str, u32)> {
        let (event, hour) = self.subject.strip_prefix(SUBJECT)?.rsplit_once(SEPARATOR)?;
        let (gateway_id, id) = event.rsplit_once(SEPARATOR)?;
        Some((gateway_id, id, hour.parse().ok()?))
    }

    fn minute(&self) -> Option<Timestamp> {
        let minute = Some(self.minute).filter(|minute| *minute > 0)?;
        Timestamp::from_millis(i64::from(minute) * 1_000).ok()
    }

    /// What the ledger says of it.
    fn entry(&self, version: u64) -> LedgerRow<'_> {
        LedgerRow {
            hour: self.hour,
            source: &self.source,
            account_id: &self.account_id,
            write_id: self.write_id,
            subject: &self.subject,
            minute: self.minute,
            version,
            ..LedgerRow::default()
        }
    }
}

impl Landed<'_> {
    /// The minutes that are to be computed when it is the only row of its event.
    pub(crate) fn minutes(&self) -> impl Iterator<Item = Timestamp> {
        let before = self.mark.minute().filter(|before| Some(*before) != self.minute);
        before.into_iter().chain(self.minute)
    }
}

impl Store {
    /// Enters marks of rows that are about to be stored.
    pub(super) async fn enter_marks(&self, marks: &[Mark]) -> Result<(), SinkError> {
        self.enter(&marks.iter().map(|mark| mark.entry(1)).collect::<Vec<_>>()).await
    }

    /// Enters that there is nothing left to be done for the rows of `marks`.
    pub(crate) async fn close_marks(&self, marks: impl Iterator<Item = &Mark>) -> Result<(), SinkError> {
        self.enter(&marks.map(|mark| mark.entry(TOLD)).collect::<Vec<_>>()).await
    }

    /// Enters that nothing comes of the rows of a write that ClickHouse refused. Some may be there all the same: what failed was
    /// a view of the table, or the part of another month. Nothing is entered of those.
    pub(super) async fn close_refused(&self, marks: Vec<Mark>) -> Result<(), SinkError> {
        for (scope, marks) in Mark::by_scope(marks) {
            let landed = self.landed(&scope, &marks).await?;
            let landed: HashSet<_> = landed.iter().map(|row| &row.mark.subject).collect();
            self.close_marks(marks.iter().filter(|mark| !landed.contains(&mark.subject))).await?;
        }
        Ok(())
    }

    /// Some marks of replays that should have come to their end by now, in order: those that come next after `last`.
    pub(crate) async fn open_marks(&self, last: &Mark) -> Result<Vec<Mark>, SinkError> {
        // In these words the primary key is looked at; comparing tuples would read all of an hour for every page (26.7).
        const OPEN: &str = "SELECT ?fields FROM ledger FINAL \
            WHERE hour >= now() - toIntervalSecond(?) AND startsWith(subject, ?) AND version < ? \
                AND entered_at < now64(3) - toIntervalSecond(?) \
                AND hour >= toDateTime(?, 'UTC') AND (hour > toDateTime(?, 'UTC') OR source > ? OR (source = ? \
                    AND (account_id > ? OR (account_id = ? AND write_id >= ? AND (write_id > ? OR subject > ?))))) \
            ORDER BY hour, source, account_id, write_id, subject LIMIT ?";
        let query = self.client.query(OPEN).bind(OPEN_S).bind(SUBJECT).bind(TOLD).bind(YOUNG_S);
        let query = query.bind(last.hour).bind(last.hour).bind(&last.source).bind(&last.source);
        let query = query.bind(&last.account_id).bind(&last.account_id);
        let query = query.bind(last.write_id).bind(last.write_id).bind(&last.subject);
        let query = self.bounded(query.bind(MARKS_AT_ONCE_MAX));
        self.within("look for replays that were killed", query.fetch_all()).await
    }

    /// Those of `marks`, all of one tenant, whose rows are there, or were.
    pub(crate) async fn landed<'m>(
        &self,
        scope: &Scope,
        marks: &'m [Mark],
    ) -> Result<Vec<Landed<'m>>, SinkError> {
        let named = |mark: &'m Mark| Some((mark, mark.event()?.1));
        let mut named: Vec<_> = marks.iter().filter_map(named).collect();
        named.sort_unstable_by_key(|(_, id)| *id);
        let mut landed = Vec::new();
        for named in named.chunks(IDS_PER_QUERY_MAX) {
            let mut ids: Vec<_> = named.iter().map(|(_, id)| *id).collect();
            ids.dedup();
            let mut rows: Vec<LandedRow> = self.fetch_of("look for rows of replays", scope, &ids, "").await?;
            let there: HashSet<_> = rows.iter().map(|row| (row.id, row.write_id)).collect();
            let is_missing = |(mark, id): &&(&Mark, EventId)| !there.contains(&(id.bytes(), mark.write_id));
            let missing: Vec<_> = named.iter().filter(is_missing).copied().collect();
            // Asked for behind them: of a row that goes in between it is said before.
            rows.extend(self.taken_out(scope, &missing).await?);
            let rows: HashMap<_, _> =
                rows.iter().map(|row| ((row.id, row.write_id), row.created_at)).collect();
            landed.extend(named.iter().filter_map(|&(mark, id)| {
                let created_at = rows.get(&(id.bytes(), mark.write_id))?;
                let minute = Timestamp::from_millis(*created_at).ok().map(Timestamp::minute);
                Some(Landed { mark, id, minute })
            }));
        }
        Ok(landed)
    }

    /// What the ledger has of rows of these marks that were taken out.
    async fn taken_out(
        &self,
        scope: &Scope,
        marks: &[(&Mark, EventId)],
    ) -> Result<Vec<LandedRow>, SinkError> {
        let parts: Vec<_> = marks.iter().filter_map(|(mark, _)| mark.part()).collect();
        let (hours, writes): (HashSet<_>, HashSet<_>) = parts.iter().map(|part| (part.0, part.3)).unzip();
        let ids: HashSet<_> = marks.iter().map(|(_, id)| id.as_str()).collect();
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let taken_out = format!(
            "SELECT toFixedString(subject, 26) AS id, write_id, toInt64(toUnixTimestamp(minute)) * 1000 AS created_at \
            FROM ledger WHERE toUnixTimestamp(hour) IN ? AND account_id = ? AND gateway_id = ? AND write_id IN ? \
                AND subject IN ? AND {IS_CORRECTION}"
        );
        let query = self
            .client
            .query(&taken_out)
            .bind(Vec::from_iter(hours))
            .bind(scope.account_id.as_str())
            .bind(scope.gateway_id.as_str())
            .bind(Vec::from_iter(writes))
            .bind(Vec::from_iter(ids));
        self.within("look for what was taken out of a replay", query.fetch_all()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const HOUR: u32 = 497_000;

    fn time(minutes: i64) -> Timestamp {
        Timestamp::from_millis(i64::from(HOUR) * HOUR_MS + minutes * 60_000).unwrap()
    }

    fn mark(gateway: &str, minute: Option<Timestamp>) -> (Mark, Scope, EventId) {
        let (scope, id) = (Scope::parse("acc", gateway).unwrap(), EventId::derive(Timestamp::MIN, &[b"1"]));
        (Mark::new(("logpush", 9), (&scope, id), (time(59), time(-1)), minute), scope, id)
    }

    #[test]
    fn a_mark_names_its_event_and_sums_to_nothing() {
        let (mark, scope, id) = mark("gw", Some(time(-60)));
        assert_eq!(mark.event(), Some((scope, id)));
        assert_eq!(mark.part(), Some(((HOUR - 1) * 3_600, "logpush", "acc", 9)), "of the hour of the row");
        let expected = LedgerRow {
            hour: HOUR * 3_600,
            source: "logpush",
            account_id: "acc",
            write_id: 9,
            subject: &format!("replay:gw/{id}/{}", (HOUR - 1) * 3_600),
            minute: (HOUR - 1) * 3_600,
            version: 1,
            ..LedgerRow::default()
        };
        assert_eq!(mark.entry(1), expected);
    }

    #[test]
    fn an_entry_of_another_kind_is_no_mark() {
        let (mark, _, id) = mark("gw", None);
        let digest = "ab".repeat(32);
        let others = [
            format!("gw/{digest}"),
            digest,
            id.to_string(),
            "deleted:gw:0".to_owned(),
            format!("replay:gw/{id}"),
            String::new(),
        ];
        for subject in others {
            let mark = Mark { subject, ..mark.clone() };
            assert_eq!((mark.event(), mark.part()), (None, None));
        }
    }

    #[test]
    fn both_minutes_are_told_of_where_a_row_came_to_be_of_another_one() {
        let told = |before: Option<i64>, after: i64| {
            let (mark, _, id) = mark("gw", before.map(time));
            let landed = Landed { mark: &mark, id, minute: Some(time(after)) };
            landed.minutes().collect::<Vec<_>>()
        };
        assert_eq!(told(None, 5), [time(5)]);
        assert_eq!(told(Some(5), 5), [time(5)]);
        assert_eq!(told(Some(4), 5), [time(4), time(5)]);
    }
}

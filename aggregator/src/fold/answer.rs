//! The windows of a tenant, summed up as they are asked for.

use std::collections::HashMap;

use weir_event::bus::LiveRow;
use weir_event::{Dimension, Timestamp};

use super::names::NameIds;
use super::question::Question;
use super::rings::{Clockwork, Rings};
use super::series::Series;
use super::windows::{Scoped, Windows};

/// The names of a group that is of no names.
const ANY: NameIds = [u32::MAX; 5];

/// The rows of a tenant at one time.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<LiveRow>,
    /// Calls that came late.
    pub(super) late: u64,
    /// How many windows have a cost that leaves the range.
    pub(super) beyond_range: u64,
}

/// A question at one time.
struct Reading<'w> {
    windows: &'w Windows,
    question: &'w Question,
    clockwork: Clockwork,
}

/// Series that are one row.
struct Group {
    rings: Rings,
    exact_since_ms: i64,
}

impl Windows {
    /// What is asked for, as it is at `now`. Groups with nothing in any window are left out.
    pub(super) fn answer(&self, question: &Question, now: Timestamp) -> Answer {
        let Some(scoped) = self.scopes.get(&question.scope) else {
            return Answer::default();
        };
        let clockwork = Clockwork::new(now.millis(), self.lengths);
        Reading { windows: self, question, clockwork }.answer(scoped)
    }
}

impl Reading<'_> {
    fn answer(&self, scoped: &Scoped) -> Answer {
        let late = scoped.late(self.clockwork.now_ms(), self.windows.lengths.longest_ms());
        let mut answer = Answer { late, ..Answer::default() };
        let mut groups = self.groups(scoped);
        if let Some(rest) = &scoped.rest {
            if self.question.is_total() {
                // With what has no names of its own the whole is whole.
                let total = groups.entry(ANY).or_insert_with(|| self.nothing());
                total.add(rest, &self.clockwork);
                total.exact_since_ms = i64::MIN;
            } else {
                let mut group = self.nothing();
                group.add(rest, &self.clockwork);
                group.exact_since_ms = rest.nothing_since_ms().unwrap_or(i64::MIN);
                self.push_row(&mut answer, None, group);
            }
        }
        for (names, group) in groups {
            self.push_row(&mut answer, Some(names), group);
        }
        answer.rows.sort_by_cached_key(LiveRow::group);
        answer
    }

    fn nothing(&self) -> Group {
        Group { rings: Rings::new(&self.clockwork), exact_since_ms: i64::MIN }
    }

    fn groups(&self, scoped: &Scoped) -> HashMap<NameIds, Group> {
        // Where two series may be one row, some of what is in the rest may be of it.
        let rest = scoped.rest.as_ref().filter(|_| !self.question.is_finest());
        let rest_since_ms = rest.and_then(|rest| rest.nothing_since_ms()).unwrap_or(i64::MIN);
        let mut groups: HashMap<NameIds, Group> = HashMap::new();
        for (ids, series) in &scoped.series {
            if !self.question.is_about(self.windows.names.texts(*ids)) {
                continue;
            }
            let mut names = ANY;
            for ((name, id), dimension) in names.iter_mut().zip(ids).zip(Dimension::ALL) {
                if self.question.group_by.contains(dimension) {
                    *name = *id;
                }
            }
            let group = groups
                .entry(names)
                .or_insert_with(|| Group { exact_since_ms: rest_since_ms, ..self.nothing() });
            group.add(series, &self.clockwork);
        }
        groups
    }

    /// Adds a row, the rest's where there are no names.
    fn push_row(&self, answer: &mut Answer, names: Option<NameIds>, group: Group) {
        let windows = group.rings.into_windows(&self.clockwork);
        if windows.iter().all(|figures| figures.sums.requests == 0) {
            return;
        }
        let beyond_range = windows.iter().filter(|figures| figures.sums.is_beyond_range()).count();
        answer.beyond_range += beyond_range as u64;
        // What every window begins after is nothing that a reader has to know.
        let lengths = &self.windows.lengths;
        let matters = group.exact_since_ms > self.clockwork.now_ms() - lengths.longest_ms();
        let served =
            |(figures, length_ms): (&super::Figures, &i64)| figures.to_live(length_ms.unsigned_abs() / 1_000);
        let mut row = LiveRow {
            rest: names.is_none(),
            exact_since: Timestamp::from_millis(group.exact_since_ms).ok().filter(|_| matters),
            windows: windows.iter().zip(lengths.all()).map(served).collect(),
            ..LiveRow::default()
        };
        for (dimension, id) in Dimension::ALL.iter().zip(names.unwrap_or(ANY)) {
            if names.is_some() && self.question.group_by.contains(dimension) {
                *row.name_mut(*dimension) = Some(self.windows.names.text(id).to_owned());
            }
        }
        answer.rows.push(row);
    }
}

impl Group {
    fn add(&mut self, series: &Series, clockwork: &Clockwork) {
        self.rings.add(series, clockwork);
        self.exact_since_ms = self.exact_since_ms.max(series.exact_since_ms);
    }
}

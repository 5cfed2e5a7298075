//! One tenant that somebody looks on at: who, what was told of and not followed yet, and what was shown.

use std::collections::HashMap;
use std::sync::Arc;

use weir_event::{EventId, Scope, Timestamp};
use weir_filter::Filter;

use super::outbox::{Outbox, Shown};
use super::seen::Seen;
use crate::auth::Readable;
use crate::store::StoredRow;
use crate::view::RowView;

/// The most rows that are told of and not looked at.
const PENDING_MAX: usize = 20_000;
/// How often a row is looked for that is not there: a replica may be behind. It may have been deleted as well.
const LOOKS_MAX: u8 = 8;

/// Of a row that was committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) id: EventId,
    /// When the call ended.
    pub(super) end: Timestamp,
    /// Whether the row may have been there for long.
    pub(super) duplicate: bool,
    looks: u8,
}

/// The feed that words were taken from. A later one of the same tenant has other readers: what was told before they came is none of
/// theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) scope: Readable<Scope>,
    pub(super) number: u64,
}

/// A tenant's readers. It is there as long as there are any.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
    readers: Vec<Reader>,
    pending: HashMap<EventId, Word>,
    seen: Seen,
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) number: u64,
    pub(super) filter: Filter,
    /// When it began.
    pub(super) since: Timestamp,
    pub(super) outbox: Arc<Outbox>,
}

/// What became of the rows of a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Put before readers.
    pub(super) shown: u64,
    /// For want of room left out.
    pub(super) dropped: u64,
}

impl Word {
    pub(super) const fn new(id: EventId, end: Timestamp, duplicate: bool) -> Self {
        Self { id, end, duplicate, looks: 0 }
    }
}

impl Feed {
    pub(super) fn new(source: Source) -> Self {
        Self { source, readers: Vec::new(), pending: HashMap::new(), seen: Seen::default() }
    }

    /// Whether words of `source` are of this one.
    pub(super) fn is(&self, source: &Source) -> bool {
        self.source == *source
    }

    pub(super) fn add(&mut self, reader: Reader) {
        self.readers.push(reader);
    }

    /// Whether somebody is left.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        self.readers.retain(|reader| reader.number != number);
        !self.readers.is_empty()
    }

    /// Notes a row that was committed.
    pub(super) fn hear(&mut self, word: Word) {
        if self.seen.has(&word.id) {
            return;
        }
        if let Some(known) = self.pending.get_mut(&word.id) {
            known.duplicate &= word.duplicate;
        } else if self.pending.len() < PENDING_MAX {
            self.pending.insert(word.id, word);
        } else {
            self.gap(Some(1));
        }
    }

    /// Rows are missing.
    pub(super) fn gap(&self, rows: Option<u64>) {
        for reader in &self.readers {
            reader.outbox.gap(rows);
        }
    }

    /// Up to `max` rows to be looked at, in the order of their ends; `None` if there are none.
    pub(super) fn take(&mut self, max: usize) -> Option<(Source, Vec<Word>)> {
        let mut words: Vec<_> = self.pending.values().copied().collect();
        words.sort_unstable_by_key(|word| (word.end, word.id));
        words.truncate(max);
        for word in &words {
            self.pending.remove(&word.id);
        }
        (!words.is_empty()).then(|| (self.source.clone(), words))
    }

    /// Whether there is something to be looked at.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Shows what was found of `words`. What was not is looked for again for a while.
    pub(super) fn show(&mut self, words: Vec<Word>, mut rows: Vec<StoredRow>) -> Passed {
        let words: HashMap<EventId, Word> = words.into_iter().map(|word| (word.id, word)).collect();
        let mut passed = Passed::default();
        rows.sort_by_key(StoredRow::place);
        for row in &rows {
            let duplicate = words.get(&row.id).is_none_or(|word| word.duplicate);
            if self.seen.is_new(row.id, row.ingested_at) {
                self.show_row(row, duplicate, &mut passed);
            }
        }
        let mut missing = 0;
        for mut word in words.into_values().filter(|word| !self.seen.has(&word.id)) {
            word.looks += 1;
            if word.looks < LOOKS_MAX {
                self.pending.insert(word.id, word);
            } else if !word.duplicate {
                missing += 1;
            }
        }
        // They may have been deleted, or may be on a replica that is far ahead of the one that answers.
        if missing > 0 {
            self.gap(Some(missing));
        }
        passed
    }

    fn show_row(&self, row: &StoredRow, duplicate: bool, passed: &mut Passed) {
        let mut shown = None;
        // What was there before a reader came is nothing that it looks on at, and what was shown is not shown again, also
        // when it is not in mind any more.
        let is_shown = duplicate && self.seen.may_have_forgotten(row.ingested_at);
        let concerned =
            self.readers.iter().filter(|reader| !is_shown && (!duplicate || row.ingested_at >= reader.since));
        for reader in concerned.filter(|reader| reader.filter.matches(row)) {
            let shown = shown.get_or_insert_with(|| {
                let json = serde_json::to_string(&RowView(row)).expect("a row has names for keys");
                Arc::new(Shown { id: row.id, json })
            });
            if reader.outbox.show(shown) {
                passed.shown += 1;
            } else {
                passed.dropped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;

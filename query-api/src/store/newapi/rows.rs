//! Rows of a list, read a piece at a time: they may be long, and nobody holds all of them.
//!
//! Each piece is a statement of its own, which begins behind the last row that was read. So nothing in ClickHouse waits for a slow
//! reader, and rows that are written or deleted meanwhile may be in the list or not.

use std::collections::VecDeque;
use std::fmt;

use weir_event::Scope;
use weir_filter::Filter;

use super::{LogsOf, NewApiRow};
use crate::sql::newapi::{self as sql, Owner, Place, Slice};
use crate::store::error::StoreError;
use crate::store::log_store::LogStore;

/// A piece ends with the row in which so many bytes were read. So what is held has one row more than that, or a chunk of what
/// ClickHouse sends.
const PIECE_BYTES: u64 = 8 << 20;

/// Rows of a list, in its order.
pub struct NewApiRows {
    store: LogStore,
    scope: Scope,
    owner: Owner,
    filter: Filter,
    /// What is still to be read of the list.
    left: Slice,
    /// The last row that was read.
    after: Option<Place>,
    /// How many rows the next statement asks for at most.
    reach: u32,
    ready: VecDeque<NewApiRow>,
}

impl NewApiRows {
    /// Reads the first piece.
    pub(super) async fn begin(
        store: &LogStore,
        logs: &impl LogsOf,
        filter: &Filter,
        slice: Slice,
    ) -> Result<Self, StoreError> {
        let mut rows = Self {
            store: store.clone(),
            scope: logs.scope().clone(),
            owner: logs.owner(),
            filter: filter.clone(),
            left: slice,
            after: None,
            reach: slice.limit,
            ready: VecDeque::new(),
        };
        rows.read().await?;
        Ok(rows)
    }

    /// Whether all that are still to come are in memory.
    #[must_use]
    pub const fn are_read(&self) -> bool {
        self.left.limit == 0
    }

    /// Whether there are none any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.are_read() && self.ready.is_empty()
    }

    /// The next one; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<NewApiRow>, StoreError> {
        if self.ready.is_empty() && !self.are_read() {
            self.read().await?;
        }
        Ok(self.ready.pop_front())
    }

    /// Reads a piece. Where it fails nothing has changed.
    async fn read(&mut self) -> Result<(), StoreError> {
        let slice = Slice { limit: self.left.limit.min(self.reach), ..self.left };
        let statement = sql::rows(&self.scope, &self.owner, &self.filter, slice, self.after);
        let mut cursor = self.store.query(&statement).fetch::<NewApiRow>()?;
        let (mut read, mut is_cut) = (VecDeque::new(), false);
        while !is_cut && let Some(row) = cursor.next().await? {
            read.push_back(row);
            is_cut = cursor.decoded_bytes() >= PIECE_BYTES;
        }
        let count = u32::try_from(read.len()).unwrap_or(u32::MAX);
        let is_end = !is_cut && count < slice.limit;
        let limit = if is_end { 0 } else { self.left.limit.saturating_sub(count) };
        self.left = Slice { before: 0, limit };
        self.after = read.back().map(|row| (row.created_at, row.id)).or(self.after);
        // The server is not to gather many more than are taken.
        self.reach = count.saturating_mul(2).max(1);
        self.ready = read;
        Ok(())
    }
}

impl fmt::Debug for NewApiRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client of the store knows a password, and rows are what people wrote.
        f.debug_struct("NewApiRows").field("left", &self.left).finish_non_exhaustive()
    }
}

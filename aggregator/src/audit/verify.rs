//! Compares: what differs is looked at again, until it is gone or has lasted for long enough.

use std::io::Write;
use std::ops::Range;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_store::rollup::Rollup;

use super::print::Report;
use super::request::Form;
use super::tables::{Group, Tables};
use super::{AuditError, Outcome};

/// So many groups of a table are kept, to be looked at again one by one. More are counted.
const KEPT_MAX: usize = 10_000;
/// How long there is between two looks, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What was found of a table.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) rollup: &'static Rollup,
    /// Rows that were read, of `logs` and of the table.
    pub(super) rows: u64,
    /// The slices in which something differs.
    parts: Vec<Part>,
    /// How many groups differ of which rows were stored while we looked.
    pub(super) unsettled: u64,
}

/// A slice in which something differs.
#[derive(Debug)]
struct Part {
    slice: Range<i64>,
    /// What differed at every look.
    groups: Vec<Group>,
    /// How many more differ than are kept.
    more: u64,
}

/// Compares the chosen tables, and writes what differs.
pub(super) async fn verify(
    tables: &Tables,
    settle: Duration,
    form: Form,
    out: &mut impl Write,
) -> Result<Outcome, AuditError> {
    let mut all = Vec::new();
    for rollup in tables.selection.rollups() {
        all.push(look(tables, rollup).await?);
    }
    let looked = Instant::now();
    while all.iter().any(|found| !found.parts.is_empty()) && looked.elapsed() < settle {
        sleep(LOOK_INTERVAL.min(settle.saturating_sub(looked.elapsed()))).await;
        for found in &mut all {
            found.look_again(tables).await?;
        }
    }
    let settled_ms = tables.now_ms().await? - i64::try_from(settle.as_millis()).unwrap_or(i64::MAX);
    let mut report = Report::new(form, out);
    let mut outcome = Outcome::Equal;
    for found in &mut all {
        found.leave_out_unsettled(tables, settled_ms).await?;
        if found.differing() > 0 {
            outcome = Outcome::Different;
        }
        report.write(found)?;
    }
    Ok(outcome)
}

async fn look(tables: &Tables, rollup: &'static Rollup) -> Result<Found, AuditError> {
    let (slices, rows) = tables.slices(rollup).await?;
    let mut found = Found { rollup, rows, parts: Vec::new(), unsettled: 0 };
    for slice in slices {
        let room = KEPT_MAX - found.groups().count();
        let groups = tables.differing(rollup, &slice, room).await?;
        let more = if groups.len() == room {
            let all = tables.count_differing(rollup, &slice, i64::MAX).await?.groups;
            all.saturating_sub(groups.len() as u64)
        } else {
            0
        };
        found.parts.push(Part { slice, groups, more });
        found.drop_equal();
    }
    Ok(found)
}

impl Found {
    /// What differs and is kept.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.parts.iter().flat_map(|part| &part.groups)
    }

    /// How many differ.
    pub(super) fn differing(&self) -> u64 {
        self.parts.iter().map(|part| part.groups.len() as u64 + part.more).sum()
    }

    /// Keeps what differs still, as it is now.
    async fn look_again(&mut self, tables: &Tables) -> Result<(), AuditError> {
        for Part { slice, groups, more } in &mut self.parts {
            // Ones that did not differ before may be in front of ours.
            let now = tables.differing(self.rollup, slice, KEPT_MAX * 2).await?;
            if *more > 0 {
                *more = tables.count_differing(self.rollup, slice, i64::MAX).await?.groups;
            }
            let differed = |group: &Group| groups.iter().any(|before| before.is(group));
            *groups = now.into_iter().filter(differed).collect();
            *more = more.saturating_sub(groups.len() as u64);
        }
        self.drop_equal();
        Ok(())
    }

    /// What rows were stored of since `settled_ms` is being written.
    async fn leave_out_unsettled(&mut self, tables: &Tables, settled_ms: i64) -> Result<(), AuditError> {
        for Part { slice, groups, more } in &mut self.parts {
            let before = groups.len();
            groups.retain(|group| group.stored_ms < settled_ms);
            self.unsettled += (before - groups.len()) as u64;
            if *more > 0 {
                let differing = tables.count_differing(self.rollup, slice, settled_ms).await?;
                *more = differing.groups.saturating_sub(differing.unsettled + groups.len() as u64);
            }
        }
        self.drop_equal();
        Ok(())
    }

    fn drop_equal(&mut self) {
        self.parts.retain(|part| !part.groups.is_empty() || part.more > 0);
    }
}

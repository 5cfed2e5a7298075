//! Writes anew, slice after slice, what is not what its rows come to.

use std::io::Write;
use std::ops::Range;

use weir_event::Timestamp;
use weir_store::rollup::Rollup;

use super::tables::Tables;
use super::{AuditError, Outcome};

/// How often a slice is computed whose rows change meanwhile.
const COMPUTATIONS_MAX: usize = 3;

/// What was done to a table.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// Groups that differed before.
    differed: u64,
    /// Groups that differ still, though no row of them was stored since we began.
    left: u64,
    /// Groups that differ, and of which rows were stored since we began: the aggregator is about to write them.
    unsettled: u64,
}

/// Writes the chosen tables anew where they differ, and says what was done.
pub(super) async fn rebuild(tables: &Tables, out: &mut impl Write) -> Result<Outcome, AuditError> {
    let mut outcome = Outcome::Equal;
    for rollup in tables.selection.rollups() {
        let (slices, rows) = tables.slices(rollup).await?;
        let mut all = Done::default();
        for slice in &slices {
            let done = rebuild_slice(tables, rollup, slice).await?;
            if done.differed > 0 {
                let (from, to) = (time(slice.start), time(slice.end));
                writeln!(
                    out,
                    "{}: {from} to {to}: {} groups differed and were computed anew",
                    rollup.table, done.differed
                )?;
                out.flush()?;
            }
            all.differed += done.differed;
            all.left += done.left;
            all.unsettled += done.unsettled;
        }
        write!(out, "{}: {rows} rows, {} groups differed, {} do now", rollup.table, all.differed, all.left)?;
        if all.unsettled > 0 {
            write!(out, ", {} are being written", all.unsettled)?;
        }
        writeln!(out)?;
        if all.left > 0 {
            outcome = Outcome::Different;
        }
    }
    Ok(outcome)
}

async fn rebuild_slice(tables: &Tables, rollup: &Rollup, slice: &Range<i64>) -> Result<Done, AuditError> {
    let began_ms = tables.now_ms().await?;
    let mut done = Done::default();
    for computations in 0..=COMPUTATIONS_MAX {
        let differing = tables.count_differing(rollup, slice, began_ms).await?;
        if computations == 0 {
            done.differed = differing.groups;
        }
        (done.left, done.unsettled) = (differing.groups - differing.unsettled, differing.unsettled);
        if differing.groups == 0 || computations == COMPUTATIONS_MAX {
            break;
        }
        tables.compute(rollup, slice).await?;
    }
    Ok(done)
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

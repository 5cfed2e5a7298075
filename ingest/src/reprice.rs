//! Computes the costs of stored rows anew: `ingest reprice`.
//!
//! In: a time range and filters, and the price book. Out: changed costs in `logs`, a row of `cost_revisions` for each, and
//! word to the aggregator of the minutes that are touched. Before anything is written, what would change is shown.
//!
//! # Order of a run
//!
//! 1. [`difference`](Difference): every row is priced and compared; nothing is written. `--dry-run` ends here.
//! 2. The run claims the table ([`journal`]): two runs at once would give one revision to two costs.
//! 3. What an earlier run left unfinished is finished.
//! 4. Rows are priced once more, in time order by day; the changes go to `cost_revisions`, and whenever there are enough
//!    for a batch, or a month ends, the batch is applied to `logs` by one mutation ([`apply`]) and its minutes are marked
//!    dirty ([`mark`]).
//! 5. The run is done when every minute of it is marked.
//!
//! # What holds if it is killed
//!
//! Changes are written before they are applied, and hold costs, not differences: applied again, they change nothing,
//! since a row takes only a revision that is higher than its own. So whoever comes next applies and marks all batches
//! of an unfinished run, whatever became of them, and goes on with a table that is whole. Rows that the dead run did not
//! get to are simply found to differ.
//!
//! A cost that the source gave (`provided`) is never touched. Rows that come in while a run is at work are priced by
//! whoever takes them in.

mod apply;
mod difference;
mod error;
mod journal;
mod mark;
mod request;
mod row;
mod run;
mod table;
mod task;

pub use difference::Difference;
pub use error::RepriceError;
pub(crate) use request::parse_time;
pub use request::{COMMAND, Column, Mode, Request, Selection};
pub use run::reprice;
pub(crate) use task::Task;

//! Takes the rows of a dump in, chunk by chunk, on a thread that may block.

use std::collections::VecDeque;
use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_service::telemetry::chain;

use super::dump::Dump;
use super::error::ImportError;
use crate::accept::{CHUNKS_PENDING_MAX, Chunk, Origin};
use crate::pipeline::Pipeline;
use crate::sink::{Encoded, Making, Pending, Receipt, Sink, SinkError};

/// How often the log tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// Between attempts while ClickHouse is away: doubles from the first to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LONGEST: Duration = Duration::from_secs(15);

/// What takes rows in.
pub(super) struct Importer {
    pub(super) pipeline: Pipeline,
    pub(super) sink: Sink,
    pub(super) origin: Origin,
    /// Rows before this one are left out.
    pub(super) from_row: u64,
}

/// What became of the rows that are settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) dead_lettered: u64,
    pub(super) ignored: u64,
    /// The last of them: everything before it is settled too.
    pub(super) last_row: u64,
}

/// Rows on their way. They are held until they are settled: ClickHouse may go away meanwhile.
struct OnTheirWay {
    chunk: Chunk,
    pending: Result<Pending, SinkError>,
}

impl Importer {
    /// Takes every row in, and gives what became of them once all are committed. While ClickHouse is away it waits.
    pub(super) fn run(self, mut dump: Dump) -> Result<Tally, ImportError> {
        let mut tally = Tally::default();
        let mut on_their_way = VecDeque::new();
        let mut told_at = Instant::now();
        let end = loop {
            let making = self.sink.making();
            let chunk = match dump.next_chunk() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let Some(chunk) = chunk.from_position(self.from_row) else { continue };
            let pending = self.submit(&chunk, making);
            on_their_way.push_back(OnTheirWay { chunk, pending });
            if on_their_way.len() > CHUNKS_PENDING_MAX {
                self.settle(on_their_way.pop_front(), &mut tally)?;
            }
            if told_at.elapsed() >= TOLD_EVERY {
                told_at = Instant::now();
                let Tally { rows, stored, duplicates, dead_lettered, last_row, .. } = tally;
                tracing::info!(rows, stored, duplicates, dead_lettered, last_row, "importing");
            }
        };
        // Where the file cannot be read on, what was read of it is stored all the same.
        while !on_their_way.is_empty() {
            self.settle(on_their_way.pop_front(), &mut tally)?;
        }
        end.map(|()| tally)
    }

    fn submit(&self, chunk: &Chunk, making: Making<'_>) -> Result<Pending, SinkError> {
        making.submit_blocking(Encoded::of(&self.pipeline.prepare(chunk, &self.origin)))
    }

    /// Waits until rows are committed. What fails since ClickHouse is away is tried until it is back.
    fn settle(&self, rows: Option<OnTheirWay>, tally: &mut Tally) -> Result<(), ImportError> {
        let Some(OnTheirWay { chunk, mut pending }) = rows else { return Ok(()) };
        let mut pause = PAUSE_FIRST;
        let receipt = loop {
            match pending.and_then(Pending::wait_blocking) {
                Ok(receipt) => break receipt,
                Err(error) if error.is_outage() && !matches!(error, SinkError::Stopped) => {
                    let row = tally.last_row;
                    tracing::warn!(
                        row,
                        error = chain(&error),
                        "rows behind this one are not stored yet; trying again"
                    );
                    sleep(pause);
                    pause = (pause * 2).min(PAUSE_LONGEST);
                    pending = self.submit(&chunk, self.sink.making());
                }
                Err(source) => return Err(ImportError::Sink { row: tally.last_row, source }),
            }
        };
        tally.add(&chunk, &receipt);
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, chunk: &Chunk, receipt: &Receipt) {
        let rows = chunk.records().count() as u64;
        let Receipt { stored, duplicates, dead_lettered, .. } = receipt;
        self.rows += rows;
        self.stored += stored;
        self.duplicates += duplicates;
        self.dead_lettered += dead_lettered;
        self.ignored += rows - stored - duplicates - dead_lettered;
        self.last_row = chunk.last_position().unwrap_or(self.last_row);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, stored, duplicates, dead_lettered, ignored, .. } = self;
        write!(f, "{rows} rows: {stored} stored, {duplicates} there already")?;
        if *ignored > 0 {
            write!(f, ", {ignored} with nothing to store")?;
        }
        match dead_lettered {
            0 => Ok(()),
            _ => write!(f, ", {dead_lettered} dead letters (ingest dead-letters list --source import)"),
        }
    }
}

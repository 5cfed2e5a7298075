//! The course of a run: shows, asks, claims, finishes what was left, writes, applies, marks.

use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::Range;

use weir_pricing::PriceBook;
use weir_service::config::{ClickHouseConfig, NatsConfig};

use super::apply::Applier;
use super::difference::Difference;
use super::error::RepriceError;
use super::journal::{Journal, Lease};
use super::mark::Marker;
use super::request::{Mode, Request, Selection};
use super::row::Unreadable;
use super::table::{Table, days, month};

/// What all steps of a run use.
struct Reprice<'r> {
    request: &'r Request,
    book: PriceBook,
    table: Table,
    journal: Journal,
    applier: Applier,
    marker: Marker,
    /// NATS did not take some minutes of this run or of an earlier one: the first reason.
    not_marked: Option<RepriceError>,
}

/// Does what is asked for, and tells of it on `out`. What is written is whole whenever this ends, in whatever way.
pub async fn reprice(
    request: &Request,
    clickhouse: &ClickHouseConfig,
    nats: &NatsConfig,
    book: PriceBook,
    out: &mut impl Write,
) -> Result<(), RepriceError> {
    if request.selection.to <= request.selection.from {
        return Err(RepriceError::EmptyRange);
    }
    let client = weir_store::client(
        clickhouse.url.as_str(),
        &clickhouse.database,
        &clickhouse.user,
        clickhouse.password.expose(),
    );
    let mut reprice = Reprice {
        request,
        book,
        table: Table { client: client.clone() },
        journal: Journal::new(client.clone()),
        applier: Applier::new(client, &clickhouse.database),
        marker: Marker::new(nats.clone()),
        not_marked: None,
    };
    if request.mode == Mode::MarkDirty {
        return reprice.mark_only(out).await;
    }
    reprice.show_and_write(out).await
}

impl Reprice<'_> {
    async fn mark_only(&mut self, out: &mut impl Write) -> Result<(), RepriceError> {
        let selection = &self.request.selection;
        for day in self.days().await? {
            self.marker.mark(self.table.minutes(selection, &day)?).await?;
        }
        writeln!(out, "{} minutes marked: the aggregator computes them anew", self.marker.marked())?;
        Ok(())
    }

    async fn show_and_write(&mut self, out: &mut impl Write) -> Result<(), RepriceError> {
        self.applier.check_engine().await?;
        let difference = self.difference().await?;
        write!(out, "{}", difference.table())?;
        let unfinished = self.journal.unfinished().await?;
        if !unfinished.is_empty() {
            writeln!(out, "an earlier run ended before its end: {}", unfinished.join(", "))?;
        }
        if self.request.mode == Mode::DryRun {
            writeln!(out, "dry run: nothing was changed")?;
            return Ok(());
        }
        if difference.changed() == 0 && unfinished.is_empty() {
            return Ok(());
        }
        // What an earlier run left was confirmed then.
        if difference.changed() > 0 && self.request.mode == Mode::Ask {
            confirm(out, difference.changed())?;
        }
        let selection = self.request.selection.to_string();
        let edition = self.book.edition();
        let lease = self.journal.claim(&selection, edition.as_str(), self.request.lease).await?;
        tracing::info!(run = lease.run(), price_book = edition.as_str(), selection, "repricing");
        let result = self.write(&lease).await;
        let done = result.is_ok() && self.not_marked.is_none();
        // The first error is the one to tell.
        let ended = lease.end(done).await;
        let changed = result?;
        if let Some(error) = self.not_marked.take() {
            return Err(error);
        }
        ended?;
        writeln!(out, "{changed} rows changed, {} minutes marked", self.marker.marked())?;
        Ok(())
    }

    /// Finishes what was left, then does its own. Gives how many rows it changed itself.
    async fn write(&mut self, lease: &Lease) -> Result<u64, RepriceError> {
        self.applier.clear_up().await?;
        for run in self.journal.unfinished().await? {
            // Its own is unfinished too, but younger than all.
            if run == lease.run() {
                continue;
            }
            tracing::info!(run, "finishing what an earlier run left");
            self.apply_from(lease, &run, 0).await?;
            if self.not_marked.is_none() {
                lease.check()?;
                self.journal.finish(&run).await?;
            }
        }
        let mut writing = Writing { changed: 0, batch: 0, in_batch: 0 };
        let days: Vec<_> = self.days().await?.collect();
        for month_of_days in days.chunk_by(|a, b| month(a.start).ok() == month(b.start).ok()) {
            let first = writing.batch;
            for day in month_of_days {
                self.write_day(lease, day, &mut writing).await?;
            }
            if writing.batch > first || writing.in_batch > 0 {
                self.apply_from(lease, lease.run(), first).await?;
                writing.next_batch();
            }
        }
        Ok(writing.changed)
    }

    /// Writes the changes of a day to `cost_revisions`.
    async fn write_day(
        &self,
        lease: &Lease,
        day: &Range<i64>,
        writing: &mut Writing,
    ) -> Result<(), RepriceError> {
        let mut rows = self.table.rows(&self.request.selection, day)?;
        let mut revisions = self.table.revisions(lease.run());
        while let Some(row) = rows.next().await.map_err(RepriceError::clickhouse("read logs"))? {
            let Ok(Some(verdict)) = row.priced_by(&self.book) else {
                continue;
            };
            if writing.in_batch >= self.request.batch_rows_max {
                writing.next_batch();
            }
            lease.check()?;
            revisions.write(&row.revision(&verdict, lease.run(), writing.batch)).await?;
            writing.in_batch += 1;
            writing.changed += 1;
        }
        revisions.flush().await?;
        tracing::info!(until = show_time(day.end), changed = writing.changed, "priced");
        Ok(())
    }

    /// Applies and marks the batches of a run, from `first` on. Where NATS is away the rest is applied all the same.
    async fn apply_from(&mut self, lease: &Lease, run: &str, first: u32) -> Result<(), RepriceError> {
        for batch in self.applier.batches(run, first).await? {
            self.applier.apply(lease, run, &batch).await?;
            tracing::info!(batch = batch.number, rows = batch.rows, until = show_time(batch.last), "applied");
            if self.not_marked.is_some() {
                continue;
            }
            match self.marker.mark_batch(&self.table, run, &batch).await {
                Err(error @ RepriceError::NotMarked(_)) => self.not_marked = Some(error),
                marked => marked?,
            }
        }
        Ok(())
    }

    /// Prices every row and writes nothing.
    async fn difference(&self) -> Result<Difference, RepriceError> {
        let mut difference = Difference::default();
        for day in self.days().await? {
            let mut rows = self.table.rows(&self.request.selection, &day)?;
            while let Some(row) = rows.next().await.map_err(RepriceError::clickhouse("read logs"))? {
                match row.priced_by(&self.book) {
                    Ok(Some(verdict)) => difference.add((row.model, row.token), row.cost, verdict.amount()),
                    Ok(None) => difference.add_same(),
                    Err(Unreadable) => difference.add_unreadable(),
                }
            }
            let (rows, differ) = (difference.rows(), difference.changed());
            tracing::info!(until = show_time(day.end), rows, differ, "compared");
        }
        Ok(difference)
    }

    /// The days of the range that may have rows.
    async fn days(&self) -> Result<impl Iterator<Item = Range<i64>> + use<>, RepriceError> {
        let selection: &Selection = &self.request.selection;
        Ok(days(self.table.extent(selection).await?.unwrap_or(0..0)))
    }
}

/// How far the writing is.
struct Writing {
    changed: u64,
    batch: u32,
    in_batch: usize,
}

impl Writing {
    fn next_batch(&mut self) {
        self.batch += 1;
        self.in_batch = 0;
    }
}

fn show_time(millis: i64) -> String {
    weir_event::Timestamp::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

fn confirm(out: &mut impl Write, rows: u64) -> Result<(), RepriceError> {
    if !io::stdin().is_terminal() {
        return Err(RepriceError::NotConfirmed);
    }
    write!(out, "change the costs of {rows} rows? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if ["y", "yes"].contains(&answer.trim()) { Ok(()) } else { Err(RepriceError::NotConfirmed) }
}

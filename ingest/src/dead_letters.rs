//! `ingest dead-letters`: shows the records that could not be taken in, takes in those that can be read by now, and deletes
//! those that are no longer wanted.
//!
//! In: what is asked for on the command line, and the table `dead_letters`. Out: standard output; only `replay` and `purge`
//! change anything. A letter is known by its account, its gateway and its digest; of several rows of one the latest counts.

mod again;
mod error;
mod filter;
mod print;
mod replay;
mod request;
mod summary;
mod table;
#[cfg(test)]
mod testing;

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;
use weir_service::config::{ClickHouseConfig, ConfigErrors, Reader};
use weir_service::telemetry;

use error::LettersError;
use filter::Filter;
use print::{Listing, write_json, write_letter};
use replay::{Order, Settings, replay};
use request::Request;
pub(crate) use request::{COMMAND, command};
use table::Table;

/// So many letters are named where a digest's beginning fits more than one.
const NAMED_MAX: usize = 5;

/// What was asked for, with its settings.
#[derive(Debug)]
pub(crate) struct Task {
    request: Request,
    clickhouse: ClickHouseConfig,
    /// Where records are to be read again.
    replay: Option<Settings>,
}

impl Task {
    /// Reads the arguments and the settings; it needs no token, and the bus for a replay alone.
    pub(crate) fn new(matches: &ArgMatches, mut reader: Reader) -> Result<Self, ConfigErrors> {
        let request = Request::from_matches(matches);
        let clickhouse = reader.clickhouse();
        let is_replay = matches!(request, Request::Replay { .. });
        let replay = is_replay.then(|| Settings::read(&mut reader));
        reader.finish(|_| Ok(Self { request, clickhouse: clickhouse?, replay: replay.transpose()? }))
    }

    /// Does it, and writes what there is to read to `out`.
    pub(crate) async fn run(self, out: &mut impl Write) -> anyhow::Result<ExitCode> {
        let table = Table::new(&self.clickhouse);
        match &self.request {
            Request::List { filter, limit, as_json } => list(&table, filter, (*limit, *as_json), out).await?,
            Request::Show { filter, beginning, only_raw } => {
                show(&table, filter, (beginning, *only_raw), out).await?;
            }
            Request::Replay { filter, into_gateway, is_dry_run } => {
                let settings = self.replay.expect("its settings are read with it");
                telemetry::init(&settings.log)?;
                let order = Order { filter, into_gateway: into_gateway.clone(), is_dry_run: *is_dry_run };
                let is_complete = replay(settings, (&self.clickhouse, &table), order, out).await?;
                out.flush()?;
                return Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Request::Purge { filter, is_confirmed } => purge(&table, filter, *is_confirmed, out).await?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(
    table: &Table,
    filter: &Filter,
    (limit, as_json): (u64, bool),
    out: &mut impl Write,
) -> Result<(), LettersError> {
    if as_json {
        let mut letters = table.letters(filter, limit)?;
        while let Some(letter) = letters.next().await.map_err(LettersError::clickhouse("read letters"))? {
            write_json(&letter, out)?;
        }
        return Ok(());
    }
    // One more than is shown, to know whether there are more.
    let heads = table.heads(filter, limit.saturating_add(1)).await?;
    Ok(Listing::new(&heads, limit).write(out)?)
}

async fn show(
    table: &Table,
    filter: &Filter,
    (beginning, only_raw): (&str, bool),
    out: &mut impl Write,
) -> Result<(), LettersError> {
    let heads = table.heads(filter, NAMED_MAX as u64 + 1).await?;
    let letter = match heads.as_slice() {
        [] => None,
        [_] => table.letters(filter, 1)?.next().await.map_err(LettersError::clickhouse("read the letter"))?,
        several => return Err(LettersError::ambiguous(beginning, several, NAMED_MAX)),
    };
    let letter = letter.ok_or_else(|| LettersError::NotFound { beginning: beginning.to_owned() })?;
    let written = if only_raw { out.write_all(&letter.raw) } else { write_letter(&letter, out) };
    Ok(written?)
}

async fn purge(
    table: &Table,
    filter: &Filter,
    is_confirmed: bool,
    out: &mut impl Write,
) -> Result<(), LettersError> {
    let (all, matching) = (table.count(&Filter::default()).await?, table.count(filter).await?);
    writeln!(out, "{all} letters are kept, {matching} of them are to be deleted")?;
    if matching == 0 {
        return Ok(());
    }
    if !is_confirmed {
        return Err(LettersError::NotConfirmed);
    }
    table.delete(filter).await?;
    let left = table.count(&Filter::default()).await?;
    writeln!(out, "deleted, {left} letters are kept")?;
    Ok(())
}

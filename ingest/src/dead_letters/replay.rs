//! `ingest dead-letters replay`: takes the records in that can be read by now.
//!
//! Order: some letters are read, their events are stored and told of as [`crate::sink`] says, then the letters are
//! settled. A letter that stays is left as it is, with the reason for which it came: it is still what is to be looked for.

use std::io::Write;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_event::{GatewayId, Timestamp};
use weir_service::clock::SystemClock;
use weir_service::config::{
    Binary, ClickHouseConfig, LogConfig, NatsConfig, Reader as ConfigReader, Reported,
};
use weir_service::metrics::Metrics;
use weir_service::telemetry::chain;

use super::again::{Again, Reader, Stays};
use super::error::LettersError;
use super::filter::Filter;
use super::summary::Summary;
use super::table::{Letter, Name, Table};
use crate::config::{read_pipeline, read_write_timeout};
use crate::metrics::IngestMetrics;
use crate::pipeline::{Pipeline, UNDECRYPTABLE};
use crate::sink::{Announcer, Outcome, Races, ReplayError, Replayer, Reread, Store, reach_bus};

/// What a replay needs beside the tables.
#[derive(Debug)]
pub(super) struct Settings {
    /// What reads records.
    pub(super) pipeline: Pipeline,
    /// For one statement.
    pub(super) write_timeout: Duration,
    pub(super) nats: NatsConfig,
    pub(super) log: LogConfig,
}

/// What is asked for.
pub(super) struct Order<'o> {
    pub(super) filter: &'o Filter,
    pub(super) into_gateway: Option<GatewayId>,
    pub(super) is_dry_run: bool,
}

/// What is done with records that can be read: in a dry run it is only told what would become of them.
struct Hand {
    store: Store,
    writing: Option<Writing>,
}

/// What stores them, and tells the bus.
struct Writing {
    replayer: Replayer,
    publishing: JoinHandle<()>,
}

struct Replay<'r> {
    table: &'r Table,
    reader: Reader,
    hand: Hand,
    summary: Summary,
}

impl Settings {
    /// Reads them.
    pub(super) fn read(reader: &mut ConfigReader) -> Result<Self, Reported> {
        let (pipeline, write_timeout) = (read_pipeline(reader), read_write_timeout(reader));
        let (nats, log) = (reader.nats(), reader.log());
        Ok(Self { pipeline: pipeline?, write_timeout: write_timeout?, nats: nats?, log: log? })
    }
}

/// Replays letters, and tells of it on `out`. Gives whether none of them stays.
pub(super) async fn replay(
    settings: Settings,
    (clickhouse, table): (&ClickHouseConfig, &Table),
    order: Order<'_>,
    out: &mut impl Write,
) -> Result<bool, LettersError> {
    let hand = Hand::new(&settings, clickhouse, order.is_dry_run).await?;
    let clock = SystemClock::shared();
    // What comes from here on is not of this replay, and least of all what it keeps itself.
    let begun = Timestamp::from_millis(clock.now_ms()).ok();
    let filter = Filter { until: order.filter.until.or(begun), ..order.filter.clone() };
    let reader = Reader { pipeline: settings.pipeline, into_gateway: order.into_gateway, clock };
    let mut replay = Replay { table, reader, hand, summary: Summary::default() };
    let replayed = replay.all(&filter).await;
    replay.hand.end().await;
    replay.summary.write(out)?;
    if order.is_dry_run {
        writeln!(out, "dry run: nothing was changed")?;
    }
    replayed.map(|()| order.is_dry_run || replay.summary.is_complete())
}

impl Replay<'_> {
    async fn all(&mut self, filter: &Filter) -> Result<(), LettersError> {
        let mut last = Name::default();
        loop {
            let letters = self.table.page(filter, &last).await?;
            let Some(letter) = letters.last() else { return Ok(()) };
            last = letter.name();
            let mut read = Vec::with_capacity(letters.len());
            for letter in &letters {
                match self.reader.read(letter) {
                    Ok(again) => read.push((letter, again)),
                    Err(why) => self.summary.stays(letter, why),
                }
            }
            self.settle(read).await?;
        }
    }

    /// Deals with records that can be read. Where ClickHouse refuses them each is tried on its own, so that only the one
    /// that is at fault stays.
    async fn settle(&mut self, read: Vec<(&Letter, Again)>) -> Result<(), LettersError> {
        match self.settle_together(&read).await {
            Err(LettersError::Replay(error)) if error.is_rejection() => {}
            done => return done,
        }
        for (letter, again) in read {
            match self.settle_together(&[(letter, again)]).await {
                Err(LettersError::Replay(error)) if error.is_rejection() => {
                    self.summary.stays(letter, Stays::new("rejected", &chain(&error)));
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn settle_together(&mut self, read: &[(&Letter, Again)]) -> Result<(), LettersError> {
        if read.is_empty() {
            return Ok(());
        }
        let rereads: Vec<&Reread> = read.iter().map(|(_, again)| &again.reread).collect();
        let outcomes = self.hand.deal_with(&rereads).await?;
        if self.hand.writing.is_some() {
            self.settle_letters(read, &outcomes).await?;
        }
        for ((letter, again), outcome) in read.iter().zip(outcomes) {
            match outcome {
                Outcome::Stored | Outcome::Duplicate | Outcome::Ignored | Outcome::Opened => {
                    self.summary.settled(outcome, !again.closed.is_empty());
                }
                Outcome::OpenedInPart | Outcome::Closed => {
                    self.summary.stays(letter, Stays::new(UNDECRYPTABLE, &again.closed));
                }
                Outcome::Gone => {
                    self.summary.stays(letter, Stays::new("row_gone", "the row of its event is gone"));
                }
            }
        }
        Ok(())
    }

    async fn settle_letters(
        &self,
        read: &[(&Letter, Again)],
        outcomes: &[Outcome],
    ) -> Result<(), LettersError> {
        let now_ms = self.reader.clock.now_ms();
        for word in ["stored", "duplicate", "ignored"] {
            let letters = read.iter().zip(outcomes).filter(|(_, outcome)| outcome.settled_as() == Some(word));
            let letters: Vec<_> = letters.map(|((letter, _), _)| *letter).collect();
            self.table.settle(&letters, word, now_ms).await?;
        }
        Ok(())
    }
}

impl Hand {
    async fn new(
        settings: &Settings,
        clickhouse: &ClickHouseConfig,
        is_dry_run: bool,
    ) -> Result<Self, LettersError> {
        let (url, password) = (clickhouse.url.as_str(), clickhouse.password.expose());
        let client = weir_store::client(url, &clickhouse.database, &clickhouse.user, password);
        let store = Store::new(client, settings.write_timeout);
        let writing = if is_dry_run { None } else { Some(Writing::begin(settings, &store).await?) };
        Ok(Self { store, writing })
    }

    async fn deal_with(&self, letters: &[&Reread]) -> Result<Vec<Outcome>, ReplayError> {
        match &self.writing {
            None => Replayer::look(&self.store, letters).await,
            Some(Writing { replayer, .. }) => replayer.store(letters).await,
        }
    }

    /// Waits until what there is to tell is told.
    async fn end(self) {
        if let Some(Writing { replayer, publishing }) = self.writing {
            drop(replayer);
            // It panics no more than the rest.
            let _ = publishing.await;
        }
    }
}

impl Writing {
    /// Nothing is begun unless statistics can be told of it.
    async fn begin(settings: &Settings, store: &Store) -> Result<Self, LettersError> {
        let (bus, _) = reach_bus(&settings.nats, "weir-replay").await?;
        let metrics =
            IngestMetrics::register(&mut Metrics::new(Binary::Ingest.name(), env!("CARGO_PKG_VERSION")));
        let (announcer, publisher) = Announcer::new(bus, metrics.clone());
        let publishing = tokio::spawn(async move { publisher.run(&CancellationToken::new()).await });
        let races = Races::new(store.clone(), announcer.clone(), metrics);
        let replayer = Replayer::new(store.clone(), races, announcer, SystemClock::shared());
        replayer.begin().await?;
        Ok(Self { replayer, publishing })
    }
}

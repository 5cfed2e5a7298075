//! `ingest import newapi`: takes in a dump of new-api's own table of logs.
//!
//! In: a file (CSV, JSON or SQLite). Out: the same rows in ClickHouse as if they had been pushed, and a line on standard
//! output. Each row becomes a record of the form `new_api_log` and goes through decoder, prices, redaction and writer like
//! any other, under the source `import`; so rows are known by their numbers, and one that is there already is a duplicate.
//! To run an import again from its beginning is therefore right, whatever ended it, and only costs time.

mod columns;
mod csv;
mod dump;
mod error;
mod json;
mod request;
mod run;
mod sqlite;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weir_event::Source;
use weir_service::clock::{Clock, SystemClock};
use weir_service::config::{Binary, ClickHouseConfig, LoadError, LogConfig, NatsConfig, Reader};
use weir_service::metrics::Metrics;
use weir_service::readiness::Readiness;
use weir_service::telemetry;

use crate::accept::{ChunkLimits, Form, Origin};
use crate::config::{read_group, read_pipeline, read_push, read_write_timeout};
use crate::metrics::IngestMetrics;
use crate::pipeline::Pipeline;
use crate::sink::{Announcer, GroupLimits, Sink, Store, Writer, reach_bus};

use error::ImportError;
use request::Request;
pub(crate) use request::{COMMAND, command};
use run::Importer;

/// How long to wait between looks at whether an earlier process is done.
const PREDECESSORS_PAUSE: Duration = Duration::from_millis(50);

/// What was asked for, with its settings.
#[derive(Debug)]
pub(crate) struct Task {
    request: Request,
    pipeline: Pipeline,
    chunk: ChunkLimits,
    group: GroupLimits,
    write_timeout: Duration,
    clickhouse: ClickHouseConfig,
    nats: NatsConfig,
    log: LogConfig,
}

/// What writes, until the way in to it is dropped.
struct Writing {
    writer: JoinHandle<()>,
    publisher: JoinHandle<()>,
}

impl Task {
    /// Reads the arguments and the settings; it needs no token.
    pub(crate) fn new(matches: &ArgMatches, mut reader: Reader) -> Result<Self, LoadError> {
        let request = Request::from_matches(matches);
        let pipeline = read_pipeline(&mut reader);
        let (push, group) = (read_push(&mut reader), read_group(&mut reader));
        let write_timeout = read_write_timeout(&mut reader);
        let (clickhouse, nats, log) = (reader.clickhouse(), reader.nats(), reader.log());
        Ok(reader.finish(|_| {
            Ok(Self {
                pipeline: pipeline?.with_new_api_types(request.types),
                request,
                chunk: push?.chunk,
                group: group?,
                write_timeout: write_timeout?,
                clickhouse: clickhouse?,
                nats: nats?,
                log: log?,
            })
        })?)
    }

    /// Does it, and says on `out` what became of the rows. Fails if it did not come to the end of the file, and gives a
    /// failure if rows of it are dead letters now.
    pub(crate) async fn run(self, out: &mut impl Write) -> anyhow::Result<ExitCode> {
        telemetry::init(&self.log)?;
        // Before anything is connected: most mistakes are in the name of the file.
        let dump = dump::open(&self.request, self.chunk)?;
        let origin = self.request.origin(SystemClock.now_ms());
        let (sink, writing) = self.begin_writing().await?;
        let importer = Importer { pipeline: self.pipeline, sink, origin, from_row: self.request.from_row };
        let done = tokio::task::spawn_blocking(move || importer.run(dump)).await;
        writing.end().await;
        let tally = done.map_err(|_| ImportError::Defect)??;
        writeln!(out, "{tally}")?;
        Ok(if tally.dead_lettered == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Nothing is begun unless statistics can be told of it.
    async fn begin_writing(&self) -> Result<(Sink, Writing), ImportError> {
        let (url, password) = (self.clickhouse.url.as_str(), self.clickhouse.password.expose());
        let client = weir_store::client(url, &self.clickhouse.database, &self.clickhouse.user, password);
        let store = Store::new(client, self.write_timeout);
        store.ping().await.map_err(ImportError::ClickHouse)?;
        let (bus, _) = reach_bus(&self.nats, "weir-import").await?;
        let metrics =
            IngestMetrics::register(&mut Metrics::new(Binary::Ingest.name(), env!("CARGO_PKG_VERSION")));
        let (announcer, publisher) = Announcer::new(bus, metrics.clone());
        let (writer, sink) = Writer::new(self.group, store, announcer, SystemClock::shared(), metrics);
        // Who ends it kills the process.
        let never = CancellationToken::new();
        let readiness = Readiness::new(never.clone());
        let predecessors = readiness.register("predecessors");
        let hard_stop = never.clone();
        let writer = tokio::spawn(async move { writer.run(&predecessors, &hard_stop).await });
        let publisher = tokio::spawn(async move { publisher.run(&never).await });
        while !readiness.report().ready && !writer.is_finished() {
            sleep(PREDECESSORS_PAUSE).await;
        }
        Ok((sink, Writing { writer, publisher }))
    }
}

impl Writing {
    /// Waits until everything is entered and told.
    async fn end(self) {
        // They panic no more than the rest.
        let _ = self.writer.await;
        let _ = self.publisher.await;
    }
}

impl Request {
    fn origin(&self, now_ms: i64) -> Origin {
        Origin {
            account_id: self.account_id.clone(),
            gateway_id: Some(self.gateway_id.clone()),
            source: Source::Import,
            form: Form::NewApiLog,
            batch: format!("import-{now_ms}-{}", std::process::id()),
            received_at_ms: now_ms,
        }
    }
}

//! `ingest reprice` as a process: its settings, and its exit code.

use std::io;
use std::process::ExitCode;

use clap::ArgMatches;
use weir_service::config::{ClickHouseConfig, ConfigErrors, LogConfig, NatsConfig, Reader};
use weir_service::telemetry;

use super::{Request, reprice};
use crate::config::read_price_book;
use crate::price::PriceBook;

/// A reprice with its settings.
#[derive(Debug)]
pub(crate) struct Task {
    request: Request,
    price_book: PriceBook,
    clickhouse: ClickHouseConfig,
    nats: NatsConfig,
    log: LogConfig,
}

impl Task {
    /// Reads the settings; it needs no tokens.
    pub(crate) fn new(matches: &ArgMatches, mut reader: Reader) -> Result<Self, ConfigErrors> {
        let request = Request::from_matches(matches);
        let price_book = read_price_book(&mut reader, &request.price_files);
        let (clickhouse, nats, log) = (reader.clickhouse(), reader.nats(), reader.log());
        reader.finish(|_| {
            Ok(Self { request, price_book: price_book?, clickhouse: clickhouse?, nats: nats?, log: log? })
        })
    }

    /// Runs it. What it shows goes to standard output, its progress to the log.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init(&self.log)?;
        let mut out = io::stdout();
        match reprice(&self.request, &self.clickhouse, &self.nats, self.price_book, &mut out).await {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                tracing::error!(error = telemetry::chain(&error), "reprice did not come to its end");
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

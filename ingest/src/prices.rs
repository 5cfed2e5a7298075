//! `ingest prices`: what the price book says, how a cost came about, and how published prices become price files.
//!
//! None of it needs a server: a book is compiled in, and an operator's own files are read from disk.

mod explain;
mod import;
mod list;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use weir_pricing::import::Source;
use weir_service::clock::Clock;
use weir_service::config::{ConfigErrors, Reader};

use crate::config::read_price_book;
use explain::Explain;
use import::Import;
use list::List;

/// What `ingest prices` was asked to do.
#[derive(Debug)]
pub(crate) enum PricesTask {
    /// An event's receipt.
    Explain(Explain),
    /// What the book lists.
    List(List),
    /// Published prices to price files.
    Import(Import),
}

/// The subcommand and those below it.
pub(crate) fn command() -> Command {
    Command::new("prices")
        .about("explains a cost, shows the price book, or imports published prices, and ends")
        .subcommand_required(true)
        .subcommand(
            Command::new("explain")
                .about("prints the receipts of events: records as gateways log them, or events as JSON")
                .arg(path("file", "the file to read; standard input if not given"))
                .arg(price_file()),
        )
        .subcommand(
            Command::new("list")
                .about("prints the prices in force")
                .arg(option("provider", "PROVIDER", "of this provider only"))
                .arg(option("model", "MODEL", "of this model of the provider only").requires("provider"))
                .arg(option("at", "DATE", "at this UTC day or time (RFC 3339) instead of now"))
                .arg(price_file()),
        )
        .subcommand(
            Command::new("import")
                .about("turns published prices into price files, and prints what was left out")
                .arg(
                    option("from", "SOURCE", "who published the file")
                        .required(true)
                        .value_parser(Source::ALL.map(Source::name)),
                )
                .arg(path("file", "the published file").required(true))
                .arg(
                    option("out", "DIR", "where the price files go, which replace those that are there")
                        .required(true)
                        .value_parser(clap::value_parser!(PathBuf)),
                ),
        )
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn path(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name("FILE").value_parser(clap::value_parser!(PathBuf)).help(help)
}

fn price_file() -> Arg {
    option("price-file", "FILE", "a price file that comes before the configured ones; may be repeated")
        .action(ArgAction::Append)
        .value_parser(clap::value_parser!(PathBuf))
}

impl PricesTask {
    /// Reads the arguments, and the price files that they and the settings name.
    pub(crate) fn new(matches: &ArgMatches, mut reader: Reader) -> Result<Self, ConfigErrors> {
        let (name, matches) = matches.subcommand().expect("clap asks for one");
        if name == "import" {
            return reader.finish(|_| Ok(Self::Import(Import::new(matches))));
        }
        let price_files = matches.get_many::<PathBuf>("price-file").into_iter().flatten().cloned();
        let book = read_price_book(&mut reader, &price_files.collect::<Vec<_>>());
        let file = || matches.get_one::<PathBuf>("file").cloned();
        let text = |name| matches.get_one::<String>(name).cloned();
        reader.finish(|_| {
            let book = book?;
            Ok(match name {
                "explain" => Self::Explain(Explain { book, file: file() }),
                // Clap knows no other subcommand.
                _ => Self::List(List {
                    book,
                    provider: text("provider"),
                    model: text("model"),
                    at: text("at"),
                }),
            })
        })
    }
}

/// Does it, and writes what there is to read to `out`.
pub(crate) fn run(task: &PricesTask, clock: &dyn Clock, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match task {
        PricesTask::Explain(explain) => explain.run(out)?,
        PricesTask::List(list) => list.run(clock, out)?,
        PricesTask::Import(import) => import.run(out)?,
    }
    Ok(ExitCode::SUCCESS)
}

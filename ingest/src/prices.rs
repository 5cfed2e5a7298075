//! `ingest prices`: what the price book says, how a cost came about, and how published prices become price files.
//!
//! None of it needs a server: a book is compiled in, and an operator's own files are read from disk.

mod import;

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use weir_pricing::import::Source;
use weir_service::clock::Clock;
use weir_service::config::{ConfigErrors, Reader};

use import::Import;

/// The subcommand.
const PRICES: &str = "prices";

/// What `ingest prices` was asked to do.
#[derive(Debug)]
pub(crate) enum PricesTask {
    /// Published prices to price files.
    Import(Import),
}

/// The subcommand and those below it.
pub(crate) fn command() -> Command {
    let source = Arg::new("from")
        .long("from")
        .value_name("SOURCE")
        .required(true)
        .value_parser(Source::ALL.map(Source::name))
        .help("who published the file");
    let file =
        |help| Arg::new("file").value_name("FILE").value_parser(clap::value_parser!(PathBuf)).help(help);
    let out = Arg::new("out")
        .long("out")
        .value_name("DIR")
        .required(true)
        .value_parser(clap::value_parser!(PathBuf))
        .help("where the price files go, which replace those that are there");
    Command::new(PRICES)
        .about("shows the price book, explains a cost, or imports published prices, and ends")
        .subcommand_required(true)
        .subcommand(
            Command::new("import")
                .about("turns published prices into price files, and prints what was left out")
                .arg(source)
                .arg(file("the published file").required(true))
                .arg(out),
        )
}

impl PricesTask {
    /// Reads the arguments.
    pub(crate) fn new(matches: &ArgMatches, reader: Reader) -> Result<Self, ConfigErrors> {
        let (_, matches) = matches.subcommand().expect("clap asks for one");
        let path = |name| matches.get_one::<PathBuf>(name).expect("clap asks for it").clone();
        let source = matches.get_one::<String>("from").map(String::as_str);
        let source = Source::ALL.into_iter().find(|known| Some(known.name()) == source);
        let import = Import {
            source: source.expect("clap takes no other name"),
            file: path("file"),
            out: path("out"),
        };
        reader.finish(|_| Ok(Self::Import(import)))
    }
}

/// Does it, and writes what there is to read to `out`.
pub(crate) fn run(task: &PricesTask, _clock: &dyn Clock, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match task {
        PricesTask::Import(import) => import.run(out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The files that an import writes.
const EXTENSION: &str = "toml";

fn is_price_file(path: &std::path::Path) -> bool {
    path.extension() == Some(OsStr::new(EXTENSION))
}

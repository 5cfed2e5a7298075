//! What is asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use weir_event::{Timestamp, TimestampError};

/// The subcommand.
pub const COMMAND: &str = "reprice";

/// How long a run that gives no sign of life is waited for.
const LEASE_DEFAULT_S: &str = "30";

/// A reprice as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which rows.
    pub selection: Selection,
    /// What to do with them.
    pub mode: Mode,
    /// Price files that come before the ones of the configuration.
    pub price_files: Vec<PathBuf>,
    /// After how long without a sign of life another run is taken for dead, and this one by others.
    pub lease: Duration,
    /// The most changes that are applied to `logs` at once: what ClickHouse holds in memory, some 200 bytes each.
    pub batch_rows_max: usize,
}

/// Rows by time and by what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Rows that ended at this time or later.
    pub from: Timestamp,
    /// And before this one.
    pub to: Timestamp,
    /// Columns and the texts that they have to have.
    pub equal: Vec<(Column, String)>,
    /// Only rows whose cost is unknown.
    pub only_unpriced: bool,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Show what would change.
    DryRun,
    /// Show it, ask at the terminal, write.
    Ask,
    /// Show it and write.
    Write,
    /// Write no cost; only have the statistics of the rows' minutes computed anew.
    MarkDirty,
}

/// A column of `logs` that a selection may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The account.
    Account,
    /// The gateway.
    Gateway,
    /// The provider.
    Provider,
    /// The model that answered.
    Model,
    /// The API token, as statistics name it.
    Token,
}

impl Column {
    /// Every column.
    pub const ALL: [Self; 5] = [Self::Account, Self::Gateway, Self::Provider, Self::Model, Self::Token];

    /// Its name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account_id",
            Self::Gateway => "gateway_id",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Token => "token",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Gateway => "gateway",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Token => "token",
        }
    }
}

impl Request {
    /// The subcommand that asks for it.
    #[must_use]
    pub fn command() -> Command {
        let text = |name: &'static str, value: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name(value).help(help)
        };
        let switch = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
        };
        let time = |name: &'static str, help: &'static str| {
            text(name, "TIME", help).required(true).value_parser(parse_time)
        };
        Command::new(COMMAND)
            .about("computes the costs of stored rows anew with the current price book, and ends")
            .arg(time("from", "rows that ended at this time or later: 2026-08-01 or 2026-08-01T12:00:00Z"))
            .arg(time("to", "and before this time"))
            .args(Column::ALL.map(|column| text(column.flag(), "TEXT", "only rows with this very text")))
            .arg(switch("only-unpriced", "only rows whose cost is unknown"))
            .arg(switch("dry-run", "show what would change, and change nothing"))
            .arg(switch("yes", "write without asking").conflicts_with("dry-run"))
            .arg(
                switch("mark-dirty", "write no cost, only have the rows' statistics computed anew")
                    .conflicts_with_all(["dry-run", "yes"]),
            )
            .arg(
                text("price-file", "FILE", "a price file that comes before the book; may be given again")
                    .action(ArgAction::Append)
                    .value_parser(value_parser!(PathBuf)),
            )
            .arg(
                text("lease", "SECONDS", "take a run for dead that gave no sign of life for so long")
                    .default_value(LEASE_DEFAULT_S)
                    .value_parser(value_parser!(u64).range(1..=3_600)),
            )
            .arg(
                text(
                    "batch-rows",
                    "N",
                    "the most changes that are applied at once, 200 bytes each in ClickHouse",
                )
                .default_value("1000000")
                .value_parser(value_parser!(u64).range(1..=100_000_000)),
            )
    }

    /// What the arguments of [`Request::command`] ask for.
    #[must_use]
    pub fn from_matches(matches: &ArgMatches) -> Self {
        let time = |name| *matches.get_one::<Timestamp>(name).expect("clap requires it");
        let number = |name| *matches.get_one::<u64>(name).expect("clap has a default for it");
        let text = |column: Column| Some((column, matches.get_one::<String>(column.flag())?.clone()));
        let mode = if matches.get_flag("dry-run") {
            Mode::DryRun
        } else if matches.get_flag("mark-dirty") {
            Mode::MarkDirty
        } else if matches.get_flag("yes") {
            Mode::Write
        } else {
            Mode::Ask
        };
        let files = matches.get_many::<PathBuf>("price-file").unwrap_or_default();
        Self {
            selection: Selection {
                from: time("from"),
                to: time("to"),
                equal: Column::ALL.into_iter().filter_map(text).collect(),
                only_unpriced: matches.get_flag("only-unpriced"),
            },
            mode,
            price_files: files.cloned().collect(),
            lease: Duration::from_secs(number("lease")),
            batch_rows_max: usize::try_from(number("batch-rows")).unwrap_or(usize::MAX),
        }
    }
}

/// For the journal and the log.
impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from {} to {}", self.from, self.to)?;
        for (column, text) in &self.equal {
            write!(f, ", {} {text:?}", column.name())?;
        }
        if self.only_unpriced { f.write_str(", only unpriced") } else { Ok(()) }
    }
}

/// A day stands for its first moment, UTC.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, TimestampError> {
    let is_day = text.len() == "2026-08-01".len();
    if is_day { format!("{text}T00:00:00Z").parse() } else { text.parse() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Request, String> {
        let args = std::iter::once(&"reprice").chain(args);
        let matches = Request::command().try_get_matches_from(args);
        matches.map(|matches| Request::from_matches(&matches)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_range_is_all_that_has_to_be_given_and_days_begin_at_midnight() {
        let request = read(&["--from", "2026-08-01", "--to", "2026-08-02T01:00:00+01:00"]).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(request.selection.from, at("2026-08-01T00:00:00Z"));
        assert_eq!(request.selection.to, at("2026-08-02T00:00:00Z"));
        assert_eq!((request.mode, request.lease.as_secs()), (Mode::Ask, 30));
        assert!(request.selection.equal.is_empty() && !request.selection.only_unpriced);
        for wrong in [&["--from", "2026-08-01"][..], &["--from", "August", "--to", "2026-08-02"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn filters_take_any_text_and_modes_exclude_each_other() {
        let range = ["--from", "2026-08-01", "--to", "2026-08-02"];
        let with = |more: &[&'static str]| read(&[&range[..], more].concat());
        let request = with(&["--token", "", "--model", "o'x\\", "--only-unpriced", "--dry-run"]).unwrap();
        let expected = [(Column::Model, "o'x\\".to_owned()), (Column::Token, String::new())];
        assert_eq!((request.selection.equal.as_slice(), request.mode), (&expected[..], Mode::DryRun));
        assert!(request.selection.to_string().ends_with(r#"model "o'x\\", token "", only unpriced"#));
        assert_eq!(with(&["--yes"]).unwrap().mode, Mode::Write);
        assert_eq!(with(&["--mark-dirty"]).unwrap().mode, Mode::MarkDirty);
        assert!(with(&["--yes", "--dry-run"]).is_err());
        assert!(with(&["--mark-dirty", "--yes"]).is_err());
    }
}

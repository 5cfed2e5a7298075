//! What is asked for on the command line.

use std::ops::Range;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use weir_event::{AccountId, GatewayId, Timestamp, TimestampError};
use weir_service::config::Value;
use weir_store::rollup::{ROLLUPS, Rollup};

/// Windows are looked at by whole quarters of an hour.
pub(super) const QUARTER_MS: i64 = 15 * 60_000;

const VERIFY: &str = "verify";

/// A command as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Compares.
    Verify {
        selection: Selection,
        /// How long a difference has to last.
        settle: Duration,
        form: Form,
    },
    /// Writes anew.
    Rebuild { selection: Selection },
}

/// Which windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Whole quarters of an hour, in milliseconds since 1970.
    pub(super) range: Range<i64>,
    pub(super) account: Option<AccountId>,
    pub(super) gateway: Option<GatewayId>,
    /// The name of a table; all where there is none.
    pub(super) table: Option<String>,
}

/// How differences are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) as_json: bool,
    /// The most that are shown.
    pub(super) limit: usize,
}

/// The subcommand that compares.
pub(crate) fn verify_command() -> Command {
    const AFTER_HELP: &str = "\
Ends with 0 where every rollup is what its rows come to, with 1 where one is not, and with 2 where that cannot be said.
Rollups are a little behind the rows. So a difference is looked at again, until it is gone or has lasted for as long as
--settle says; and what rows were stored of within that time is being written, and is counted apart. Without differences
there is no wait.";
    Command::new(VERIFY)
        .about("compares the rollups with the rows that they are sums of, and ends")
        .args(selection())
        .arg(
            option("settle", "DURATION", "how long a difference has to last to be one")
                .default_value("2m")
                .value_parser(duration),
        )
        .arg(
            option("limit", "N", "the most differences that are shown; all are counted")
                .default_value("20")
                .value_parser(value_parser!(u32).range(0..=10_000)),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("a line of JSON for each difference, and one for each table"),
        )
        .after_help(AFTER_HELP)
}

/// The subcommand that writes anew.
pub(crate) fn rebuild_command() -> Command {
    const AFTER_HELP: &str = "\
Only what differs is written, so it may be interrupted, and run again, at any time; also while aggregators run. Ends with 0
where every rollup is what its rows come to in the end, with 1 where one is not, and with 2 where that cannot be said.";
    Command::new("rebuild")
        .about("computes the rollups anew where they are not what their rows come to, and ends")
        .args(selection())
        .after_help(AFTER_HELP)
}

fn selection() -> [Arg; 5] {
    let time = |name, help| option(name, "TIME", help).required(true).value_parser(time);
    [
        time("from", "the first time (RFC 3339), or UTC day; taken back to a whole quarter of an hour"),
        time("to", "the time, or day, before which it ends; taken on to a whole quarter of an hour"),
        option("account", "ACCOUNT", "only this account").value_parser(value_parser!(AccountId)),
        option("gateway", "GATEWAY", "of the account, only this gateway")
            .requires("account")
            .value_parser(value_parser!(GatewayId)),
        option("table", "TABLE", "only this rollup").value_parser(ROLLUPS.map(|rollup| rollup.table)),
    ]
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn time(text: &str) -> Result<Timestamp, TimestampError> {
    let is_day = text.len() == "2026-08-01".len();
    if is_day { format!("{text}T00:00:00Z").parse() } else { text.parse() }
}

fn duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text).map_err(|_| format!("not {}", Duration::EXPECTED))
}

impl Request {
    /// What the arguments of a command here ask for.
    pub(super) fn from_matches(name: &str, matches: &ArgMatches) -> Self {
        let selection = Selection::from_matches(matches);
        if name != VERIFY {
            return Self::Rebuild { selection };
        }
        let limit: u32 = *matches.get_one("limit").expect("clap has a default for it");
        Self::Verify {
            selection,
            settle: *matches.get_one("settle").expect("clap has a default for it"),
            form: Form { as_json: matches.get_flag("json"), limit: limit as usize },
        }
    }

    pub(super) const fn selection(&self) -> &Selection {
        match self {
            Self::Verify { selection, .. } | Self::Rebuild { selection } => selection,
        }
    }
}

impl Selection {
    fn from_matches(matches: &ArgMatches) -> Self {
        let time = |name| matches.get_one::<Timestamp>(name).expect("clap asks for it").millis();
        let (from, to) = (time("from"), time("to"));
        Self {
            range: from - from % QUARTER_MS..to + (QUARTER_MS - to % QUARTER_MS) % QUARTER_MS,
            account: matches.get_one("account").cloned(),
            gateway: matches.get_one("gateway").cloned(),
            table: matches.get_one("table").cloned(),
        }
    }

    /// The rollups that are chosen.
    pub(super) fn rollups(&self) -> impl Iterator<Item = &'static Rollup> {
        let chosen = |rollup: &&Rollup| self.table.as_deref().is_none_or(|table| table == rollup.table);
        ROLLUPS.into_iter().filter(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(command: Command, args: &[&str]) -> Result<Request, String> {
        let name = command.get_name().to_owned();
        let args = std::iter::once(&"aggregator").chain(args);
        let matches = command.try_get_matches_from(args);
        matches.map(|matches| Request::from_matches(&name, &matches)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_range_is_taken_to_whole_quarters_and_days_begin_at_midnight() {
        let request = read(verify_command(), &["--from", "2026-08-01", "--to", "2026-08-01T10:07:00+05:30"]);
        let Ok(Request::Verify { selection, settle, form }) = request else { panic!("{request:?}") };
        let at = |text: &str| text.parse::<Timestamp>().unwrap().millis();
        assert_eq!(selection.range, at("2026-08-01T00:00:00Z")..at("2026-08-01T04:45:00Z"));
        assert_eq!(
            selection.rollups().map(|rollup| rollup.table).collect::<Vec<_>>(),
            ["usage_1m", "usage_15m", "usage_15m_by_model"]
        );
        assert_eq!((settle, form), (Duration::from_mins(2), Form { as_json: false, limit: 20 }));
        let whole = ["--from", "2026-08-01T10:15:00Z", "--to", "2026-08-01T10:30:00Z"];
        let selection = read(rebuild_command(), &whole).unwrap().selection().clone();
        assert_eq!(selection.range, at(whole[1])..at(whole[3]));
    }

    #[test]
    fn what_is_chosen_is_said_and_wrong_choices_are_refused() {
        let range = ["--from", "2026-08-01", "--to", "2026-08-02"];
        let with = |command: fn() -> Command, more: &[&str]| read(command(), &[&range[..], more].concat());
        let chosen = with(rebuild_command, &["--account", "acc", "--gateway", "gw", "--table", "usage_15m"]);
        let selection = chosen.unwrap().selection().clone();
        assert_eq!(selection.rollups().map(|rollup| rollup.table).collect::<Vec<_>>(), ["usage_15m"]);
        assert_eq!((selection.account.unwrap().as_str(), selection.gateway.unwrap().as_str()), ("acc", "gw"));
        for wrong in [
            &["--gateway", "gw"][..],
            &["--table", "logs"],
            &["--account", "a/b"],
            &["--settle", "soon"],
            &["--limit", "10001"],
        ] {
            assert!(with(verify_command, wrong).is_err(), "{wrong:?}");
        }
        assert!(read(verify_command(), &["--from", "2026-08-01"]).is_err());
        assert!(read(rebuild_command(), &["--from", "August", "--to", "2026-08-02"]).is_err());
    }
}

//! What is asked for on the command line.

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use weir_event::{GatewayId, Timestamp};

use super::filter::{Column, Filter};
use crate::reprice::parse_time;

/// The subcommand.
pub(crate) const COMMAND: &str = "dead-letters";

const DIGEST_DIGITS: usize = 64;

/// A command as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Shows letters, the latest first.
    List {
        filter: Filter,
        /// The most letters that are shown.
        limit: u64,
        as_json: bool,
    },
    /// Shows one.
    Show {
        filter: Filter,
        /// How its digest begins.
        beginning: String,
        only_raw: bool,
    },
    /// Takes records in that can be read by now.
    Replay {
        filter: Filter,
        /// Where a record goes that names no gateway and was not pushed to one.
        into_gateway: Option<GatewayId>,
        /// Only tells what would become of them.
        is_dry_run: bool,
    },
    /// Deletes letters.
    Purge { filter: Filter, is_confirmed: bool },
}

/// The subcommand and those below it.
pub(crate) fn command() -> Command {
    Command::new(COMMAND)
        .about("shows the records that could not be taken in, takes them in after all, or deletes them, and ends")
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about("lists the letters that are not settled, the latest first")
                .args(Column::ALL.map(column))
                .arg(time("since", "only letters that came at this time (RFC 3339) or UTC day, or later"))
                .arg(time("until", "only letters that came before this time"))
                .arg(switch("all", "settled letters as well"))
                .arg(
                    option("limit", "N", "the most letters that are shown")
                        .default_value("100")
                        .value_parser(value_parser!(u64).range(1..=10_000_000)),
                )
                .arg(switch("json", "a line of JSON for each, with its record")),
        )
        .subcommand(
            Command::new("show")
                .about("shows a letter and its record")
                .arg(
                    Arg::new("digest")
                        .value_name("DIGEST")
                        .help("its digest, or as much of its beginning as no other has")
                        .required(true)
                        .value_parser(beginning),
                )
                .args([Column::Account, Column::Gateway].map(column))
                .arg(switch("raw", "only the bytes of the record, as they are")),
        )
        .subcommand(replay())
        .subcommand(
            Command::new("purge")
                .about("deletes settled letters that came before a time")
                .arg(
                    time("before", "letters that came before this time (RFC 3339) or UTC day").required(true),
                )
                .args(Column::ALL.map(column))
                .arg(switch("unsettled", "also those that are not settled: their records are lost"))
                .arg(switch("yes", "delete; without it, only say how many it would be")),
        )
}

fn replay() -> Command {
    const AFTER_HELP: &str = "\
Records are read as if they came now, with the settings of this process: price files, private keys, policies, types of
new-api. What was blanked of a record's secrets stays blanked, so a replayed event may have no API token. An event that is
there already is a duplicate. A letter that still cannot be read stays, is told with the reason, and makes the command fail.
Replayed twice, a letter is stored once.";
    Command::new("replay")
        .about("takes in the records of letters that can be read by now, and settles these letters")
        .args(Column::ALL.map(column))
        .arg(option("digest", "DIGEST", "only letters whose digest begins so").value_parser(beginning))
        .arg(time("since", "only letters that came at this time (RFC 3339) or UTC day, or later"))
        .arg(time("until", "only letters that came before this time; before now, if it is not given"))
        .arg(
            option(
                "into-gateway",
                "GATEWAY",
                "where a record goes whose gateway is not known, within its account",
            )
            .value_parser(value_parser!(GatewayId)),
        )
        .arg(switch("dry-run", "say what would become of the letters, and change nothing"))
        .arg(switch("yes", "do it"))
        .group(ArgGroup::new("mode").args(["dry-run", "yes"]).required(true))
        .after_help(AFTER_HELP)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn column(column: Column) -> Arg {
    option(column.flag(), "TEXT", "only letters with this very text; an empty gateway is none")
}

fn time(name: &'static str, help: &'static str) -> Arg {
    option(name, "TIME", help).value_parser(parse_time)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// The beginning of a digest, in lower case.
fn beginning(text: &str) -> Result<String, &'static str> {
    let is_one =
        (1..=DIGEST_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one { Ok(text.to_ascii_lowercase()) } else { Err("not the beginning of 64 hex digits") }
}

impl Request {
    /// What the arguments of [`command`] ask for.
    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        let (name, matches) = matches.subcommand().expect("clap asks for one");
        let text = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
        let time = |id: &str| matches.try_get_one::<Timestamp>(id).ok().flatten().copied();
        let equal = Column::ALL.into_iter().filter_map(|column| Some((column, text(column.flag())?)));
        let filter = Filter { equal: equal.collect(), ..Filter::default() };
        match name {
            "list" => Self::List {
                filter: Filter {
                    since: time("since"),
                    until: time("until"),
                    settled: (!matches.get_flag("all")).then_some(false),
                    ..filter
                },
                limit: *matches.get_one("limit").expect("clap has a default for it"),
                as_json: matches.get_flag("json"),
            },
            "show" => {
                let beginning = text("digest").expect("clap asks for it");
                Self::Show {
                    filter: Filter { beginning: Some(beginning.clone()), ..filter },
                    beginning,
                    only_raw: matches.get_flag("raw"),
                }
            }
            "replay" => Self::Replay {
                filter: Filter {
                    beginning: text("digest"),
                    since: time("since"),
                    until: time("until"),
                    settled: Some(false),
                    ..filter
                },
                into_gateway: matches.get_one("into-gateway").cloned(),
                is_dry_run: matches.get_flag("dry-run"),
            },
            // Clap knows no other subcommand.
            _ => Self::Purge {
                filter: Filter {
                    until: time("before"),
                    settled: (!matches.get_flag("unsettled")).then_some(true),
                    ..filter
                },
                is_confirmed: matches.get_flag("yes"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::filter::Bound;

    fn read(args: &[&str]) -> Result<Request, String> {
        let matches = command().try_get_matches_from(std::iter::once(&COMMAND).chain(args));
        matches.map(|matches| Request::from_matches(&matches)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_settled_is_listed_unless_all_is_asked_for() {
        let request = read(&["list", "--gateway", "", "--since", "2026-08-01", "--reason", "it's"]).unwrap();
        let Request::List { filter, limit, as_json } = request else { panic!("{request:?}") };
        assert_eq!((limit, as_json), (100, false));
        let (condition, bounds) = filter.condition();
        let expected = "1 AND gateway_id = ? AND reason = ? AND received_at >= fromUnixTimestamp64Milli(?, 'UTC') \
            AND settled_at IS NULL";
        assert_eq!(condition, expected);
        assert_eq!(bounds, [Bound::Text(""), Bound::Text("it's"), Bound::Millis(1_785_542_400_000)]);
        let Request::List { filter, .. } = read(&["list", "--all"]).unwrap() else { panic!() };
        assert_eq!(filter, Filter::default());
    }

    #[test]
    fn purge_takes_what_is_settled_and_never_all_times() {
        let Request::Purge { filter, is_confirmed } = read(&["purge", "--before", "2026-08-01"]).unwrap()
        else {
            panic!()
        };
        assert_eq!((filter.settled, filter.until.is_some(), is_confirmed), (Some(true), true, false));
        let unsettled = read(&["purge", "--before", "2026-08-01T00:00:00Z", "--unsettled", "--yes"]).unwrap();
        let Request::Purge { filter, is_confirmed } = unsettled else { panic!() };
        assert_eq!((filter.settled, is_confirmed), (None, true));
        assert!(read(&["purge", "--yes"]).is_err());
    }

    #[test]
    fn a_replay_is_of_what_is_not_settled_and_says_whether_it_is_meant() {
        let request =
            read(&["replay", "--reason", "no_gateway", "--digest", "AB", "--into-gateway", "chat", "--yes"]);
        let Ok(Request::Replay { filter, into_gateway, is_dry_run }) = request else { panic!("{request:?}") };
        assert_eq!((filter.settled, filter.beginning.as_deref()), (Some(false), Some("ab")));
        assert_eq!((into_gateway.unwrap().as_str(), is_dry_run), ("chat", false));
        let Ok(Request::Replay { filter, into_gateway, is_dry_run }) = read(&["replay", "--dry-run"]) else {
            panic!()
        };
        assert_eq!(filter, Filter { settled: Some(false), ..Filter::default() });
        assert_eq!((into_gateway, is_dry_run), (None, true));
        for wrong in [
            &["replay"][..],
            &["replay", "--yes", "--dry-run"],
            &["replay", "--yes", "--into-gateway", "a/b"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_digest_is_hex_digits_in_either_case() {
        let request = read(&["show", "AB12", "--account", "acc"]).unwrap();
        let Request::Show { filter, beginning, only_raw } = request else { panic!("{request:?}") };
        assert_eq!((filter.beginning.as_deref(), &*beginning, only_raw), (Some("ab12"), "ab12", false));
        for wrong in ["", "xyz", "%", &"0".repeat(65)] {
            assert!(read(&["show", wrong]).unwrap_err().contains("64 hex digits"), "{wrong}");
        }
        assert!(read(&["show"]).is_err() && read(&[]).is_err());
    }
}

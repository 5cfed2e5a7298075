//! What is asked for on the command line.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use weir_event::{AccountId, GatewayId};

use crate::normalize::NewApiTypes;

/// The subcommand.
pub(crate) const COMMAND: &str = "import";
const NEW_API: &str = "newapi";

const AFTER_HELP: &str = "\
FILE is CSV with the columns' names in the first line, JSON (an object on each line, or one array), either of them perhaps
compressed (gzip, zstd), or new-api's SQLite file, which is only read. Rows are known by their numbers: one that is stored
already is a duplicate, so an import that was ended may be run again as it is; with --from-row it need not read everything
again. A row that cannot be read becomes a dead letter, and makes the command fail at the end.";

/// A command as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The dump.
    pub(super) path: PathBuf,
    /// Whose rows they are.
    pub(super) account_id: AccountId,
    pub(super) gateway_id: GatewayId,
    /// What the types 4 and 5 mean.
    pub(super) types: NewApiTypes,
    /// The first row that is taken, from 1.
    pub(super) from_row: u64,
}

/// The subcommand and the one below it.
pub(crate) fn command() -> Command {
    Command::new(COMMAND).about("takes in rows from a file, and ends").subcommand_required(true).subcommand(
        Command::new(NEW_API)
            .about("takes in a dump of new-api's own table of logs")
            .arg(
                Arg::new("file").value_name("FILE").help("the dump").required(true).value_parser(value_parser!(PathBuf)),
            )
            .arg(option("account", "ACCOUNT", "the account that the rows are for").required(true)
                .value_parser(value_parser!(AccountId)))
            .arg(option("gateway", "GATEWAY", "the gateway that the rows are of: one for each new-api").required(true)
                .value_parser(value_parser!(GatewayId)))
            .arg(
                option("types", "WHOSE", "what types 4 and 5 are: upstream (system, error), as new-api writes them, or documented (error, system)")
                    .default_value("upstream")
                    .value_parser(["upstream", "documented"]),
            )
            .arg(
                option("from-row", "N", "leave out the rows before this one")
                    .default_value("1")
                    .value_parser(value_parser!(u64).range(1..)),
            )
            .after_help(AFTER_HELP),
    )
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

impl Request {
    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        let (_, matches) = matches.subcommand().expect("clap requires one");
        Self {
            path: given(matches, "file"),
            account_id: given(matches, "account"),
            gateway_id: given(matches, "gateway"),
            types: match given::<String>(matches, "types").as_str() {
                "documented" => NewApiTypes::Documented,
                // Clap knows no other.
                _ => NewApiTypes::Upstream,
            },
            from_row: given(matches, "from-row"),
        }
    }
}

fn given<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).cloned().expect("it is required, or has a default")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Request, String> {
        let args = [&["import", "newapi"], args].concat();
        let matches = command().try_get_matches_from(args).map_err(|error| error.to_string())?;
        Ok(Request::from_matches(&matches))
    }

    #[test]
    fn a_dump_is_for_one_gateway_and_numbered_as_new_api_does_it() {
        let request = read(&["logs.csv", "--account", "acme", "--gateway", "new-api"]).unwrap();
        assert_eq!((request.types, request.from_row), (NewApiTypes::Upstream, 1));
        assert_eq!((request.account_id.as_str(), request.gateway_id.as_str()), ("acme", "new-api"));
        let whose = ["logs.csv", "--account", "acme", "--gateway", "g"];
        let request = read(&[&whose[..], &["--types", "documented", "--from-row", "7"]].concat()).unwrap();
        assert_eq!((request.types, request.from_row), (NewApiTypes::Documented, 7));
        for (args, part) in [
            (&["logs.csv", "--account", "acme"][..], "--gateway"),
            (&["--account", "acme", "--gateway", "g"][..], "FILE"),
            (&["f", "--account", "a b", "--gateway", "g"][..], "account id"),
            (&["f", "--account", "a", "--gateway", "g", "--from-row", "0"][..], "0 is not in"),
            (&["f", "--account", "a", "--gateway", "g", "--types", "x"][..], "upstream"),
        ] {
            let error = read(args).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}

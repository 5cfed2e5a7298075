//! What is asked for on the command line.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use weir_event::{Scope, Timestamp};

use crate::identity::arguments::{Expiry, expires, file, json, name, of_tenant, option, required, tenant};

/// A command as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Request {
    /// Makes one key known.
    Add { key: NewKey, as_json: bool },
    /// Shows all.
    List { as_json: bool },
    /// Makes something else of one.
    Change { id: String, change: Change },
    /// Takes over a dump.
    Import { dump: Dump, as_json: bool },
}

/// A dump of new-api's table of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) struct Dump {
    pub(super) tenant: Scope,
    pub(super) file: PathBuf,
    /// In milliseconds since 1970, where it is said.
    pub(super) made_at: Option<i64>,
}

/// What a key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) struct NewKey {
    pub(super) tenant: Scope,
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) token_id: Option<i64>,
    pub(super) user_id: Option<i64>,
    pub(super) expires: Option<Expiry>,
    pub(super) quota: Option<i64>,
}

/// What may become of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Change {
    Enable,
    Disable,
    Remove,
}

/// The subcommand and those below it.
pub(in crate::identity) fn command() -> Command {
    let of_one = |name, about| {
        Command::new(name)
            .about(about)
            .arg(Arg::new("id").value_name("ID").required(true).help("its id, as list shows it"))
    };
    Command::new("keys")
        .about("says which relay keys may ask in new-api's API what they were used for, and ends")
        .subcommand_required(true)
        .subcommand(add())
        .subcommand(
            Command::new("list")
                .about("lists all keys, without what they are made of")
                .arg(json("a line of JSON for each")),
        )
        .subcommand(of_one("enable", "lets a key be asked with again"))
        .subcommand(of_one("disable", "lets it be asked with no more"))
        .subcommand(of_one("remove", "forgets a key, but not its logs"))
        .subcommand(import())
}

fn add() -> Command {
    let number = |name, help| option(name, "ID", help).value_parser(value_parser!(i64).range(1..));
    of_tenant(Command::new("add").about("makes a key known, which is read from standard input"))
        .arg(file("file", "where the key is, with or without sk-; - is standard input").default_value("-"))
        .arg(option("name", "NAME", "what it is called, for people").required(true).value_parser(name))
        .arg(number("token-id", "its number, which its logs have as token_id"))
        .arg(number("user-id", "whose it is: if users knows them as disabled, it is as well"))
        .arg(expires())
        .arg(
            option(
                "quota",
                "QUOTA",
                "all that it was granted, of which 500000 is a dollar; without it, no bound",
            )
            .value_parser(value_parser!(i64).range(0..)),
        )
        .arg(json("one line of JSON"))
}

fn import() -> Command {
    const AFTER_HELP: &str = "\
The dump is CSV with the names of the columns, a JSON array, or a JSON object on each line. Of its columns these are read: id,
key, user_id, name, status, expired_time, remain_quota, unlimited_quota, used_quota, deleted_at. All of it is taken over, or
nothing. What is known and not in it stays. Where it has used_quota, a key has used that and what its logs since the dump say;
else what all its logs say.";
    of_tenant(Command::new("import").about("takes over a dump of new-api's table tokens"))
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("the dump; - is standard input"),
        )
        .arg(
            option("dumped-at", "TIME", "when it was made (RFC 3339); without it, now")
                .value_parser(value_parser!(Timestamp)),
        )
        .arg(json("one line of JSON"))
        .after_help(AFTER_HELP)
}

impl Request {
    /// Reads what clap has checked.
    pub(in crate::identity) fn from_matches(matches: &ArgMatches) -> Self {
        let (name, matches) = matches.subcommand().expect("clap asks for one");
        let as_json = || matches.get_flag("json");
        let change = |change| Self::Change { id: required(matches, "id"), change };
        match name {
            "add" => Self::Add {
                key: NewKey {
                    tenant: tenant(matches),
                    file: required(matches, "file"),
                    name: required(matches, "name"),
                    token_id: matches.get_one("token-id").copied(),
                    user_id: matches.get_one("user-id").copied(),
                    expires: matches.get_one("expires").copied(),
                    quota: matches.get_one("quota").copied(),
                },
                as_json: as_json(),
            },
            "list" => Self::List { as_json: as_json() },
            "enable" => change(Change::Enable),
            "disable" => change(Change::Disable),
            "import" => Self::Import {
                dump: Dump {
                    tenant: tenant(matches),
                    file: required(matches, "file"),
                    made_at: matches.get_one::<Timestamp>("dumped-at").map(|time| time.millis()),
                },
                as_json: as_json(),
            },
            // Clap knows no other.
            _ => change(Change::Remove),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_an_argument() {
        let read = |args: &str| {
            let matches = command().try_get_matches_from(std::iter::once("keys").chain(args.split(' ')));
            matches.map(|matches| Request::from_matches(&matches)).map_err(|error| error.to_string())
        };
        let add = "add --account acc --gateway gw --name n";
        let Request::Add { key, as_json: false } = read(add).unwrap() else { panic!() };
        assert_eq!((key.file, key.quota, key.token_id), (PathBuf::from("-"), None, None));
        let more = format!("{add} --token-id 7 --user-id 3 --quota 0 --expires 90d --file key.txt --json");
        let Request::Add { key, as_json: true } = read(&more).unwrap() else { panic!() };
        assert_eq!((key.file, key.quota, key.token_id), (PathBuf::from("key.txt"), Some(0), Some(7)));
        for (args, part) in [
            (format!("{add} sk-1"), "unexpected argument"),
            (format!("{add} --token-id 0"), "0 is not in 1.."),
            (format!("{add} --quota -1"), "unexpected argument"),
            ("import --account acc --gateway gw".to_owned(), "<FILE>"),
            (
                "import --account acc --gateway gw --dumped-at yesterday dump.csv".to_owned(),
                "not an RFC 3339 time with an offset",
            ),
        ] {
            let error = read(&args).unwrap_err();
            assert!(error.contains(part), "{args}: {error}");
        }
    }
}

//! What is asked for on the command line.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use weir_event::Scope;

use crate::auth::Role;
use crate::identity::arguments::{file, json, name, of_tenant, option, required, tenant};

/// A command as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Request {
    /// Makes a user.
    Create { user: NewUser, as_json: bool },
    /// Shows all.
    List { as_json: bool },
    /// Gives one another token.
    RotateToken { tenant: Scope, id: i64, token_file: Option<PathBuf>, as_json: bool },
    /// Makes something else of one.
    Change { tenant: Scope, id: i64, change: Change },
}

/// Who a user is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) struct NewUser {
    pub(super) tenant: Scope,
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) group: String,
    pub(super) token_file: Option<PathBuf>,
}

/// What may become of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Change {
    Enable,
    Disable,
    Role(Role),
    Name(String),
    Remove,
}

/// The subcommand and those below it.
pub(in crate::identity) fn command() -> Command {
    let of_one = |name, about| {
        of_tenant(Command::new(name).about(about)).arg(
            Arg::new("id")
                .value_name("ID")
                .required(true)
                .value_parser(value_parser!(i64).range(1..))
                .help("the user's number"),
        )
    };
    let role = Arg::new("role").value_name("ROLE").required(true).value_parser(value_parser!(Role));
    let new_name = Arg::new("name").value_name("NAME").required(true).value_parser(name);
    Command::new("users")
        .about("says who may ask in new-api's API, and ends")
        .subcommand_required(true)
        .subcommand(create())
        .subcommand(
            Command::new("list")
                .about("lists all users, without what their tokens are made of")
                .arg(json("a line of JSON for each")),
        )
        .subcommand(of_one("enable", "lets a user in again"))
        .subcommand(of_one("disable", "keeps a user out"))
        .subcommand(
            of_one("set-role", "makes something else of a user").arg(role.help("common, admin or root")),
        )
        .subcommand(
            of_one("rename", "gives a user another name; what they have logged so far keeps the one before")
                .arg(new_name.help("the new name")),
        )
        .subcommand(
            of_one("rotate-token", "gives a user another access token; the one before is nobody's then")
                .arg(token_file())
                .arg(json("one line of JSON, with the token")),
        )
        .subcommand(of_one("remove", "removes a user, but not their logs"))
}

fn create() -> Command {
    const AFTER_HELP: &str = "\
A token that is made is shown this once: only its hash is kept. Processes know it at once, and within query_api.token_refresh
what became of its user.";
    of_tenant(Command::new("create").about("makes a user and prints their access token"))
        .arg(
            option("id", "ID", "their number, which their logs have as user_id")
                .required(true)
                .value_parser(value_parser!(i64).range(1..)),
        )
        .arg(
            option("name", "NAME", "their name, which their logs have as username")
                .required(true)
                .value_parser(name),
        )
        .arg(
            option("role", "ROLE", "common sees their own logs, admin and root those of all")
                .default_value("common")
                .value_parser(value_parser!(Role)),
        )
        .arg(
            option("group", "GROUP", "their group, as it is shown")
                .default_value("default")
                .value_parser(name),
        )
        .arg(token_file())
        .arg(json("one line of JSON, with the token"))
        .after_help(AFTER_HELP)
}

fn token_file() -> Arg {
    file("token-file", "an access token that they have already, instead of a new one; - is standard input")
}

impl Request {
    /// Reads what clap has checked.
    pub(in crate::identity) fn from_matches(matches: &ArgMatches) -> Self {
        let (name, matches) = matches.subcommand().expect("clap asks for one");
        let as_json = || matches.get_flag("json");
        let token_file = || matches.get_one("token-file").cloned();
        let id = || required(matches, "id");
        let change = |change| Self::Change { tenant: tenant(matches), id: id(), change };
        match name {
            "create" => Self::Create {
                user: NewUser {
                    tenant: tenant(matches),
                    id: id(),
                    name: required(matches, "name"),
                    role: required(matches, "role"),
                    group: required(matches, "group"),
                    token_file: token_file(),
                },
                as_json: as_json(),
            },
            "list" => Self::List { as_json: as_json() },
            "rotate-token" => Self::RotateToken {
                tenant: tenant(matches),
                id: id(),
                token_file: token_file(),
                as_json: as_json(),
            },
            "enable" => change(Change::Enable),
            "disable" => change(Change::Disable),
            "set-role" => change(Change::Role(required(matches, "role"))),
            "rename" => change(Change::Name(required(matches, "name"))),
            // Clap knows no other.
            _ => change(Change::Remove),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str) -> Result<Request, String> {
        let matches = command().try_get_matches_from(std::iter::once("users").chain(args.split(' ')));
        matches.map(|matches| Request::from_matches(&matches)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_user_is_of_one_tenant_and_common_unless_more_is_said() {
        let create = "create --account acc --gateway gw --id 7 --name alice";
        let Request::Create { user, as_json: false } = read(create).unwrap() else { panic!() };
        assert_eq!(user.tenant, Scope::parse("acc", "gw").unwrap());
        assert_eq!((user.id, &*user.name, user.role, &*user.group), (7, "alice", Role::Common, "default"));
        let of_one = "--account acc --gateway gw 7";
        let change = |args: &str| match read(args).unwrap() {
            Request::Change { id: 7, change, .. } => change,
            other => panic!("{other:?}"),
        };
        assert_eq!(change(&format!("set-role {of_one} root")), Change::Role(Role::Root));
        assert_eq!(change(&format!("remove {of_one}")), Change::Remove);
        assert_eq!(change(&format!("rename {of_one} alicia")), Change::Name("alicia".to_owned()));
        for (args, part) in [
            (create.replace("--gateway gw ", ""), "--gateway"),
            (create.replace("--id 7", "--id 0"), "0 is not in 1.."),
            (create.replace("--account acc", "--account a/b"), "an account id is"),
            (format!("{create} --role owner"), "a role is common, admin or root"),
            (format!("set-role {of_one}"), "<ROLE>"),
            (format!("rename {of_one}"), "<NAME>"),
            (format!("rename {of_one} \t"), "a name is"),
            ("disable 7".to_owned(), "--account"),
        ] {
            let error = read(&args).unwrap_err();
            assert!(error.contains(part), "{args}: {error}");
        }
    }
}

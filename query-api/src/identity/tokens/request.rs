//! What is asked for on the command line.

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use weir_event::{AccountId, GatewayId, Scope};

use crate::auth::{Access, Reach, Tenants};
use crate::identity::arguments::{Expiry, all, expires, json, name, option, required};

/// The longest address that mail knows.
const EMAIL_BYTES_MAX: usize = 254;

/// A command as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Request {
    /// Makes a token.
    Create { grant: Grant, as_json: bool },
    /// Shows all.
    List { as_json: bool },
    /// Takes one back.
    Revoke { id: String },
}

/// What a token is to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) struct Grant {
    pub(super) name: String,
    pub(super) permissions: Vec<Access>,
    pub(super) reach: Reach,
    pub(super) email: Option<String>,
    pub(super) expires: Option<Expiry>,
}

/// The subcommand and those below it.
pub(in crate::identity) fn command() -> Command {
    Command::new("tokens")
        .about("makes API tokens, lists them or takes them back, and ends")
        .subcommand_required(true)
        .subcommand(create().arg(json("one line of JSON, with the token")))
        .subcommand(
            Command::new("list")
                .about("lists all tokens, without what they are made of")
                .arg(json("a line of JSON for each")),
        )
        .subcommand(
            Command::new("revoke")
                .about("takes a token back for good")
                .arg(Arg::new("id").value_name("ID").required(true).help("its id, as list shows it")),
        )
}

fn create() -> Command {
    const AFTER_HELP: &str = "\
The token is shown this once: only its hash is kept. Processes know it at once, and within query_api.token_refresh that it
was revoked.";
    Command::new("create")
        .about("makes a token and prints it")
        .arg(option("name", "NAME", "what it is for, for people").required(true).value_parser(name))
        .arg(
            option(
                "permission",
                "PERMISSION",
                "read, or write, which includes read; with commas between them",
            )
            .required(true)
            .action(ArgAction::Append)
            .value_delimiter(',')
            .value_parser(value_parser!(Access)),
        )
        .arg(
            option("account", "ACCOUNT", "an account that it is for, with all its gateways; may be repeated")
                .action(ArgAction::Append)
                .value_parser(value_parser!(AccountId)),
        )
        .arg(
            Arg::new("all-accounts")
                .long("all-accounts")
                .action(ArgAction::SetTrue)
                .help("it is for every account, also for those that come later"),
        )
        .group(ArgGroup::new("whose").args(["account", "all-accounts"]).required(true))
        .arg(
            option("gateway", "GATEWAY", "of these accounts, only this gateway; may be repeated")
                .action(ArgAction::Append)
                .conflicts_with("all-accounts")
                .value_parser(value_parser!(GatewayId)),
        )
        .arg(
            option("email", "EMAIL", "lets it be sent as X-Auth-Key too, with this address as X-Auth-Email")
                .value_parser(email),
        )
        .arg(expires())
        .after_help(AFTER_HELP)
}

impl Request {
    /// Reads what clap has checked.
    pub(in crate::identity) fn from_matches(matches: &ArgMatches) -> Self {
        let (name, matches) = matches.subcommand().expect("clap asks for one");
        let as_json = || matches.get_flag("json");
        match name {
            "create" => Self::Create { grant: Grant::from_matches(matches), as_json: as_json() },
            "list" => Self::List { as_json: as_json() },
            // Clap knows no other.
            _ => Self::Revoke { id: required(matches, "id") },
        }
    }
}

impl Grant {
    fn from_matches(matches: &ArgMatches) -> Self {
        let mut permissions: Vec<Access> = all(matches, "permission");
        permissions.sort_unstable();
        permissions.dedup();
        Self {
            name: required(matches, "name"),
            permissions,
            reach: reach(&all(matches, "account"), &all(matches, "gateway")),
            email: matches.get_one::<String>("email").cloned(),
            expires: matches.get_one::<Expiry>("expires").copied(),
        }
    }
}

/// No account is all of them: clap has seen to it that this was said.
fn reach(accounts: &[AccountId], gateways: &[GatewayId]) -> Reach {
    if accounts.is_empty() {
        return Reach::All;
    }
    let of_account = |account_id: &AccountId| -> Vec<Tenants> {
        if gateways.is_empty() {
            return vec![Tenants::Account(account_id.clone())];
        }
        let scope =
            |gateway_id: &GatewayId| Scope { account_id: account_id.clone(), gateway_id: gateway_id.clone() };
        gateways.iter().map(|gateway_id| Tenants::Gateway(scope(gateway_id))).collect()
    };
    Reach::Only(accounts.iter().flat_map(of_account).collect())
}

fn email(text: &str) -> Result<String, String> {
    let (user, host) = text.split_once('@').unwrap_or_default();
    let is_one = !user.is_empty() && !host.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one && text.len() <= EMAIL_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err("not an address that can stand in a header, such as ops@example.com".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use weir_event::Timestamp;

    use super::*;

    /// 2027-01-01T00:00:00Z.
    const NEW_YEAR_MS: i64 = 1_798_761_600_000;

    fn read(args: &[&str]) -> Result<Request, String> {
        let matches = command().try_get_matches_from(std::iter::once(&"tokens").chain(args));
        matches.map(|matches| Request::from_matches(&matches)).map_err(|error| error.to_string())
    }

    fn created(args: &str) -> Result<Grant, String> {
        let args: Vec<_> = std::iter::once("create").chain(args.split(' ')).collect();
        match read(&args)? {
            Request::Create { grant, .. } => Ok(grant),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_for_what_was_said_and_nothing_is_meant_by_silence() {
        let check = |args: &str, expected: &[&str]| {
            let grant = created(&format!("--name n --permission read {args}")).unwrap();
            assert_eq!(grant.reach.to_texts(), expected, "{args}");
        };
        check("--all-accounts", &["*"]);
        check("--account acme", &["acme"]);
        check("--account acme --account b --gateway x --gateway y", &["acme/x", "acme/y", "b/x", "b/y"]);
        for (args, part) in [
            ("--name n --permission read", "--account"),
            ("--name n --account acme", "--permission"),
            ("--permission read --account acme", "--name"),
            ("--name n --permission read --all-accounts --account acme", "cannot be used"),
            ("--name n --permission read --all-accounts --gateway x", "cannot be used"),
            ("--name n --permission admin --account acme", "a permission is read or write"),
            ("--name n --permission read --account a/b", "an account id is"),
            ("--name n --permission read --account acme --email nobody", "not an address"),
            ("--name n --permission read --account acme --expires soon", "not a time"),
        ] {
            let error = created(args).unwrap_err();
            assert!(error.contains(part), "{args}: {error}");
        }
    }

    #[test]
    fn permissions_and_ends_are_read_in_every_form() {
        let of = |args: &str| created(&format!("--name n --account a {args}")).unwrap();
        for both in ["--permission read,write", "--permission write --permission read,read"] {
            assert_eq!(of(both).permissions, Access::ALL, "{both}");
        }
        let end = |text: &str| of(&format!("--permission read --expires {text}")).expires.unwrap().after(5);
        assert_eq!(end("2027-01-01"), NEW_YEAR_MS);
        assert_eq!(end("2027-01-01T01:00:00+01:00"), NEW_YEAR_MS);
        assert_eq!(end("90d"), 90 * 86_400_000 + 5);
        assert_eq!(end("99999999d"), Timestamp::MAX.millis());
    }
}

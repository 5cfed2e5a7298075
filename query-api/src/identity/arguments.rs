//! What several of these commands are asked with.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use weir_event::{AccountId, GatewayId, Scope, Timestamp};
use weir_service::config::Value;

/// The longest name of a token, a user or a key, in characters.
pub(super) const NAME_CHARS_MAX: usize = 100;

/// When something is to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    At(Timestamp),
    In(Duration),
}

/// An option with a value.
pub(super) fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// `--json`.
pub(super) fn json(help: &'static str) -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help(help)
}

/// `--expires`.
pub(super) fn expires() -> Arg {
    option("expires", "WHEN", "a time (RFC 3339), a UTC day, or how long from now: 90d").value_parser(expiry)
}

/// An option for a file, of which `-` is standard input.
pub(super) fn file(name: &'static str, help: &'static str) -> Arg {
    option(name, "FILE", help).value_parser(value_parser!(PathBuf))
}

/// A command about the tenant that `--account` and `--gateway` name.
pub(super) fn of_tenant(command: Command) -> Command {
    command
        .arg(
            option("account", "ACCOUNT", "the account that the installation's logs are in")
                .required(true)
                .value_parser(value_parser!(AccountId)),
        )
        .arg(
            option("gateway", "GATEWAY", "its gateway").required(true).value_parser(value_parser!(GatewayId)),
        )
}

/// The tenant of such a command.
pub(super) fn tenant(matches: &ArgMatches) -> Scope {
    Scope { account_id: required(matches, "account"), gateway_id: required(matches, "gateway") }
}

/// The value of an argument that has to be there, or has a default.
pub(super) fn required<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).expect("clap asks for it").clone()
}

/// The values of an option that may be repeated.
pub(super) fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.get_many::<T>(name).into_iter().flatten().cloned().collect()
}

/// Reads a name for people.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_one = (1..=NAME_CHARS_MAX).contains(&text.chars().count())
        && !text.contains(char::is_control)
        && !text.trim().is_empty();
    if is_one {
        Ok(text.to_owned())
    } else {
        Err(format!("a name is 1 to {NAME_CHARS_MAX} characters that can be shown"))
    }
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if let Ok(after) = Duration::from_text(text) {
        return Ok(Expiry::In(after));
    }
    let is_day = text.len() == "2027-01-31".len();
    let at = if is_day { format!("{text}T00:00:00Z").parse() } else { text.parse() };
    at.map(Expiry::At)
        .map_err(|_| "not a time (RFC 3339), a UTC day, or a time from now such as 90d".to_owned())
}

impl Expiry {
    /// In milliseconds since 1970.
    pub(super) fn after(self, now_ms: i64) -> i64 {
        match self {
            Self::At(time) => time.millis(),
            Self::In(after) => {
                let end = now_ms.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
                end.min(Timestamp::MAX.millis())
            }
        }
    }
}

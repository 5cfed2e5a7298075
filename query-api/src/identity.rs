//! `query-api tokens`, `users` and `keys`: who may ask, as it is said on the command line.
//!
//! In: what is asked for, and the tables of those who may ask. Out: standard output. What is shown once, when it is made, is
//! never shown again: what is kept of a token and of a key is its hash. No secret is an argument, for arguments are seen
//! by all who use the machine.

mod arguments;
mod keys;
mod print;
mod tokens;
mod users;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use weir_service::clock::Clock;
use weir_service::config::{ClickHouseConfig, ConfigErrors, Reader};

use crate::auth::NewToken;
use crate::store::StoreError;

/// More than the longest secret, and more than a table of keys that anybody has.
const INPUT_BYTES_MAX: u64 = 1 << 30;

/// What was asked for, with its settings.
#[derive(Debug)]
pub(crate) struct Task {
    request: Request,
    clickhouse: ClickHouseConfig,
}

#[derive(Debug)]
enum Request {
    Tokens(tokens::Request),
    Users(users::Request),
    Keys(keys::Request),
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("cannot get random bits from the system")]
    Random(#[source] getrandom::Error),
    #[error("--expires is in the past")]
    Expired,
    #[error("there is no {kind} {id}")]
    NotFound { kind: &'static str, id: String },
    #[error("there is a {kind} {id} already")]
    Exists { kind: &'static str, id: String },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Unusable(String),
    #[error("the tables of those who may ask (`ingest migrate` creates them)")]
    Store(#[from] StoreError),
    #[error("cannot write")]
    Write(#[from] io::Error),
}

/// The subcommands.
pub(crate) fn commands() -> [Command; 3] {
    [tokens::command(), users::command(), keys::command()]
}

impl Task {
    /// Reads the arguments of the subcommand `name`, and where ClickHouse is.
    pub(crate) fn new(name: &str, matches: &ArgMatches, mut reader: Reader) -> Result<Self, ConfigErrors> {
        let request = match name {
            "tokens" => Request::Tokens(tokens::Request::from_matches(matches)),
            "users" => Request::Users(users::Request::from_matches(matches)),
            // Clap knows no other.
            _ => Request::Keys(keys::Request::from_matches(matches)),
        };
        let clickhouse = reader.clickhouse();
        reader.finish(|_| Ok(Self { request, clickhouse: clickhouse? }))
    }

    /// Does it, and writes what there is to read to `out`.
    pub(crate) async fn run(self, clock: &dyn Clock, out: &mut impl Write) -> Result<(), IdentityError> {
        let now_ms = clock.now_ms();
        match self.request {
            Request::Tokens(request) => tokens::run(request, &self.clickhouse, now_ms, out).await?,
            Request::Users(request) => users::run(request, &self.clickhouse, now_ms, out).await?,
            Request::Keys(request) => keys::run(request, &self.clickhouse, now_ms, out).await?,
        }
        Ok(out.flush()?)
    }
}

/// A token that nobody has had before.
fn new_token() -> Result<NewToken, IdentityError> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(IdentityError::Random)?;
    Ok(NewToken::from_random(bits))
}

/// The version of a row that takes the place of one of version `before`, whoever's clock was ahead.
fn next_version(now_ms: i64, before: u64) -> u64 {
    now_ms.unsigned_abs().max(before + 1)
}

/// A file, or standard input where it is `-`, read whole.
fn read_input(path: &Path) -> Result<String, IdentityError> {
    let read = |source: &mut dyn Read| {
        let mut text = String::new();
        source.take(INPUT_BYTES_MAX).read_to_string(&mut text).map(|_| text)
    };
    let text = if path == Path::new("-") {
        read(&mut io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(|mut file| read(&mut file))
    };
    text.map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}

/// The one secret that there is in a file, or on standard input where it is `-`: of at least `chars_min` characters that can
/// stand in a header.
fn read_secret(path: &Path, chars_min: usize) -> Result<String, IdentityError> {
    const CHARS_MAX: usize = 1_024;
    let text = read_input(path)?;
    let secret = text.trim();
    let is_one =
        (chars_min..=CHARS_MAX).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one {
        Ok(secret.to_owned())
    } else {
        let problem = format!(
            "{} has no one secret of {chars_min} to {CHARS_MAX} characters that can stand in a header",
            path.display()
        );
        Err(IdentityError::Unusable(problem))
    }
}

/// As much of a secret as may be shown: the first and the last four characters of one that is long enough.
fn display_of(secret: &str) -> String {
    const SHOWN: usize = 4;
    const CHARS_MIN: usize = 20;
    let ends = || Some((secret.get(..SHOWN)?, secret.get(secret.len() - SHOWN..)?));
    match ends().filter(|_| secret.len() >= CHARS_MIN) {
        Some((beginning, end)) => format!("{beginning}…{end}"),
        None => "…".to_owned(),
    }
}

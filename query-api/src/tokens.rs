//! `query-api tokens`: makes API tokens, lists them, and takes them back.
//!
//! In: what is asked for on the command line, and the table `api_tokens`. Out: standard output. A token is shown when it is
//! made and never again: what is kept is its hash.

mod print;
mod request;

use std::io::{self, Write};

use clap::ArgMatches;
use weir_event::Timestamp;
use weir_service::clock::Clock;
use weir_service::config::{ClickHouseConfig, ConfigErrors, Reader};

use crate::auth::NewToken;
use crate::store::{StoreError, TokenRow, TokenTable};
use print::{write_json, write_list, write_new};
pub(crate) use request::command;
use request::{Grant, Request};

/// So many digits of its hash are the id of a token.
const ID_DIGITS: usize = 16;

/// What was asked for, with its settings.
#[derive(Debug)]
pub(crate) struct Task {
    request: Request,
    clickhouse: ClickHouseConfig,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokensError {
    #[error("cannot get random bits from the system")]
    Random(#[source] getrandom::Error),
    #[error("--expires is in the past")]
    Expired,
    #[error("there is no token {id}")]
    NotFound { id: String },
    #[error("table api_tokens (`ingest migrate` creates it)")]
    Store(#[from] StoreError),
    #[error("cannot write")]
    Write(#[from] io::Error),
}

impl Task {
    /// Reads the arguments, and where ClickHouse is.
    pub(crate) fn new(matches: &ArgMatches, mut reader: Reader) -> Result<Self, ConfigErrors> {
        let request = Request::from_matches(matches);
        let clickhouse = reader.clickhouse();
        reader.finish(|_| Ok(Self { request, clickhouse: clickhouse? }))
    }

    /// Does it, and writes what there is to read to `out`.
    pub(crate) async fn run(self, clock: &dyn Clock, out: &mut impl Write) -> Result<(), TokensError> {
        let table = TokenTable::new(&self.clickhouse);
        let now_ms = clock.now_ms();
        match self.request {
            Request::Create { grant, as_json } => {
                let mut bits = [0; 32];
                getrandom::fill(&mut bits).map_err(TokensError::Random)?;
                let token = NewToken::from_random(bits);
                let row = new_row(&token, &grant, now_ms)?;
                table.put(&row).await?;
                if as_json {
                    write_json(&row, Some(&token), now_ms, out)?;
                } else {
                    write_new(&row, &token, out)?;
                }
            }
            Request::List { as_json } => {
                let rows = table.all().await?;
                if as_json {
                    rows.iter().try_for_each(|row| write_json(row, None, now_ms, out))?;
                } else {
                    write_list(&rows, now_ms, out)?;
                }
            }
            Request::Revoke { id } => {
                let row = table.find(&id).await?.ok_or(TokensError::NotFound { id })?;
                let row = revoked(row, now_ms);
                table.put(&row).await?;
                writeln!(out, "{} ({}) is revoked", row.id, row.name.escape_debug())?;
            }
        }
        Ok(out.flush()?)
    }
}

fn new_row(token: &NewToken, grant: &Grant, now_ms: i64) -> Result<TokenRow, TokensError> {
    let expires_at = grant.expires.map(|end| end.after(now_ms));
    if expires_at.is_some_and(|end| end <= now_ms) {
        return Err(TokensError::Expired);
    }
    let sha256 = token.digest().to_hex();
    Ok(TokenRow {
        id: sha256[..ID_DIGITS].to_owned(),
        sha256,
        display: token.display(),
        name: grant.name.clone(),
        permissions: grant.permissions.iter().map(|access| access.as_str().to_owned()).collect(),
        tenants: grant.reach.to_texts(),
        email: grant.email.clone().unwrap_or_default(),
        created_at: now_ms,
        expires_at,
        revoked_at: None,
        version: now_ms.unsigned_abs(),
    })
}

/// The row after it was revoked. One that was before stays as it is, but wins over what somebody else may write.
fn revoked(row: TokenRow, now_ms: i64) -> TokenRow {
    let version = now_ms.unsigned_abs().max(row.version + 1);
    TokenRow { revoked_at: Some(row.revoked_at.unwrap_or(now_ms)), version, ..row }
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

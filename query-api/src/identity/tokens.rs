//! `query-api tokens`: makes API tokens, lists them, and takes them back. A token is shown when it is made and never again.

mod print;
mod request;

use std::io::Write;

use weir_service::config::ClickHouseConfig;

use super::print::write_table;
use super::{IdentityError, new_token, next_version};
use crate::auth::NewToken;
use crate::store::{IdentityTable, TokenRow};
use print::{TITLES, cells, write_json, write_new};
use request::Grant;
pub(super) use request::{Request, command};

/// So many digits of its hash are the id of a token.
const ID_DIGITS: usize = 16;

/// Does what is asked for, and writes what there is to read to `out`.
pub(super) async fn run(
    request: Request,
    clickhouse: &ClickHouseConfig,
    now_ms: i64,
    out: &mut impl Write,
) -> Result<(), IdentityError> {
    let table = IdentityTable::<TokenRow>::new(clickhouse);
    match request {
        Request::Create { grant, as_json } => {
            let token = new_token()?;
            let row = new_row(&token, &grant, now_ms)?;
            table.put([&row]).await?;
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
                let rows: Vec<_> = rows.iter().map(|row| cells(row, now_ms)).collect();
                write_table("tokens", TITLES, &rows, out)?;
            }
        }
        Request::Revoke { id } => {
            let found = table.all().await?.into_iter().find(|row| row.id == id);
            let row = found.ok_or(IdentityError::NotFound { kind: "token", id })?;
            let row = revoked(row, now_ms);
            table.put([&row]).await?;
            writeln!(out, "{} ({}) is revoked", row.id, row.name.escape_debug())?;
        }
    }
    Ok(())
}

fn new_row(token: &NewToken, grant: &Grant, now_ms: i64) -> Result<TokenRow, IdentityError> {
    let expires_at = grant.expires.map(|end| end.after(now_ms));
    if expires_at.is_some_and(|end| end <= now_ms) {
        return Err(IdentityError::Expired);
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
    let version = next_version(now_ms, row.version);
    TokenRow { revoked_at: Some(row.revoked_at.unwrap_or(now_ms)), version, ..row }
}

//! `query-api users`: the users of new-api installations, with their access tokens.

mod print;
mod request;

use std::io::Write;
use std::path::Path;

use weir_event::Scope;
use weir_service::auth::TokenDigest;
use weir_service::config::ClickHouseConfig;

use super::print::{write_json, write_table};
use super::{IdentityError, display_of, new_token, next_version, read_secret};
use crate::store::{IdentityTable, UserRow};
use print::{TITLES, UserJson, cells, write_token};
use request::{Change, NewUser};
pub(super) use request::{Request, command};

/// The least that is taken for an access token: new-api's own have 28 to 32.
const TOKEN_CHARS_MIN: usize = 16;

/// A user's access token, of which only this is kept.
struct Token {
    sha256: String,
    display: String,
    /// The token itself, where it was just made.
    new: Option<String>,
}

/// Does what is asked for, and writes what there is to read to `out`.
pub(super) async fn run(
    request: Request,
    clickhouse: &ClickHouseConfig,
    now_ms: i64,
    out: &mut impl Write,
) -> Result<(), IdentityError> {
    let table = IdentityTable::<UserRow>::new(clickhouse);
    match request {
        Request::Create { user, as_json } => {
            let token = Token::of(user.token_file.as_deref())?;
            let rows = table.all().await?;
            let row = new_row(&rows, user, &token, now_ms)?;
            table.put([&row]).await?;
            show(&row, &token, as_json, out)
        }
        Request::List { as_json } => {
            let rows = table.living().await?;
            if as_json {
                rows.iter().try_for_each(|row| write_json(&UserJson::new(row, None), out))?;
            } else {
                let rows: Vec<_> = rows.iter().map(cells).collect();
                write_table("users", TITLES, &rows, out)?;
            }
            Ok(())
        }
        Request::RotateToken { tenant, id, token_file, as_json } => {
            let token = Token::of(token_file.as_deref())?;
            let rows = table.living().await?;
            nobody_has(&rows, &token)?;
            let row = find(rows, &tenant, id)?;
            let version = next_version(now_ms, row.version);
            let row =
                UserRow { sha256: token.sha256.clone(), display: token.display.clone(), version, ..row };
            table.put([&row]).await?;
            show(&row, &token, as_json, out)
        }
        Request::Change { tenant, id, change } => {
            let rows = table.living().await?;
            if let Change::Name(name) = &change {
                nobody_else_is(rows.iter().filter(|row| row.id != id), &tenant, name)?;
            }
            let before = find(rows, &tenant, id)?;
            let (was, what) = (before.name.escape_debug().to_string(), said(&change));
            table.put([&changed(before, change, now_ms)]).await?;
            Ok(writeln!(out, "{id} ({was}) {what}")?)
        }
    }
}

impl Token {
    /// The one in a file, or a new one.
    fn of(file: Option<&Path>) -> Result<Self, IdentityError> {
        if let Some(file) = file {
            let token = read_secret(file, TOKEN_CHARS_MIN)?;
            let sha256 = TokenDigest::of(&token).to_hex();
            return Ok(Self { sha256, display: display_of(&token), new: None });
        }
        let token = new_token()?;
        let (sha256, display) = (token.digest().to_hex(), token.display());
        Ok(Self { sha256, display, new: Some(token.expose().to_owned()) })
    }
}

/// Shows a user who has another token now.
fn show(row: &UserRow, token: &Token, as_json: bool, out: &mut impl Write) -> Result<(), IdentityError> {
    let new = token.new.as_deref();
    Ok(if as_json { write_json(&UserJson::new(row, new), out) } else { write_token(row, new, out) }?)
}

/// The row of a user who was not there. `rows` are all that there ever were.
fn new_row(
    rows: &[UserRow],
    NewUser { tenant, id, name, role, group, token_file: _ }: NewUser,
    token: &Token,
    now_ms: i64,
) -> Result<UserRow, IdentityError> {
    let is_of = |row: &&UserRow| is_of(row, &tenant);
    let living = rows.iter().filter(|row| row.status != "removed");
    if living.clone().filter(is_of).any(|row| row.id == id) {
        return Err(IdentityError::Exists { kind: "user", id: id.to_string() });
    }
    nobody_else_is(living, &tenant, &name)?;
    nobody_has(rows, token)?;
    let before = rows.iter().filter(is_of).find(|row| row.id == id);
    if let Some(other) = before.filter(|row| row.name != name) {
        // Whoever has the number has the logs.
        let was = other.name.escape_debug();
        return Err(IdentityError::Unusable(format!("{id} was {was}, who has logs under that number")));
    }
    let before = before.map_or(0, |row| row.version);
    Ok(UserRow {
        account_id: tenant.account_id.to_string(),
        gateway_id: tenant.gateway_id.to_string(),
        id,
        name,
        role: role.as_str().to_owned(),
        group,
        status: "enabled".to_owned(),
        sha256: token.sha256.clone(),
        display: token.display.clone(),
        created_at: now_ms,
        version: next_version(now_ms, before),
    })
}

/// Rows of logs from before they had numbers are known by the name.
fn nobody_else_is<'r>(
    living: impl IntoIterator<Item = &'r UserRow>,
    tenant: &Scope,
    name: &str,
) -> Result<(), IdentityError> {
    if living.into_iter().any(|row| is_of(row, tenant) && row.name == name) {
        return Err(IdentityError::Exists { kind: "user", id: name.to_owned() });
    }
    Ok(())
}

/// Two users with one token would be let in as one of them, by chance.
fn nobody_has(rows: &[UserRow], token: &Token) -> Result<(), IdentityError> {
    if rows.iter().any(|row| row.sha256 == token.sha256) {
        return Err(IdentityError::Unusable("the access token is somebody's already".to_owned()));
    }
    Ok(())
}

fn changed(row: UserRow, change: Change, now_ms: i64) -> UserRow {
    let version = next_version(now_ms, row.version);
    let with_status = |row, status: &str| UserRow { status: status.to_owned(), version, ..row };
    match change {
        Change::Enable => with_status(row, "enabled"),
        Change::Disable => with_status(row, "disabled"),
        Change::Role(role) => UserRow { role: role.as_str().to_owned(), version, ..row },
        Change::Name(name) => UserRow { name, version, ..row },
        Change::Remove => {
            let row = UserRow { sha256: String::new(), display: String::new(), ..row };
            with_status(row, "removed")
        }
    }
}

/// What became of a user.
fn said(change: &Change) -> String {
    match change {
        Change::Enable => "is enabled".to_owned(),
        Change::Disable => "is disabled".to_owned(),
        Change::Role(role) => format!("is {} now", role.as_str()),
        Change::Name(name) => format!("is {} now", name.escape_debug()),
        Change::Remove => "is removed".to_owned(),
    }
}

fn find(rows: Vec<UserRow>, tenant: &Scope, id: i64) -> Result<UserRow, IdentityError> {
    let found = rows.into_iter().find(|row| is_of(row, tenant) && row.id == id);
    found.ok_or_else(|| IdentityError::NotFound { kind: "user", id: id.to_string() })
}

fn is_of(row: &UserRow, tenant: &Scope) -> bool {
    row.account_id == tenant.account_id.as_str() && row.gateway_id == tenant.gateway_id.as_str()
}

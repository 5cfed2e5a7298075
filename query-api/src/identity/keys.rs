//! `query-api keys`: the keys that new-api installations gave out to call models with. They are read, hashed and kept nowhere
//! else.

mod import;
mod print;
mod request;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use weir_event::Scope;
use weir_service::config::ClickHouseConfig;

use super::print::{write_json, write_table};
use super::{IdentityError, display_of, next_version, read_input, read_secret};
use crate::auth::ShownKey;
use crate::store::{IdentityTable, KeyRow};
use import::Dumped;
use print::{KeyJson, TITLES, cells};
use request::{Change, NewKey};
pub(super) use request::{Request, command};

/// The least that is taken for a key: new-api's own have 48.
const KEY_CHARS_MIN: usize = 16;

/// What became of a table of keys.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
struct Imported {
    added: usize,
    changed: usize,
    unchanged: usize,
    removed: usize,
}

/// Does what is asked for, and writes what there is to read to `out`.
pub(super) async fn run(
    request: Request,
    clickhouse: &ClickHouseConfig,
    now_ms: i64,
    out: &mut impl Write,
) -> Result<(), IdentityError> {
    let table = IdentityTable::<KeyRow>::new(clickhouse);
    match request {
        Request::Add { key, as_json } => {
            let row = new_row(&table.all().await?, key, now_ms)?;
            table.put([&row]).await?;
            if as_json {
                write_json(&KeyJson::new(&row, now_ms), out)?;
            } else {
                writeln!(out, "{} ({}) is known", row.id(), row.name.escape_debug())?;
            }
        }
        Request::List { as_json } => {
            let rows = table.living().await?;
            if as_json {
                rows.iter().try_for_each(|row| write_json(&KeyJson::new(row, now_ms), out))?;
            } else {
                let rows: Vec<_> = rows.iter().map(|row| cells(row, now_ms)).collect();
                write_table("keys", TITLES, &rows, out)?;
            }
        }
        Request::Change { id, change } => {
            let found = table.living().await?.into_iter().find(|row| row.id() == id);
            let row = found.ok_or(IdentityError::NotFound { kind: "key", id })?;
            let version = next_version(now_ms, row.version);
            let row = KeyRow { status: change.status().to_owned(), version, ..row };
            table.put([&row]).await?;
            writeln!(out, "{} ({}) is {}", row.id(), row.name.escape_debug(), row.status)?;
        }
        Request::Import { tenant, file, as_json } => {
            let imported = import(&table, &tenant, &file, now_ms).await?;
            if as_json {
                write_json(&imported, out)?;
            } else {
                let Imported { added, changed, unchanged, removed } = imported;
                let counts =
                    format!("{added} added, {changed} changed, {unchanged} unchanged, {removed} removed");
                writeln!(out, "{counts}")?;
            }
        }
    }
    Ok(())
}

/// The row of a key that was not there. `rows` are all that there ever were.
fn new_row(rows: &[KeyRow], key: NewKey, now_ms: i64) -> Result<KeyRow, IdentityError> {
    let expires_at = key.expires.map(|end| end.after(now_ms));
    if expires_at.is_some_and(|end| end <= now_ms) {
        return Err(IdentityError::Expired);
    }
    let secret = read_secret(&key.file, KEY_CHARS_MIN)?;
    let row = KeyRow {
        token_id: key.token_id.unwrap_or_default(),
        name: key.name,
        user_id: key.user_id.unwrap_or_default(),
        expires_at,
        granted_quota: key.quota,
        ..row_of(&secret, &key.tenant, now_ms)
    };
    match rows.iter().find(|known| known.sha256 == row.sha256) {
        Some(known) if known.status != "removed" => {
            Err(IdentityError::Exists { kind: "key", id: known.id().to_owned() })
        }
        Some(known) => Ok(KeyRow { version: next_version(now_ms, known.version), ..row }),
        None => Ok(row),
    }
}

/// A row of which only the key is known yet.
fn row_of(secret: &str, tenant: &Scope, now_ms: i64) -> KeyRow {
    let key = ShownKey::new(secret);
    KeyRow {
        sha256: key.digest().to_hex(),
        display: display_of(key.text()),
        account_id: tenant.account_id.to_string(),
        gateway_id: tenant.gateway_id.to_string(),
        token_id: 0,
        name: String::new(),
        user_id: 0,
        status: "enabled".to_owned(),
        expires_at: None,
        granted_quota: None,
        created_at: now_ms,
        version: next_version(now_ms, 0),
    }
}

/// Takes over a dump, or nothing of it.
async fn import(
    table: &IdentityTable<KeyRow>,
    tenant: &Scope,
    file: &Path,
    now_ms: i64,
) -> Result<Imported, IdentityError> {
    let dumped = import::read(&read_input(file)?).map_err(|problems| {
        let count = problems.len();
        let told = problems.into_iter().take(20).collect::<Vec<_>>().join("\n  ");
        IdentityError::Unusable(format!("{count} problems in {}:\n  {told}", file.display()))
    })?;
    let known: HashMap<_, _> = table.all().await?.into_iter().map(|row| (row.sha256.clone(), row)).collect();
    let (rows, imported) = merged(&known, dumped, tenant, now_ms)?;
    if !rows.is_empty() {
        table.put(&rows).await?;
    }
    Ok(imported)
}

/// The rows that have to be written so that what is known is what was dumped.
fn merged(
    known: &HashMap<String, KeyRow>,
    dumped: Vec<Dumped>,
    tenant: &Scope,
    now_ms: i64,
) -> Result<(Vec<KeyRow>, Imported), IdentityError> {
    let (mut rows, mut imported) = (Vec::new(), Imported::default());
    for Dumped { key, token_id, user_id, name, status, expires_at, granted_quota } in dumped {
        let status = status.to_owned();
        let fresh = row_of(&key, tenant, now_ms);
        let fresh = KeyRow { token_id, name, user_id, status, expires_at, granted_quota, ..fresh };
        let before = known.get(&fresh.sha256);
        let is_living = before.is_some_and(|row| row.status != "removed");
        if let Some(row) = before.filter(|_| is_living)
            && (&row.account_id, &row.gateway_id) != (&fresh.account_id, &fresh.gateway_id)
        {
            return Err(IdentityError::Exists { kind: "key", id: row.id().to_owned() });
        }
        let row = match before {
            Some(row) => {
                KeyRow { created_at: row.created_at, version: next_version(now_ms, row.version), ..fresh }
            }
            None => fresh,
        };
        let is_same =
            before.is_some_and(|before| KeyRow { version: before.version, ..row.clone() } == *before);
        let count = match (is_living, row.status == "removed") {
            (false, true) => continue,
            _ if is_same => &mut imported.unchanged,
            (true, true) => &mut imported.removed,
            (true, false) => &mut imported.changed,
            (false, false) => &mut imported.added,
        };
        *count += 1;
        if !is_same {
            rows.push(row);
        }
    }
    Ok((rows, imported))
}

impl Change {
    const fn status(self) -> &'static str {
        match self {
            Self::Enable => "enabled",
            Self::Disable => "disabled",
            Self::Remove => "removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumped(key: &str, status: &'static str) -> Dumped {
        Dumped {
            key: key.to_owned(),
            token_id: 1,
            user_id: 2,
            name: "n".to_owned(),
            status,
            expires_at: None,
            granted_quota: Some(5),
        }
    }

    fn tenant(gateway: &str) -> Scope {
        Scope::parse("acc", gateway).unwrap()
    }

    #[test]
    fn what_is_imported_again_is_only_written_where_it_changed() {
        let keys = ["a", "b", "c"].map(|name| name.repeat(48));
        let dump = |status| keys.iter().map(|key| dumped(key, status)).collect::<Vec<_>>();
        let (rows, imported) = merged(&HashMap::new(), dump("enabled"), &tenant("gw"), 1_000).unwrap();
        assert_eq!((rows.len(), imported), (3, Imported { added: 3, ..Imported::default() }));
        let known: HashMap<_, _> = rows.into_iter().map(|row| (row.sha256.clone(), row)).collect();
        let mut again = dump("enabled");
        again[1].granted_quota = Some(6);
        again[2].status = "removed";
        let (rows, imported) = merged(&known, again, &tenant("gw"), 500).unwrap();
        assert_eq!(imported, Imported { added: 0, changed: 1, unchanged: 1, removed: 1 });
        // An older clock does not make them older.
        assert!(rows.iter().all(|row| row.version == 1_001 && row.created_at == 1_000));
        let foreign = merged(&known, dump("enabled"), &tenant("other"), 2_000);
        assert!(matches!(foreign, Err(IdentityError::Exists { .. })));
        let gone = merged(&HashMap::new(), dump("removed"), &tenant("gw"), 1_000).unwrap();
        assert_eq!(gone, (Vec::new(), Imported::default()));
    }
}

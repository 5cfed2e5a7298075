//! `query-api keys`: the keys that new-api installations gave out to call models with. They are read, hashed and kept nowhere
//! else.

mod import;
mod print;
mod request;

use std::collections::HashMap;
use std::io::Write;

use weir_event::Scope;
use weir_service::config::ClickHouseConfig;

use super::print::{write_json, write_table};
use super::{IdentityError, display_of, next_version, read_input, read_secret};
use crate::auth::ShownKey;
use crate::store::{IdentityTable, KeyRow};
use import::Dumped;
use print::{KeyJson, TITLES, cells};
use request::{Change, Dump, NewKey};
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
        Request::Import { dump, as_json } => {
            let imported = import(&table, &dump, now_ms).await?;
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
        used_before: 0,
        counted_from: None,
        created_at: now_ms,
        version: next_version(now_ms, 0),
    }
}

/// Takes over a dump, or nothing of it.
async fn import(table: &IdentityTable<KeyRow>, dump: &Dump, now_ms: i64) -> Result<Imported, IdentityError> {
    let file = &dump.file;
    let dumped = import::read(&read_input(file)?).map_err(|problems| {
        let count = problems.len();
        let told = problems.into_iter().take(20).collect::<Vec<_>>().join("\n  ");
        IdentityError::Unusable(format!("{count} problems in {}:\n  {told}", file.display()))
    })?;
    let known: HashMap<_, _> = table.all().await?.into_iter().map(|row| (row.sha256.clone(), row)).collect();
    let (rows, imported) = merged(&known, dumped, dump, now_ms)?;
    if !rows.is_empty() {
        table.put(&rows).await?;
    }
    Ok(imported)
}

/// The rows that have to be written so that what is known is what was dumped.
fn merged(
    known: &HashMap<String, KeyRow>,
    dumped: Vec<Dumped>,
    dump: &Dump,
    now_ms: i64,
) -> Result<(Vec<KeyRow>, Imported), IdentityError> {
    let (mut rows, mut imported) = (Vec::new(), Imported::default());
    for dumped in dumped {
        let fresh = row_of(&dumped.key, &dump.tenant, now_ms);
        let before = known.get(&fresh.sha256);
        let counted_from =
            dumped.used_quota.map(|used| dump.made_at.unwrap_or(counted_from(used, before, now_ms)));
        let fresh = dumped.row(fresh, counted_from);
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

/// From when on logs are counted on top of what was used, of which it is not said when it was dumped: from now, but where
/// it was known already, nothing was used since then.
fn counted_from(used: i64, before: Option<&KeyRow>, now_ms: i64) -> i64 {
    let known = before.filter(|row| row.used_before == used).and_then(|row| row.counted_from);
    known.unwrap_or(now_ms)
}

impl Dumped {
    /// `row`, of which only the key is known, with everything else.
    fn row(self, row: KeyRow, counted_from: Option<i64>) -> KeyRow {
        KeyRow {
            token_id: self.token_id,
            name: self.name,
            user_id: self.user_id,
            status: self.status.to_owned(),
            expires_at: self.expires_at,
            granted_quota: self.granted_quota,
            used_before: self.used_quota.unwrap_or_default(),
            counted_from,
            ..row
        }
    }
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
            used_quota: Some(3),
        }
    }

    fn dump(gateway: &str, made_at: Option<i64>) -> Dump {
        Dump { tenant: Scope::parse("acc", gateway).unwrap(), file: "-".into(), made_at }
    }

    #[test]
    fn what_is_imported_again_is_only_written_where_it_changed() {
        let keys = ["a", "b", "c"].map(|name| name.repeat(48));
        let rows_of = |status| keys.iter().map(|key| dumped(key, status)).collect::<Vec<_>>();
        let (rows, imported) = merged(&HashMap::new(), rows_of("enabled"), &dump("gw", None), 1_000).unwrap();
        assert_eq!((rows.len(), imported), (3, Imported { added: 3, ..Imported::default() }));
        let known: HashMap<_, _> = rows.into_iter().map(|row| (row.sha256.clone(), row)).collect();
        let mut again = rows_of("enabled");
        again[1].granted_quota = Some(6);
        again[2].status = "removed";
        let (rows, imported) = merged(&known, again, &dump("gw", None), 500).unwrap();
        assert_eq!(imported, Imported { added: 0, changed: 1, unchanged: 1, removed: 1 });
        // An older clock does not make them older.
        assert!(rows.iter().all(|row| row.version == 1_001 && row.created_at == 1_000));
        let foreign = merged(&known, rows_of("enabled"), &dump("other", None), 2_000);
        assert!(matches!(foreign, Err(IdentityError::Exists { .. })));
        let gone = merged(&HashMap::new(), rows_of("removed"), &dump("gw", None), 1_000).unwrap();
        assert_eq!(gone, (Vec::new(), Imported::default()));
    }

    #[test]
    fn logs_are_counted_on_top_of_what_was_used_when_it_was_dumped() {
        let import = |known: &HashMap<_, _>, used_quota, made_at, now_ms| {
            let key = Dumped { used_quota, ..dumped(&"a".repeat(48), "enabled") };
            let (rows, _) = merged(known, vec![key], &dump("gw", made_at), now_ms).unwrap();
            rows.into_iter().next().map(|row| (row.used_before, row.counted_from))
        };
        let none = HashMap::new();
        assert_eq!(import(&none, None, None, 1_000), Some((0, None)), "all logs count");
        assert_eq!(import(&none, None, Some(400), 1_000), Some((0, None)));
        assert_eq!(import(&none, Some(7), Some(400), 1_000), Some((7, Some(400))));
        let (rows, _) =
            merged(&none, vec![dumped(&"a".repeat(48), "enabled")], &dump("gw", None), 1_000).unwrap();
        assert_eq!((rows[0].used_before, rows[0].counted_from), (3, Some(1_000)));
        let known: HashMap<_, _> = rows.into_iter().map(|row| (row.sha256.clone(), row)).collect();
        assert_eq!(import(&known, Some(3), None, 2_000), None, "nothing was used meanwhile");
        assert_eq!(import(&known, Some(4), None, 2_000), Some((4, Some(2_000))));
        assert_eq!(import(&known, Some(3), Some(1_500), 2_000), Some((3, Some(1_500))));
    }
}

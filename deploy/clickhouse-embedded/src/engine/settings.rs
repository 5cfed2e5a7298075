//! Settings and the current database, for one request.
//!
//! On a pooled seat they are simply set: the seat is closed afterwards. In a session they are put back, so that a
//! setting in the URL lasts for its request and a `SET` statement lasts for the session.

use super::Seat;
use crate::exception::{Code, Exception};

/// One `name=value` of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The setting's name.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

/// What a request wants around its statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The settings of the URL.
    pub changes: Vec<Change>,
    /// The database that unqualified names belong to.
    pub database: Option<String>,
}

/// The statements that put a session back.
#[derive(Debug, Default)]
pub struct Restore(Vec<String>);

impl Environment {
    /// Sets everything for a request on a seat that will be closed afterwards.
    pub fn apply(&self, seat: &mut Seat) -> Result<(), Exception> {
        for sql in self.statements()? {
            seat.changed = true;
            seat.connection.query(sql.as_bytes(), "TabSeparated", &[])?;
        }
        Ok(())
    }

    /// Sets everything for a request in a session, and says how to undo it. After an error nothing is changed.
    pub fn apply_for_now(&self, seat: &mut Seat) -> Result<Restore, Exception> {
        let statements = self.statements()?;
        if statements.is_empty() {
            return Ok(Restore::default());
        }
        let restore = self.undo(seat)?;
        for sql in statements {
            if let Err(exception) = seat.connection.query(sql.as_bytes(), "TabSeparated", &[]) {
                restore.run(seat)?;
                return Err(exception);
            }
        }
        Ok(restore)
    }

    fn statements(&self) -> Result<Vec<String>, Exception> {
        let mut statements = Vec::new();
        if let Some(database) = &self.database {
            statements.push(format!("USE {}", quoted(database, '`')));
        }
        if !self.changes.is_empty() {
            let changes = self.changes.iter().map(assignment).collect::<Result<Vec<_>, _>>()?;
            statements.push(format!("SET {}", changes.join(", ")));
        }
        Ok(statements)
    }

    fn undo(&self, seat: &mut Seat) -> Result<Restore, Exception> {
        let mut restore = Vec::new();
        if self.database.is_some() {
            let current = text(seat, "SELECT currentDatabase()")?;
            restore.push(format!("USE {}", quoted(current.trim_end_matches('\n'), '`')));
        }
        for change in &self.changes {
            let name = &change.name;
            let sql = format!("SELECT changed, value FROM system.settings WHERE name = '{name}'");
            let row = text(seat, &sql)?;
            restore.push(match row.trim_end_matches('\n').split_once('\t') {
                // The value is still escaped as tab-separated text, which is how a string literal escapes it too.
                Some(("1", value)) => format!("SET {name} = '{value}'"),
                Some(_) | None => format!("SET {name} = DEFAULT"),
            });
        }
        Ok(Restore(restore))
    }
}

impl Restore {
    /// Puts the session back.
    pub fn run(&self, seat: &mut Seat) -> Result<(), Exception> {
        for sql in &self.0 {
            seat.connection.query(sql.as_bytes(), "TabSeparated", &[])?;
        }
        Ok(())
    }
}

fn assignment(change: &Change) -> Result<String, Exception> {
    let name = &change.name;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !plain || name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
        return Err(Exception::new(Code::UnknownSetting, format!("Unknown setting {name:?}")));
    }
    Ok(format!("{name} = {}", quoted(&change.value, '\'')))
}

/// A literal or identifier of ClickHouse: backslash escapes the quote and itself.
fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        if c == quote || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(quote);
    out
}

fn text(seat: &mut Seat, sql: &str) -> Result<String, Exception> {
    let outcome = seat.connection.query(sql.as_bytes(), "TabSeparated", &[])?;
    Ok(String::from_utf8_lossy(&outcome.data).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_and_values_stay_inside_their_quotes() {
        let change = |name: &str, value: &str| Change { name: name.to_owned(), value: value.to_owned() };
        assert_eq!(
            assignment(&change("max_threads", "1', readonly='0\\")).ok().as_deref(),
            Some(r"max_threads = '1\', readonly=\'0\\'"),
        );
        for name in ["", "a b", "a=1,b", "1a", "a'", "ä"] {
            assert!(assignment(&change(name, "1")).is_err(), "{name}");
        }
        assert_eq!(quoted("a`b\\", '`'), r"`a\`b\\`");
    }
}

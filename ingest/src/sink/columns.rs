//! Which columns encoded rows are of. A row is its values one after another, so an insert has to name the columns that it
//! was encoded for: rows that were put away by an older program may lack some that there are by now.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use weir_store::{BODY_TABLES, BodyRow, DeadLetterRow, LogRow, columns};

/// What the rows with a header begin with; the write fills these in, see [`weir_store::fill_in_header`].
const LOG_HEADER: &str = "`ingested_at`, `write_id`, ";
/// What only rows of `bodies` have.
const TEXTS: &str = "`texts`";
const LETTER_HEADER: &str = "`received_at`, `write_id`, ";

/// The columns of a batch's rows, as an insert names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Columns {
    pub(super) logs: String,
    pub(super) bodies: String,
    pub(super) dead_letters: String,
}

impl Columns {
    /// Those that this program encodes rows for, to be shared.
    pub(super) fn current() -> Arc<Self> {
        Arc::clone(Self::of_this_program())
    }

    /// Those that this program encodes rows for.
    pub(super) fn of_this_program() -> &'static Arc<Self> {
        static CURRENT: LazyLock<Arc<Columns>> = LazyLock::new(|| {
            Arc::new(Columns {
                logs: columns::<LogRow<'static>>(),
                bodies: columns::<BodyRow<'static>>(),
                dead_letters: columns::<DeadLetterRow<'static>>(),
            })
        });
        &CURRENT
    }

    /// The table that rows of bodies are for. Those that an older program put away have its columns, and go where it would have
    /// stored them.
    pub(super) fn body_table(&self) -> &'static str {
        let [today, before] = BODY_TABLES;
        if self.bodies.split(", ").any(|name| name == TEXTS) { today } else { before }
    }

    /// Whether they are names of columns and nothing else, and those come first that a write fills in.
    pub(super) fn are_sound(&self) -> bool {
        let is_name = |name: &str| {
            name.strip_prefix('`').and_then(|name| name.strip_suffix('`')).is_some_and(|name| {
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                !name.is_empty() && name.bytes().all(is_plain)
            })
        };
        [&self.logs, &self.bodies, &self.dead_letters].iter().all(|list| list.split(", ").all(is_name))
            && self.logs.starts_with(LOG_HEADER)
            && self.dead_letters.starts_with(LETTER_HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_go_to_the_table_that_they_were_encoded_for() {
        let current = Columns::clone(&Columns::current());
        assert_eq!(current.body_table(), "bodies");
        let bodies = "`account_id`, `gateway_id`, `started_at`, `id`, `request`, `response`".to_owned();
        assert_eq!(Columns { bodies, ..current }.body_table(), "payloads");
    }

    #[test]
    fn only_names_of_columns_are_columns() {
        let current = Columns::clone(&Columns::current());
        assert!(current.are_sound());
        let check = |change: fn(&mut Columns)| {
            let mut columns = current.clone();
            change(&mut columns);
            assert!(!columns.are_sound(), "{columns:?}");
        };
        check(|columns| columns.logs.push_str(") SELECT 1 --"));
        check(|columns| columns.bodies = "`id`, `a` `b`".to_owned());
        check(|columns| columns.bodies = "``".to_owned());
        check(|columns| columns.dead_letters = "`raw`, `received_at`, `write_id`".to_owned());
        check(|columns| columns.logs = columns.logs.replace("`write_id`, ", ""));
    }
}

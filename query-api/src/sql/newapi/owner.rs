//! Whose rows of a tenant are meant.

use weir_event::Scope;
use weir_sql::{Bind, LOGS, Select};

/// Rows whose source knows new-api's users. In other forms a user is whatever the caller of a model calls one.
const IS_TRUSTED: &str = "dialect IN ('new_api_log', 'canonical')";

/// Whose rows of a tenant are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Everyone's.
    Anyone,
    /// A user's, by their number, from sources that know it. Their name is not asked for: it may be another one by now, or somebody else's.
    User(i64),
    /// An API token's: what has one of these hashes, or the number.
    Token {
        /// SHA-256 in hexadecimal digits, none of them empty.
        hashes: Vec<String>,
        /// Its number, where it has one.
        id: Option<i64>,
    },
}

/// Of the owner's rows.
pub(super) fn of_owner(what: &str, scope: &Scope, owner: &Owner) -> Select {
    let mut select = Select::new(what, LOGS, scope);
    match owner {
        Owner::Anyone => select,
        Owner::User(id) => {
            let id = select.bind(Bind::Text(id.to_string()));
            select.push(format_args!(" AND user_id = {id} AND {IS_TRUSTED}"))
        }
        Owner::Token { hashes, id } => {
            let hashes = select.bind(Bind::Texts(hashes.clone()));
            let of_hash = format!("token_hash IN {hashes}");
            let Some(id) = id else { return select.push(format_args!(" AND {of_hash}")) };
            let id = select.bind(Bind::Text(id.to_string()));
            select.push(format_args!(" AND ({of_hash} OR token_id = {id})"))
        }
    }
}

//! Why dead letters could not be shown or deleted.

use super::table::Head;
use crate::sink::{BusError, ReplayError};

/// What was asked for was not done. Nothing was changed, unless ClickHouse did not answer to a deletion.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LettersError {
    /// ClickHouse did not do what was asked of it.
    #[error("clickhouse: {what}")]
    ClickHouse {
        /// What was to be done.
        what: &'static str,
        /// What it said.
        #[source]
        source: clickhouse::error::Error,
    },
    /// No letter of this digest.
    #[error("there is no letter whose digest begins with {beginning}")]
    NotFound {
        /// What was asked for.
        beginning: String,
    },
    /// More than one letter, of other digests or of other gateways.
    #[error("several letters have a digest that begins with {beginning}: {letters}")]
    Ambiguous {
        /// What was asked for.
        beginning: String,
        /// Some of them.
        letters: String,
    },
    /// Nobody said yes.
    #[error("nothing was deleted: it was not confirmed (--yes)")]
    NotConfirmed,
    /// The bus cannot be told of what would be stored.
    #[error("nothing was replayed, since statistics could not be told of it")]
    Bus(#[from] BusError),
    /// Letters could not be stored. What was stored is found when the replay is repeated.
    #[error("the replay did not come to its end: run it again")]
    Replay(#[from] ReplayError),
    /// Nobody reads what is shown.
    #[error("standard output")]
    Output(#[from] std::io::Error),
}

impl LettersError {
    /// For `map_err` of a statement.
    pub(super) fn clickhouse(what: &'static str) -> impl FnOnce(clickhouse::error::Error) -> Self {
        move |source| Self::ClickHouse { what, source }
    }

    /// Names at most `named_max` of the letters.
    pub(super) fn ambiguous(beginning: &str, heads: &[Head], named_max: usize) -> Self {
        let name = |head: &Head| format!("{} of {}", head.digest, head.whose());
        let mut letters = heads.iter().take(named_max).map(name).collect::<Vec<_>>().join(", ");
        if heads.len() > named_max {
            letters.push_str(" and more");
        }
        Self::Ambiguous { beginning: beginning.to_owned(), letters }
    }
}

//! Which letters are meant.

use weir_event::Timestamp;

/// Letters by whose they are, when they came and what became of them. The default means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Columns and the texts that they have to have. A gateway that is empty is that of letters that name none.
    pub(super) equal: Vec<(Column, String)>,
    /// How the digest begins, in lower case.
    pub(super) beginning: Option<String>,
    /// Received at this time or later.
    pub(super) since: Option<Timestamp>,
    /// And before this one.
    pub(super) until: Option<Timestamp>,
    /// Whether they are dealt with; either where it is not said.
    pub(super) settled: Option<bool>,
}

/// A column of `dead_letters` that a filter may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Account,
    Gateway,
    Reason,
    Source,
}

/// What stands for a question mark in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound<'f> {
    Text(&'f str),
    Millis(i64),
}

impl Column {
    pub(super) const ALL: [Self; 4] = [Self::Account, Self::Gateway, Self::Reason, Self::Source];

    /// Its name in SQL.
    const fn name(self) -> &'static str {
        match self {
            Self::Account => "account_id",
            Self::Gateway => "gateway_id",
            Self::Reason => "reason",
            Self::Source => "source",
        }
    }

    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Gateway => "gateway",
            Self::Reason => "reason",
            Self::Source => "source",
        }
    }
}

impl Filter {
    /// The condition of a statement, and what is bound in it.
    pub(super) fn condition(&self) -> (String, Vec<Bound<'_>>) {
        let mut terms = vec!["1".to_owned()];
        let mut bounds = Vec::new();
        for (column, text) in &self.equal {
            terms.push(format!("{} = ?", column.name()));
            bounds.push(Bound::Text(text));
        }
        if let Some(beginning) = &self.beginning {
            terms.push("startsWith(digest, ?)".to_owned());
            bounds.push(Bound::Text(beginning));
        }
        if let Some(since) = self.since {
            terms.push("received_at >= fromUnixTimestamp64Milli(?, 'UTC')".to_owned());
            bounds.push(Bound::Millis(since.millis()));
        }
        if let Some(until) = self.until {
            terms.push("received_at < fromUnixTimestamp64Milli(?, 'UTC')".to_owned());
            bounds.push(Bound::Millis(until.millis()));
        }
        match self.settled {
            Some(true) => terms.push("settled_at IS NOT NULL".to_owned()),
            Some(false) => terms.push("settled_at IS NULL".to_owned()),
            None => {}
        }
        (terms.join(" AND "), bounds)
    }
}

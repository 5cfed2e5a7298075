//! A statement under construction: text that is ours, and values that never become part of it.

use std::fmt::{Arguments, Write};

use clickhouse::Client;
use clickhouse::query::Query;
use weir_event::{EventId, Scope};
use weir_filter::Filter;

use super::annotated::Annotated;

/// A statement with the values of its placeholders, `{name:Type}` in the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    text: String,
    binds: Vec<(String, Bind)>,
}

/// The value of a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// A `String`.
    Text(String),
    /// A `Bool`.
    Flag(bool),
    /// An `Int64`: epoch milliseconds.
    Millis(i64),
    /// An `Array(String)`.
    Texts(Vec<String>),
    /// A number of this type, in decimal digits of ours.
    Number(&'static str, String),
}

/// Builds a `SELECT` of one tenant's rows.
#[derive(Debug)]
pub struct Select {
    statement: Statement,
    /// What of its tenant has annotations.
    pub(super) annotated: Annotated,
}

/// The table of events, ordered by `account_id, gateway_id, created_at, id`.
pub const LOGS: &str = "logs";
/// The table of bodies, ordered by `account_id, gateway_id`, hour and request, with a skip index on `id`. Of an event that was
/// stored again it may have several rows: the one with the highest `version` counts.
pub const BODIES: &str = "bodies";
/// The table of bodies of before, ordered by `account_id, gateway_id, started_at, id`, with what was stored last of each. Read by
/// the whole key, `FINAL` looks at one granule of each part.
pub const PAYLOADS_FINAL: &str = "payloads FINAL";

/// The condition of every statement.
pub const OF_TENANT: &str = "account_id = {account_id:String} AND gateway_id = {gateway_id:String}";
const STARTED_AT: &str = "fromUnixTimestamp64Milli({started_at:Int64}, 'UTC')";
const OF_ID: &str = "id = {id:String}";

impl Statement {
    /// It, to be sent by `client`. The text goes as it is (`query_raw`: no `?` in it means anything) and the values go beside it.
    pub fn query(&self, client: &Client) -> Query {
        self.binds().fold(client.query_raw(&self.text), |query, (name, bind)| match bind {
            Bind::Text(text) => query.param(name, text),
            Bind::Flag(value) => query.param(name, value),
            Bind::Millis(millis) => query.param(name, millis),
            Bind::Texts(texts) => query.param(name, texts),
            Bind::Number(_, digits) => query.param(name, digits),
        })
    }

    /// A text that is ours, with the values of its placeholders.
    #[must_use]
    pub const fn new(text: String, binds: Vec<(String, Bind)>) -> Self {
        Self { text, binds }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether its answer depends on one table alone.
    #[must_use]
    pub fn reads_one_table(&self) -> bool {
        self.text.matches("FROM ").count() == 1
    }

    /// The names of the placeholders with their values.
    pub fn binds(&self) -> impl Iterator<Item = (&str, &Bind)> {
        self.binds.iter().map(|(name, bind)| (name.as_str(), bind))
    }
}

impl Bind {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "String",
            Self::Flag(_) => "Bool",
            Self::Millis(_) => "Int64",
            Self::Texts(_) => "Array(String)",
            Self::Number(kind, _) => kind,
        }
    }
}

impl Select {
    /// `what` and `table` are texts of ours, never of a user.
    #[must_use]
    pub fn new(what: &str, table: &'static str, scope: &Scope) -> Self {
        let text = format!("SELECT {what} FROM {table} WHERE {OF_TENANT}");
        let binds = vec![
            ("account_id".to_owned(), Bind::Text(scope.account_id.to_string())),
            ("gateway_id".to_owned(), Bind::Text(scope.gateway_id.to_string())),
        ];
        Self { statement: Statement { text, binds }, annotated: Annotated::default() }
    }

    /// The same, of a list that asks for filters: `what` is given the condition of each, by what rows have themselves.
    #[must_use]
    pub fn of_filters(
        table: &'static str,
        scope: &Scope,
        filters: &[&Filter],
        what: impl FnOnce(&mut Self, &[String]) -> String,
    ) -> Self {
        let mut select = Self::new("", table, scope);
        let conditions: Vec<_> = filters.iter().map(|filter| select.all_of(filter)).collect();
        let what = what(&mut select, &conditions);
        select.statement.text = format!("SELECT {what} FROM {table} WHERE {OF_TENANT}");
        select
    }

    /// Keeps the row of an event in `logs`, found by the time in its id: the table is ordered by `created_at`, which
    /// is never before `started_at`, and has a skip index on `started_at`.
    #[must_use]
    pub fn log_of(self, id: &EventId) -> Self {
        self.bind_id(id).push(format_args!(" AND {}", of_log()))
    }

    /// Keeps the bodies of an event in a table of bodies. They are written before its log row, and must not be seen before it:
    /// see [`Self::with_log`].
    #[must_use]
    pub fn bodies_of(self, id: &EventId) -> Self {
        self.bind_id(id).push(format_args!(" AND started_at = {STARTED_AT} AND {OF_ID}"))
    }

    /// Keeps, of what [`Self::bodies_of`] keeps, that of which the log row is there.
    #[must_use]
    pub fn with_log(self) -> Self {
        self.push(format_args!(" AND id IN (SELECT id FROM {LOGS} WHERE {OF_TENANT} AND {})", of_log()))
    }

    /// Adds a text of ours.
    #[must_use]
    pub fn push(mut self, text: Arguments<'_>) -> Self {
        self.statement.text.write_fmt(text).expect("a String takes everything");
        self
    }

    /// The statement.
    #[must_use]
    pub fn finish(self) -> Statement {
        self.statement
    }

    /// Takes a value and gives its placeholder: `{p2:String}` for the third.
    pub fn bind(&mut self, bind: Bind) -> String {
        let name = format!("p{}", self.statement.binds.len());
        let placeholder = format!("{{{name}:{}}}", bind.kind());
        self.statement.binds.push((name, bind));
        placeholder
    }

    fn bind_id(mut self, id: &EventId) -> Self {
        let started_at = id.started_at().millis();
        self.statement.binds.push(("started_at".to_owned(), Bind::Millis(started_at)));
        self.statement.binds.push(("id".to_owned(), Bind::Text(id.to_string())));
        self
    }
}

/// The condition on `logs` that finds one event, with the values of [`Select::bind_id`].
fn of_log() -> String {
    format!("created_at >= {STARTED_AT} AND started_at = {STARTED_AT} AND {OF_ID}")
}

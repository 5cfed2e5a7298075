//! The rollups: for each table of sums, whose windows it has, what its rows are by and what they sum.
//!
//! There is one definition of each. What computes a table from `logs`, what holds it against them and what reads the
//! past are all rendered from it, so that they cannot drift apart.

use std::fmt::Write;
use std::ops::Range;

/// The calls among the rows of `logs`: only these are requests, see [`weir_event::EventKind::is_call`].
pub const CALLS: &str = "kind IN ('consume', 'error')";

/// How a window's start is bound, in seconds since 1970: account, gateway, start.
const WINDOWS_PARAM: &str = "{windows:Array(Tuple(String, String, DateTime('UTC')))}";

/// A table of sums over the calls of a tenant in a UTC window, by some of the columns of `logs`.
#[derive(Debug, PartialEq, Eq)]
pub struct Rollup {
    /// Its name.
    pub table: &'static str,
    /// The column that has a window's start.
    pub window: &'static str,
    /// The length of a window in milliseconds. It divides an hour.
    pub width_ms: i64,
    /// A window of which a row was stored later than this ago, in milliseconds, is likely to be computed anew by itself.
    pub settled_after_ms: i64,
    /// What gives the start of the window that a time is in.
    start_of: &'static str,
    /// The columns, of both tables, that its rows are by.
    keys: &'static [&'static str],
    /// What is summed: the column, and the sum over rows of `logs`.
    figures: &'static [(&'static str, &'static str)],
}

/// Which windows a statement is about.
///
/// Each also takes the parameters `since` and `until`, in milliseconds since 1970: from the start of the first to the end of
/// the last, which lets the server pass over other times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows<'a> {
    /// Those of the parameter `windows`, an array of account, gateway and start in seconds.
    Bound,
    /// Those of a subquery, or of a common table expression of that name, with the same three columns.
    Of(&'a str),
    /// All, of the tenants that are chosen.
    All(Tenants),
}

/// Whose windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// Only those of the parameter `account_id`.
    pub of_account: bool,
    /// Only those of the parameter `gateway_id`.
    pub of_gateway: bool,
}

/// By UTC minute, provider, model and API token.
pub const USAGE_1M: Rollup = Rollup {
    table: "usage_1m",
    window: "minute",
    width_ms: 60_000,
    settled_after_ms: 30_000,
    start_of: "toStartOfMinute",
    keys: &["provider", "model", "token"],
    figures: &[REQUESTS, ERRORS, CACHED, UNPRICED, TOKENS_IN, TOKENS_OUT, COST],
};

/// By UTC quarter of an hour, API token, user, model, channel and group. The days of every time zone of today are made of
/// whole quarters.
pub const USAGE_15M: Rollup = Rollup {
    table: "usage_15m",
    window: "slot",
    width_ms: 15 * 60_000,
    settled_after_ms: 5 * 60_000,
    start_of: "toStartOfFifteenMinutes",
    keys: &["token", "token_name", "user_id", "user_name", "model", "channel_id", "group"],
    figures: &OF_QUARTERS,
};

/// By UTC quarter of an hour, provider and model: few rows, however many API tokens and users there are.
pub const USAGE_15M_BY_MODEL: Rollup =
    Rollup { table: "usage_15m_by_model", keys: &["provider", "model"], ..USAGE_15M };

/// Those of quarters of an hour, which follow the minutes.
pub const QUARTERS: [&Rollup; 2] = [&USAGE_15M, &USAGE_15M_BY_MODEL];

/// Every rollup.
pub const ROLLUPS: [&Rollup; 3] = [&USAGE_1M, &USAGE_15M, &USAGE_15M_BY_MODEL];

const REQUESTS: (&str, &str) = ("requests", "count()");
const ERRORS: (&str, &str) = ("errors", "countIf(NOT logs.success)");
const CACHED: (&str, &str) = ("cached", "countIf(logs.cached)");
const UNPRICED: (&str, &str) = ("unpriced", "countIf(logs.cost IS NULL)");
const TOKENS_IN: (&str, &str) = ("tokens_in", "sum(ifNull(logs.tokens_in, 0))");
const TOKENS_OUT: (&str, &str) = ("tokens_out", "sum(ifNull(logs.tokens_out, 0))");
const COST: (&str, &str) = ("cost", "sum(ifNull(logs.cost, toDecimal128(0, 18)))");
const OF_QUARTERS: [(&str, &str); 11] = [
    REQUESTS,
    ERRORS,
    CACHED,
    UNPRICED,
    TOKENS_IN,
    TOKENS_OUT,
    (
        "tokens_cache_read",
        "sum(ifNull(logs.tokens_cache_read, 0) + ifNull(logs.tokens_cache_read_audio, 0) \
            + ifNull(logs.tokens_cache_read_image, 0))",
    ),
    (
        "tokens_cache_write",
        "sum(ifNull(logs.tokens_cache_write_5m, 0) + ifNull(logs.tokens_cache_write_1h, 0))",
    ),
    ("tokens_reasoning", "sum(ifNull(logs.tokens_reasoning, 0))"),
    COST,
    ("quota", "sum(ifNull(logs.quota, 0))"),
];

impl Rollup {
    /// The whole windows that `range`, in milliseconds, reaches into.
    #[must_use]
    pub fn whole(&self, range: &Range<i64>) -> Range<i64> {
        let floor = |ms: i64| ms - ms.rem_euclid(self.width_ms);
        floor(range.start)..floor(range.end + self.width_ms - 1)
    }

    /// The sums over rows of `logs`, each under the name of its column.
    #[must_use]
    pub fn sums(&self) -> String {
        self.figures.iter().map(|(name, sum)| format!("{sum} AS {name}")).collect::<Vec<_>>().join(", ")
    }

    /// Computes windows anew.
    ///
    /// Every group that has a row already is named as well, with nothing in it: one that is gone from `logs` is written
    /// with 0 requests, which is how a `ReplacingMergeTree` forgets it. Costs are summed where known.
    ///
    /// A row's version is the server's time, and more than that of any row that was there for its group: the later
    /// computation wins whatever a clock does.
    #[must_use]
    pub fn compute(&self, windows: Windows<'_>) -> String {
        let Self { table, .. } = self;
        let group = self.group();
        let columns = self.columns();
        let sums: Vec<_> =
            self.figures.iter().map(|(name, _)| format!("sumIf({name}, NOT is_rollup)")).collect();
        let sums = sums.join(", ");
        let both = self.both(windows, "");
        format!(
            "INSERT INTO {table} ({group}, {columns}, version) \
             SELECT {group}, {sums}, \
                 greatest(toUInt64(toUnixTimestamp64Milli(now64(3))), maxIf(version, is_rollup) + 1) \
             FROM ({both}) GROUP BY {group}"
        )
    }

    /// The groups that are not what their rows come to: account, gateway, the window's start in milliseconds, the values of
    /// the keys, of each figure that differs its name, what the rows come to and what the rollup has, as texts, and when
    /// the latest of the rows was stored, in milliseconds since 1970 and 0 where there is none.
    #[must_use]
    pub fn differing_groups(&self, windows: Windows<'_>) -> String {
        let (window, group, differs) = (self.window, self.group(), self.differs());
        let keys: Vec<_> = self.keys.iter().map(|key| format!("toString(`{key}`)")).collect();
        let figure = |(name, _): &(&str, &str)| {
            format!("('{name}', toString(sumIf({name}, NOT is_rollup)), toString(sumIf({name}, is_rollup)))")
        };
        let figures: Vec<_> = self.figures.iter().map(figure).collect();
        let (keys, figures) = (keys.join(", "), figures.join(", "));
        let both = self.both(windows, "FINAL");
        format!(
            "SELECT account_id, gateway_id, toInt64(toUnixTimestamp({window})) * 1000 AS start_ms, [{keys}] AS keys, \
                 arrayFilter(figure -> figure.2 != figure.3, [{figures}]) AS figures, \
                 toUnixTimestamp64Milli(max(stored_at)) AS stored_ms \
             FROM ({both}) GROUP BY {group} HAVING {differs}"
        )
    }

    /// The windows that are not what their rows come to and of which no row was stored since the parameter `settled`:
    /// account, gateway, and the start in milliseconds as `start_ms`.
    #[must_use]
    pub fn differing_windows(&self, windows: Windows<'_>) -> String {
        let (window, group, differs) = (self.window, self.group(), self.differs());
        let both = self.both(windows, "FINAL");
        format!(
            "SELECT account_id, gateway_id, toInt64(toUnixTimestamp({window})) * 1000 AS start_ms \
             FROM ( \
                 SELECT account_id, gateway_id, {window}, max(stored_at) AS latest, ({differs}) AS differs \
                 FROM ({both}) GROUP BY {group} \
             ) \
             GROUP BY account_id, gateway_id, {window} \
             HAVING max(differs) AND max(latest) < fromUnixTimestamp64Milli({{settled:Int64}}, 'UTC')"
        )
    }

    /// The windows of which a row of `logs` was stored since the parameter `stored_since` and none since `settled`, both in
    /// milliseconds since 1970: account, gateway, start.
    #[must_use]
    pub fn touched_windows(&self) -> String {
        let Self { window, start_of, .. } = self;
        format!(
            "SELECT account_id, gateway_id, {start_of}(created_at) AS {window} FROM logs \
             WHERE ingested_at >= fromUnixTimestamp64Milli({{stored_since:Int64}}, 'UTC') AND {OF_TIME} \
             GROUP BY account_id, gateway_id, {window} \
             HAVING max(ingested_at) < fromUnixTimestamp64Milli({{settled:Int64}}, 'UTC')"
        )
    }

    /// The names of what [`Self::differing_groups`] gives the values of.
    #[must_use]
    pub const fn keys(&self) -> &'static [&'static str] {
        self.keys
    }

    /// How many rows there are, in `logs` and in the table, of each quarter of an hour and of all tenants that are chosen:
    /// its start in milliseconds, and the sum of both, in order.
    #[must_use]
    pub fn rows_by_quarter(&self, tenants: Tenants) -> String {
        let Self { table, window, .. } = self;
        let (of_logs, of_table) = self.conditions(Windows::All(tenants));
        format!(
            "SELECT toInt64(toUnixTimestamp(quarter)) * 1000 AS start_ms, toUInt64(sum(rows)) AS rows FROM ( \
                 SELECT toStartOfFifteenMinutes(created_at) AS quarter, count() AS rows FROM logs \
                 WHERE {of_logs} GROUP BY quarter \
                 UNION ALL \
                 SELECT toStartOfFifteenMinutes({window}) AS quarter, count() AS rows FROM {table} \
                 WHERE {of_table} GROUP BY quarter \
             ) \
             GROUP BY start_ms ORDER BY start_ms"
        )
    }

    /// What `logs` come to, and what the table has: by group, told apart by `is_rollup`.
    fn both(&self, windows: Windows<'_>, modifier: &str) -> String {
        let Self { table, window, start_of, .. } = self;
        let (group, columns, sums) = (self.group(), self.columns(), self.sums());
        let (of_logs, of_table) = self.conditions(windows);
        let keys = self.key_list();
        format!(
            "SELECT account_id, gateway_id, {start_of}(created_at) AS {window}, {keys}, {sums}, \
                 false AS is_rollup, toUInt64(0) AS version, max(ingested_at) AS stored_at \
             FROM logs WHERE {of_logs} GROUP BY {group} \
             UNION ALL \
             SELECT {group}, {columns}, true, version, fromUnixTimestamp64Milli(toInt64(0), 'UTC') \
             FROM {table} {modifier} WHERE {of_table}"
        )
    }

    /// What rows of `logs`, and rows of the table, are meant.
    fn conditions(&self, windows: Windows<'_>) -> (String, String) {
        const OF_STARTS: &str = ">= toDateTime(intDiv({since:Int64}, 1000), 'UTC')";
        const TO_STARTS: &str = "< toDateTime(intDiv({until:Int64}, 1000), 'UTC')";
        let Self { window, start_of, .. } = self;
        let mut of_logs = format!("{OF_TIME} AND {CALLS}");
        let mut of_table = format!("{window} {OF_STARTS} AND {window} {TO_STARTS}");
        let mut among = |set: &str| {
            // Writing into a text cannot fail.
            let _ = write!(of_logs, " AND (account_id, gateway_id, {start_of}(created_at)) IN {set}");
            let _ = write!(of_table, " AND (account_id, gateway_id, {window}) IN {set}");
        };
        match windows {
            Windows::Bound => among(WINDOWS_PARAM),
            Windows::Of(set) => among(set),
            Windows::All(tenants) => {
                for condition in [&mut of_logs, &mut of_table] {
                    condition.push_str(tenants.condition());
                }
            }
        }
        (of_logs, of_table)
    }

    /// Whether a group of [`Self::both`] is not what its rows come to.
    fn differs(&self) -> String {
        let differs =
            |(name, _): &(&str, &str)| format!("sumIf({name}, is_rollup) != sumIf({name}, NOT is_rollup)");
        self.figures.iter().map(differs).collect::<Vec<_>>().join(" OR ")
    }

    /// What a row of the table is by.
    fn group(&self) -> String {
        format!("account_id, gateway_id, {}, {}", self.window, self.key_list())
    }

    /// The keys; one of them is a word of SQL's.
    fn key_list(&self) -> String {
        self.keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
    }

    /// The columns of the figures.
    fn columns(&self) -> String {
        self.figures.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// The bounds of `created_at` are of its own type, `DateTime64`. Against a bound of type `DateTime`, ClickHouse 26.7
/// takes `< 12:01:00` for `<= 12:00:59` when it chooses what to read, and leaves out what begins after that.
const OF_TIME: &str = "created_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') \
    AND created_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')";

impl Tenants {
    const fn condition(self) -> &'static str {
        match (self.of_account, self.of_gateway) {
            (false, false) => "",
            (true, false) => " AND account_id = {account_id:String}",
            (false, true) => " AND gateway_id = {gateway_id:String}",
            (true, true) => " AND account_id = {account_id:String} AND gateway_id = {gateway_id:String}",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_meet_the_hours_and_the_long_ones_are_made_of_short_ones() {
        for rollup in ROLLUPS {
            assert_eq!(3_600_000 % rollup.width_ms, 0, "{}", rollup.table);
        }
        assert_eq!(USAGE_15M.width_ms % USAGE_1M.width_ms, 0);
    }

    #[test]
    fn statements_take_the_parameters_that_they_are_said_to() {
        let of_gateway = Tenants { of_account: true, of_gateway: true };
        for rollup in ROLLUPS {
            for windows in [Windows::Bound, Windows::Of("chosen"), Windows::All(Tenants::default())] {
                for statement in [
                    rollup.compute(windows),
                    rollup.differing_groups(windows),
                    rollup.differing_windows(windows),
                ] {
                    assert_eq!(statement.contains(WINDOWS_PARAM), windows == Windows::Bound, "{statement}");
                    assert_eq!(statement.matches("IN chosen").count() > 0, windows == Windows::Of("chosen"));
                    assert_eq!(statement.matches("{since:Int64}").count(), 2, "{statement}");
                    assert!(!statement.contains('?'), "would be taken for a bind: {statement}");
                }
            }
            let statement = rollup.compute(Windows::All(of_gateway));
            assert_eq!(statement.matches("gateway_id = {gateway_id:String}").count(), 2);
        }
    }
}

//! What budgets sum up, of the calls that count for each.

use std::fmt::Write;
use std::ops::Range;

use weir_budget::Measure;
use weir_event::Scope;
use weir_filter::Filter;
use weir_store::rollup::CALLS;

use super::statement::{Bind, LOGS, Select, Statement};

/// What is summed up of which calls.
#[derive(Clone, Copy, Debug)]
pub struct Sum<'a> {
    /// Which calls.
    pub filter: &'a Filter,
    /// What of them.
    pub measure: Measure,
}

/// Over which time, in what steps. Times are epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps<'a> {
    /// Of the minutes that begin at these times alone; all if there are none.
    pub minutes: &'a [i64],
    /// From the first to before the last.
    pub from_ms: i64,
    /// See there.
    pub to_ms: i64,
    /// From here on by the second.
    pub by_second_from_ms: i64,
    /// From here on by the minute, and what is older by the quarter of an hour.
    pub by_minute_from_ms: i64,
}

/// Sums by step: rows of `at_s`, where the step begins in seconds since 1970, and `sums`, an `Array(Decimal(38, 18))` with one
/// of each of `sums`. A step without a call has no row.
#[must_use]
pub fn spent_by_step(scope: &Scope, sums: &[Sum<'_>], steps: Steps<'_>) -> Statement {
    let Steps { minutes, from_ms, to_ms, by_second_from_ms, by_minute_from_ms } = steps;
    let filters: Vec<_> = sums.iter().map(|sum| sum.filter).collect();
    let mut select = Select::of_filters(LOGS, scope, &filters, |select, conditions| {
        let [by_second, by_minute] =
            [by_second_from_ms, by_minute_from_ms].map(|from_ms| select.bind_time(from_ms));
        let sums: Vec<_> = sums.iter().zip(conditions).map(|(sum, of)| sum_if(sum.measure, of)).collect();
        format!(
            "toInt64(toUnixTimestamp(multiIf(created_at >= {by_second}, toStartOfSecond(created_at), \
             created_at >= {by_minute}, toDateTime64(toStartOfMinute(created_at), 3, 'UTC'), \
             toDateTime64(toStartOfFifteenMinutes(created_at), 3, 'UTC')))) AS at_s, [{}] AS sums",
            sums.join(", ")
        )
    })
    .within(&(from_ms..to_ms));
    if !minutes.is_empty() {
        let list = minutes.iter().fold(String::new(), |mut list, ms| {
            let between = if list.is_empty() { "" } else { "," };
            write!(list, "{between}{}", ms.div_euclid(1_000)).expect("a String takes everything");
            list
        });
        let minutes = select.bind(Bind::Number("Array(UInt32)", format!("[{list}]")));
        select = select.push(format_args!(" AND toUnixTimestamp(toStartOfMinute(created_at)) IN {minutes}"));
    }
    select.push(format_args!(" GROUP BY at_s")).finish()
}

/// The sum over a time, in epoch milliseconds: one row of `sums`, as above.
#[must_use]
pub fn spent(scope: &Scope, sum: Sum<'_>, time: &Range<i64>) -> Statement {
    Select::of_filters(LOGS, scope, &[sum.filter], |_, conditions| {
        let sums: Vec<_> = conditions.iter().map(|of| sum_if(sum.measure, of)).collect();
        format!("[{}] AS sums", sums.join(", "))
    })
    .within(time)
    .finish()
}

/// A `Decimal(38, 18)`, whatever rows say of their tokens.
fn sum_if(measure: Measure, of: &str) -> String {
    let counted = |sum: &str| format!("toDecimal128(least({sum}, toInt128('10000000000000000000')), 18)");
    let tokens = |what: &str| counted(&format!("sumIf({what}, {of})"));
    match measure {
        Measure::Cost => format!("sumIf(ifNull(cost, toDecimal128(0, 18)), {of})"),
        Measure::Tokens => tokens("toInt128(ifNull(tokens_in, 0)) + toInt128(ifNull(tokens_out, 0))"),
        Measure::TokensIn => tokens("toInt128(ifNull(tokens_in, 0))"),
        Measure::TokensOut => tokens("toInt128(ifNull(tokens_out, 0))"),
        Measure::Requests => counted(&format!("toInt128(countIf({of}))")),
        Measure::Errors => counted(&format!("toInt128(countIf({of} AND NOT success))")),
    }
}

impl Select {
    /// Calls that ended within a time, in epoch milliseconds.
    fn within(mut self, time: &Range<i64>) -> Self {
        let [from, to] = [time.start, time.end].map(|ms| self.bind_time(ms));
        self.push(format_args!(" AND created_at >= {from} AND created_at < {to} AND {CALLS}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "account_id = {account_id:String} AND gateway_id = {gateway_id:String}";

    fn time(n: usize) -> String {
        format!("fromUnixTimestamp64Milli({{p{n}:Int64}}, 'UTC')")
    }

    #[test]
    fn a_budget_is_a_sum_over_its_calls_in_its_time() {
        let scope = Scope::parse("acc", "gw").unwrap();
        let filter: Filter = r#"model = "' OR 1=1 --" and cached = false"#.parse().unwrap();
        let statement = spent(&scope, Sum { filter: &filter, measure: Measure::Cost }, &(5..9));
        assert_eq!(
            statement.text(),
            format!(
                "SELECT [sumIf(ifNull(cost, toDecimal128(0, 18)), (model = {{p2:String}} AND cached = {{p3:Bool}}))] AS sums \
                 FROM logs WHERE {TENANT} AND created_at >= {} AND created_at < {} AND kind IN ('consume', 'error')",
                time(4),
                time(5)
            )
        );
        let binds: Vec<_> = statement.binds().skip(2).map(|(_, bind)| bind.clone()).collect();
        let model = Bind::Text("' OR 1=1 --".to_owned());
        assert_eq!(binds, [model, Bind::Flag(false), Bind::Millis(5), Bind::Millis(9)]);
    }

    #[test]
    fn many_budgets_are_one_statement() {
        let scope = Scope::parse("acc", "gw").unwrap();
        let (all, one) = (Filter::default(), r#"token = "t""#.parse().unwrap());
        let sums = [(&all, Measure::Requests), (&one, Measure::Tokens), (&one, Measure::Errors)];
        let sums = sums.map(|(filter, measure)| Sum { filter, measure });
        let steps = Steps {
            minutes: &[60_000, 180_000],
            from_ms: 60_000,
            to_ms: 240_000,
            by_second_from_ms: 120_000,
            by_minute_from_ms: 0,
        };
        let statement = spent_by_step(&scope, &sums, steps);
        let text = statement.text();
        assert!(
            text.contains("toInt128(countIf(true))")
                && text.contains("countIf(token = {p3:String} AND NOT success)")
        );
        assert!(
            text.ends_with(
                " AND toUnixTimestamp(toStartOfMinute(created_at)) IN {p8:Array(UInt32)} GROUP BY at_s"
            ),
            "{text}"
        );
        assert_eq!(
            statement.binds().last(),
            Some(("p8", &Bind::Number("Array(UInt32)", "[60,180]".to_owned())))
        );
    }
}

//! What a dashboard asks: of a rollup, and of the rows that it sums up.

use harness::Volume;
use weir_event::Scope;
use weir_store::rollup::{CALLS, Rollup, USAGE_1M, USAGE_15M, USAGE_15M_BY_MODEL};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A question in both forms, which have the same answer.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) rollup: String,
    pub(crate) logs: String,
}

/// Of a gateway's last `length_ms`.
struct Question<'q> {
    rollup: &'q Rollup,
    length_ms: i64,
    /// What rows are by; `{time}` is the time of a row, or of its window.
    by: &'q str,
    figures: &'q [Figure],
    condition: &'q str,
}

#[derive(Clone, Copy)]
enum Figure {
    Requests,
    Errors,
    Cached,
    Unpriced,
    TokensIn,
    TokensOut,
    Cost,
}

impl Case {
    /// All of them, over rows that end where those of the volume do.
    pub(crate) fn all(volume: &Volume) -> Vec<Self> {
        use Figure::{Cached, Cost, Errors, Requests, TokensIn, TokensOut, Unpriced};
        let case = |name, rollup, length_ms, by, figures| {
            let question = Question { rollup, length_ms, by, figures, condition: "" };
            Self::of(name, volume, &question)
        };
        let of_token = Question {
            rollup: &USAGE_15M,
            length_ms: 45 * DAY_MS,
            by: "toStartOfHour({time})",
            figures: &[Requests, Errors, Cached, Unpriced, TokensIn, TokensOut, Cost],
            condition: "AND token = 'team-7'",
        };
        vec![
            case("cost by model and day", &USAGE_15M_BY_MODEL, 45 * DAY_MS, "model, toDate({time})", &[Cost]),
            case(
                "the same by days of Kolkata",
                &USAGE_15M_BY_MODEL,
                45 * DAY_MS,
                "model, toDate({time}, 'Asia/Kolkata')",
                &[Cost],
            ),
            case(
                "everything of a day by hour",
                &USAGE_15M_BY_MODEL,
                DAY_MS,
                "provider, model, toStartOfHour({time})",
                &[Requests, Errors, Cached, Unpriced, TokensIn, TokensOut, Cost],
            ),
            case(
                "each minute of 6 hours",
                &USAGE_1M,
                6 * HOUR_MS,
                "toStartOfMinute({time})",
                &[Requests, Errors],
            ),
            case("cost by token in a month", &USAGE_15M, 30 * DAY_MS, "token", &[Cost]),
            case("cost by user in a month", &USAGE_15M, 30 * DAY_MS, "user_id", &[Cost]),
            Self::of("all of a token by hour", volume, &of_token),
        ]
    }

    fn of(name: &'static str, volume: &Volume, question: &Question<'_>) -> Self {
        let Question { rollup, length_ms, by, figures, condition } = question;
        let Scope { account_id, gateway_id } = Volume::big_gateway();
        let statement = |time: &str, figures: Vec<&str>, rows: &str, kept: &str| {
            let (by, figures) = (by.replace("{time}", time), figures.join(", "));
            let bound = |ms: i64| format!("fromUnixTimestamp64Milli(toInt64({ms}), 'UTC')");
            let (since, until) = (bound(volume.until_ms - length_ms), bound(volume.until_ms));
            format!(
                "SELECT {by}, {figures} FROM {rows} \
                 WHERE account_id = '{account_id}' AND gateway_id = '{gateway_id}' \
                     AND {time} >= {since} AND {time} < {until} AND {kept} {condition} \
                 GROUP BY {by} ORDER BY {by}"
            )
        };
        let table = format!("{} FINAL", rollup.table);
        Self {
            name,
            rollup: statement(
                rollup.window,
                figures.iter().map(|figure| figure.of_rollup()).collect(),
                &table,
                "requests > 0",
            ),
            logs: statement(
                "created_at",
                figures.iter().map(|figure| figure.of_logs()).collect(),
                "logs",
                CALLS,
            ),
        }
    }
}

impl Figure {
    const fn of_rollup(self) -> &'static str {
        match self {
            Self::Requests => "sum(requests)",
            Self::Errors => "sum(errors)",
            Self::Cached => "sum(cached)",
            Self::Unpriced => "sum(unpriced)",
            Self::TokensIn => "sum(tokens_in)",
            Self::TokensOut => "sum(tokens_out)",
            Self::Cost => "sum(cost)",
        }
    }

    const fn of_logs(self) -> &'static str {
        match self {
            Self::Requests => "count()",
            Self::Errors => "countIf(NOT success)",
            Self::Cached => "countIf(cached)",
            Self::Unpriced => "countIf(cost IS NULL)",
            Self::TokensIn => "ifNull(sum(tokens_in), 0)",
            Self::TokensOut => "ifNull(sum(tokens_out), 0)",
            Self::Cost => "ifNull(sum(cost), 0)",
        }
    }
}

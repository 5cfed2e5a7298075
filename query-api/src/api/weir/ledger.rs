//! `GET /v1/ledger?account_id=..&from=..&to=..&source=..`: what became of every record that was taken in.

use std::ops::Range;

use warp::http::StatusCode;
use warp::reply::Response;
use weir_event::{AccountId, Source, Timestamp};

use super::error::Error;
use super::parameters::{optional, single};
use crate::api::app::Admitted;
use crate::api::query_string::QueryString;
use crate::api::reply::json;
use crate::auth::AllTenants;
use crate::store::OnItsWay;
use crate::view::LedgerView;

/// The longest time that is asked for at once.
const RANGE_MAX_MS: u64 = 31 * 24 * HOUR_MS.unsigned_abs();
const HOUR_MS: i64 = 3_600_000;

/// What is asked for: whole hours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    account_id: AccountId,
    hours: Range<Timestamp>,
    source: Option<Source>,
}

/// The handler.
pub(super) async fn ledger(call: &Admitted) -> Result<Response, Error> {
    let Question { account_id, hours, source } = parse(&call.query).map_err(Error::Invalid)?;
    let account_id = call.principal.may_read(account_id)?;
    let on_its_way = async {
        // It cannot be told apart by account, so it is only for those who may see them all.
        let Ok(everyone) = call.principal.may_read(AllTenants) else { return OnItsWay::default() };
        // On the heap: the questions to JetStream are large.
        Box::pin(call.app.ingests.on_its_way(&everyone)).await
    };
    let (rows, on_its_way) = tokio::join!(call.app.store.ledger(&account_id, &hours, source), on_its_way);
    Ok(json(StatusCode::OK, &LedgerView::new(hours, rows?, &on_its_way, source)))
}

/// Reads the question, or tells everything that is wrong with it.
fn parse(raw: &str) -> Result<Question, Vec<String>> {
    let parameters = QueryString::parse(raw).map_err(|error| vec![error.to_string()])?;
    let known = ["account_id", "from", "to", "source"];
    let unknown = parameters.iter().map(|(name, _)| name).filter(|name| !known.contains(name));
    let mut problems: Vec<_> = unknown.map(|_| "there is an unknown parameter".to_owned()).take(1).collect();
    let account_id = single::<AccountId>(&parameters, "account_id").map_err(|problem| problems.push(problem));
    let from = single::<Timestamp>(&parameters, "from").map_err(|problem| problems.push(problem));
    let to = single::<Timestamp>(&parameters, "to").map_err(|problem| problems.push(problem));
    let source = optional::<Source>(&parameters, "source").map_err(|problem| problems.push(problem));
    if let (Ok(from), Ok(to)) = (&from, &to) {
        if to <= from {
            problems.push("to: is not after from".to_owned());
        } else if to.millis_since(*from) > RANGE_MAX_MS {
            problems.push("to: is more than 31 days after from".to_owned());
        }
    }
    match (account_id, from, to, source) {
        (Ok(account_id), Ok(from), Ok(to), Ok(source)) if problems.is_empty() => {
            Ok(Question { account_id, hours: whole_hours(from, to), source })
        }
        (..) => Err(problems),
    }
}

/// The hours that `from` to `to` reaches into.
fn whole_hours(from: Timestamp, to: Timestamp) -> Range<Timestamp> {
    let hour = |millis: i64| Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX);
    let start = from.millis().div_euclid(HOUR_MS) * HOUR_MS;
    let end = (to.millis() + HOUR_MS - 1).div_euclid(HOUR_MS) * HOUR_MS;
    hour(start)..hour(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";

    #[test]
    fn whole_hours_are_asked_for() {
        let check = |from: &str, to: &str, start: &str, end: &str| {
            let question = parse(&format!("account_id=a&from={from}&to={to}&source=kafka")).unwrap();
            assert_eq!(question.hours, start.parse().unwrap()..end.parse().unwrap());
            assert_eq!(question.source, Some(Source::Kafka));
        };
        let (first, second) = ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z");
        check(first, second, first, second);
        check("2026-01-01T10:59:59.999Z", second, first, second);
        check(first, "2026-01-01T11:00:00.001Z", first, "2026-01-01T12:00:00Z");
        check("2026-01-01T12:00:00%2B02:00", second, first, second);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_name() {
        let check = |raw: &str, expected: &[&str]| assert_eq!(parse(raw).unwrap_err(), expected, "{raw}");
        check("", &["account_id is required", "from is required", "to is required"]);
        check(&format!("{DAY}&account_id=a&gateway_id=g"), &["there is an unknown parameter"]);
        check(&format!("{DAY}&account_id=a&source=carrier"), &["source: unknown source \"carrier\""]);
        check(&format!("{DAY}&account_id=a&source=http&source=kafka"), &["source is given more than once"]);
        check(
            &format!("{DAY}&account_id=a'"),
            &["account_id: an account id is 1 to 64 letters, digits, '-' and '_'"],
        );
        check(
            "account_id=a&from=yesterday&to=1",
            &["from: not an RFC 3339 time with an offset", "to: not an RFC 3339 time with an offset"],
        );
        check("account_id=a&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", &["to: is not after from"]);
        check(
            "account_id=a&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00.001Z",
            &["to: is more than 31 days after from"],
        );
    }
}

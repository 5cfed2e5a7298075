//! `GET /v1/tail?account_id=..&gateway_id=..&filter=..`: log rows as they are committed.

use bytes::Bytes;
use warp::reply::Response;
use weir_event::{AccountId, GatewayId, Scope};
use weir_filter::Filter;

use super::error::Error;
use super::parameters::{optional, single};
use super::streams::{Source, event, respond};
use crate::api::app::Admitted;
use crate::api::query_string::QueryString;
use crate::metrics::StreamKind;
use crate::tail::{Said, Tail};

/// The handler.
pub(super) async fn tail(call: Admitted) -> Result<Response, Error> {
    let (scope, filter) = parse(&call.query).map_err(Error::Invalid)?;
    let scope = call.principal.may_read(scope)?;
    let slot = call.app.streams.admit(StreamKind::Tail, call.principal.label())?;
    let place = Scope::clone(&scope);
    let tail = call.app.tails.open(scope, filter, call.app.live_timeout).await?;
    Ok(respond(call, place, slot, tail))
}

impl Source for Tail {
    async fn next(&mut self) -> Option<Bytes> {
        Some(match Self::next(self).await? {
            Said::Row(row) => event("row", Some(row.id.as_str()), &row.json),
            Said::Gap(Some(rows)) => event("gap", None, &format!("{{\"rows\":{rows}}}")),
            Said::Gap(None) => event("gap", None, "{\"rows\":null}"),
            Said::Dropped(rows) => event("dropped", None, &format!("{{\"rows\":{rows}}}")),
        })
    }
}

/// Reads the question, or tells everything that is wrong with it.
fn parse(raw: &str) -> Result<(Scope, Filter), Vec<String>> {
    let parameters = QueryString::parse(raw).map_err(|error| vec![error.to_string()])?;
    let known = ["account_id", "gateway_id", "filter"];
    let unknown = parameters.iter().map(|(name, _)| name).filter(|name| !known.contains(name));
    let mut problems: Vec<_> = unknown.map(|_| "there is an unknown parameter".to_owned()).take(1).collect();
    let account_id = single::<AccountId>(&parameters, "account_id").map_err(|problem| problems.push(problem));
    let gateway_id = single::<GatewayId>(&parameters, "gateway_id").map_err(|problem| problems.push(problem));
    let filter = optional::<Filter>(&parameters, "filter").map_err(|problem| problems.push(problem));
    match (account_id, gateway_id, filter) {
        (Ok(account_id), Ok(gateway_id), Ok(filter)) if problems.is_empty() => {
            Ok((Scope { account_id, gateway_id }, filter.unwrap_or_default()))
        }
        (..) => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_of_one_gateway_and_of_what_a_filter_lets_through() {
        let (scope, filter) = parse("gateway_id=gw&account_id=acc&filter=model+%3D+%22a%22").unwrap();
        assert_eq!((scope.account_id.as_str(), scope.gateway_id.as_str()), ("acc", "gw"));
        assert_eq!(filter.to_string(), r#"model = "a""#);
        assert_eq!(parse("gateway_id=gw&account_id=acc").unwrap().1, Filter::default());
        assert_eq!(parse("gateway_id=gw&account_id=acc&filter=").unwrap().1, Filter::default());
        let check = |raw, expected: &[&str]| assert_eq!(parse(raw).unwrap_err(), expected, "{raw}");
        check("filter=x", &["account_id is required", "gateway_id is required", FILTER_X]);
        check("account_id=a&gateway_id=g&model=x", &["there is an unknown parameter"]);
        check("account_id=a&gateway_id=g&filter=&filter=", &["filter is given more than once"]);
    }

    const FILTER_X: &str = "filter: at byte 0: there is no field 'x'";
}

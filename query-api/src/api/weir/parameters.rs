//! Parameters that several operations have.

use weir_event::{AccountId, GatewayId, Scope};

use crate::api::query_string::QueryString;

/// Reads the tenant, which is the whole of the query, or tells everything that is wrong.
pub(super) fn tenant(raw: &str) -> Result<Scope, Vec<String>> {
    let parameters = QueryString::parse(raw).map_err(|error| vec![error.to_string()])?;
    let known = ["account_id", "gateway_id"];
    let unknown = parameters.iter().map(|(name, _)| name).filter(|name| !known.contains(name));
    let mut problems: Vec<_> = unknown.map(|_| "there is an unknown parameter".to_owned()).take(1).collect();
    let account_id = single::<AccountId>(&parameters, "account_id").map_err(|problem| problems.push(problem));
    let gateway_id = single::<GatewayId>(&parameters, "gateway_id").map_err(|problem| problems.push(problem));
    match (account_id, gateway_id) {
        (Ok(account_id), Ok(gateway_id)) if problems.is_empty() => Ok(Scope { account_id, gateway_id }),
        (_, _) => Err(problems),
    }
}

/// The value of a parameter that is given once.
pub(super) fn single<T>(parameters: &QueryString, name: &str) -> Result<T, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    optional(parameters, name)?.ok_or_else(|| format!("{name} is required"))
}

/// The value of a parameter that is given once or not at all.
pub(super) fn optional<T>(parameters: &QueryString, name: &str) -> Result<Option<T>, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let mut values = parameters.iter().filter(|(other, _)| *other == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => value.parse().map(Some).map_err(|error| format!("{name}: {error}")),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(format!("{name} is given more than once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_the_whole_of_the_query() {
        let scope = tenant("gateway_id=gw&account_id=acc").unwrap();
        assert_eq!((scope.account_id.as_str(), scope.gateway_id.as_str()), ("acc", "gw"));
        let check = |raw, expected: &[&str]| assert_eq!(tenant(raw).unwrap_err(), expected, "{raw}");
        check("", &["account_id is required", "gateway_id is required"]);
        check("account_id=a&gateway_id=g&model=x", &["there is an unknown parameter"]);
        check("account_id=a&account_id=b&gateway_id=g", &["account_id is given more than once"]);
        check(
            "account_id=a%27b&gateway_id=g",
            &["account_id: an account id is 1 to 64 letters, digits, '-' and '_'"],
        );
    }
}

//! What the holder of a relay key was granted, in the words of OpenAI's billing API.

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use warp::http::StatusCode;
use warp::reply::Response;

use super::caller::{Asked, Spender};
use super::envelope::body;
use super::error::Error;
use super::status::QUOTA_PER_UNIT;

/// What stands for no bound, in dollars.
const UNLIMITED_USD: i64 = 100_000_000;

#[derive(Serialize)]
struct SubscriptionView<'a> {
    object: &'static str,
    has_payment_method: bool,
    soft_limit_usd: &'a RawValue,
    hard_limit_usd: &'a RawValue,
    system_hard_limit_usd: &'a RawValue,
    /// In seconds since 1970; 0 is for ever.
    access_until: i64,
}

/// `GET /v1/dashboard/billing/subscription`.
pub(super) async fn subscription(asked: Asked<Spender>) -> Result<Response, Error> {
    let Spender(held) = &asked.caller;
    let limit = held.key.granted_quota.map_or(Decimal::from(UNLIMITED_USD), dollars);
    let limit = exact(limit);
    Ok(body(
        StatusCode::OK,
        &SubscriptionView {
            object: "billing_subscription",
            has_payment_method: true,
            soft_limit_usd: &limit,
            hard_limit_usd: &limit,
            system_hard_limit_usd: &limit,
            access_until: held.key.expires_at_ms.map_or(0, |end| end / 1_000),
        },
    ))
}

/// What a quota is worth.
fn dollars(quota: i64) -> Decimal {
    Decimal::from(quota) / Decimal::from(QUOTA_PER_UNIT)
}

/// All digits of an amount, as a JSON number.
fn exact(amount: Decimal) -> Box<RawValue> {
    let digits = amount.normalize().to_string();
    RawValue::from_string(digits).expect("a decimal prints as digits, which are a JSON number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_is_told_in_dollars_to_the_last_digit() {
        for (quota, expected) in [
            (0, "0"),
            (1, "0.000002"),
            (500_000, "1"),
            (1_234_567, "2.469134"),
            (-250_000, "-0.5"),
            (i64::MAX, "18446744073709.551614"),
        ] {
            assert_eq!(exact(dollars(quota)).get(), expected);
        }
    }
}

//! What the holder of a relay key was granted and has used: in the words of OpenAI's billing API, and in new-api's own.

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use warp::http::StatusCode;
use warp::reply::Response;
use weir_event::EventKind;
use weir_pricing::QUOTA_PER_USD;

use super::caller::{Asked, Counter, HeldKey, Spender};
use super::envelope::body;
use super::error::Error;
use super::filters;
use crate::api::app::App;
use crate::sql::newapi::Amount;

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

#[derive(Serialize)]
struct BillingUsageView<'a> {
    object: &'static str,
    /// In cents.
    total_usage: &'a RawValue,
}

/// Unlike any other envelope.
#[derive(Serialize)]
struct TokenUsageEnvelope<'a> {
    code: bool,
    data: TokenUsageView<'a>,
    message: &'static str,
}

#[derive(Serialize)]
struct TokenUsageView<'a> {
    /// In seconds since 1970; 0 is never.
    expires_at: i64,
    model_limits: NoLimits,
    model_limits_enabled: bool,
    name: &'a str,
    object: &'static str,
    total_available: i64,
    total_granted: i64,
    total_used: i64,
    unlimited_quota: bool,
}

#[derive(Serialize)]
struct NoLimits {}

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

/// `GET /v1/dashboard/billing/usage`: all that was ever used, whatever time is asked for.
pub(super) async fn usage(asked: Asked<Spender>) -> Result<Response, Error> {
    let Spender(held) = &asked.caller;
    let used = Decimal::from(used(&asked.app, held).await?);
    let cents = used * Decimal::ONE_HUNDRED / Decimal::from(QUOTA_PER_USD);
    Ok(body(StatusCode::OK, &BillingUsageView { object: "list", total_usage: &exact(cents) }))
}

/// `GET /api/usage/token/`.
pub(super) async fn of_token(asked: Asked<Counter>) -> Result<Response, Error> {
    let Counter(held) = &asked.caller;
    let used = used(&asked.app, held).await?;
    let granted = held.key.granted_quota.unwrap_or(used);
    let data = TokenUsageView {
        expires_at: held.key.expires_at_ms.map_or(0, |end| end / 1_000),
        model_limits: NoLimits {},
        model_limits_enabled: false,
        name: &held.key.name,
        object: "token_usage",
        total_available: granted.saturating_sub(used),
        total_granted: granted,
        total_used: used,
        unlimited_quota: held.key.granted_quota.is_none(),
    };
    Ok(body(StatusCode::OK, &TokenUsageEnvelope { code: true, data, message: "ok" }))
}

/// The quota of all calls of a key, less what was given back: what was used before its logs are counted, and those.
async fn used(app: &App, held: &HeldKey) -> Result<i64, Error> {
    let key = &held.key;
    let sum = async |kind| {
        let filter = filters::since(kind, key.counted_from_ms)?;
        Ok::<_, Error>(app.store.newapi_amount(&held.logs, &filter, Amount::Quota).await?)
    };
    let (consumed, refunded) = tokio::try_join!(sum(EventKind::Consume), sum(EventKind::Refund))?;
    let used = consumed.saturating_sub(refunded).saturating_add(i128::from(key.used_before));
    Ok(i64::try_from(used).unwrap_or(if used < 0 { i64::MIN } else { i64::MAX }))
}

/// What a quota is worth.
fn dollars(quota: i64) -> Decimal {
    Decimal::from(quota) / Decimal::from(QUOTA_PER_USD)
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

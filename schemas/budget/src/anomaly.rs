//! What is said when an API token does much more than it used to.

use serde::{Deserialize, Serialize};
use weir_event::{AccountId, GatewayId, Scope, Timestamp, fnv1a};

use super::amount::Amount;
use super::measure::Measure;

/// A message of the stream of alerts, and the body of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomaly {
    /// What it is: `anomaly.cost`, or `anomaly.errors`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was decided.
    pub timestamp: Timestamp,
    /// What is told.
    pub data: AnomalyData,
}

/// What an anomaly tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalyData {
    /// Names this alert: of all deliveries of it that are the same.
    pub id: String,
    /// Whose token it is.
    pub account_id: AccountId,
    /// Of which gateway.
    pub gateway_id: GatewayId,
    /// The API token, `""` where calls name none.
    pub token: String,
    /// What there is much of: `cost` or `errors`.
    pub measure: String,
    /// How much.
    pub value: Amount,
    /// How much there used to be in as long a time, or of as many calls.
    pub usual: Amount,
    /// The first moment that counted.
    pub from: Timestamp,
    /// The last.
    pub to: Timestamp,
    /// The endpoints that are told.
    pub webhooks: Vec<String>,
}

impl Anomaly {
    /// That a token is at `value` of a measure, and used to be at `usual`, from `from` to `to`.
    #[must_use]
    pub fn new(
        (scope, token): (&Scope, &str),
        measure: Measure,
        (value, usual): (Amount, Amount),
        (from, to): (Timestamp, Timestamp),
        webhooks: Vec<String>,
    ) -> Self {
        let measure = measure.as_str();
        let data = AnomalyData {
            id: format!("anomaly_{measure}_{:016x}_{}", print(scope, token), to.millis()),
            account_id: scope.account_id.clone(),
            gateway_id: scope.gateway_id.clone(),
            token: token.to_owned(),
            measure: measure.to_owned(),
            value,
            usual,
            from,
            to,
            webhooks,
        };
        Self { kind: format!("anomaly.{measure}"), timestamp: to, data }
    }

    /// The subject of a measure of a token.
    #[must_use]
    pub fn subject(scope: &Scope, token: &str, measure: Measure) -> String {
        format!("weir.alerts.anomaly.{}.{:016x}", measure.as_str(), print(scope, token))
    }
}

/// Tells tokens apart, whatever is in their names.
fn print(scope: &Scope, token: &str) -> u64 {
    fnv1a([scope.account_id.as_str(), "\0", scope.gateway_id.as_str(), "\0", token])
}

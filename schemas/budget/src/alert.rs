//! What is said when a threshold is crossed, and where.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_event::{AccountId, GatewayId, Timestamp};

use super::amount::Amount;
use super::budget::{Budget, BudgetId};

/// The JetStream stream of alerts. A message under a subject is the decision that a threshold is told of: it is written only
/// after the one that was last there ([`Alert::subject`]), so two that decide at once are one.
pub const ALERTS_STREAM: &str = "WEIR_ALERTS";
/// Every subject of the stream.
pub const ALERTS_SUBJECTS: &str = "weir.alerts.>";
/// How long the stream keeps an alert: longer than any period.
pub const ALERTS_AGE_MAX: Duration = Duration::from_hours(400 * 24);
/// How many alerts of one threshold it keeps, the latest: a window with a short cool-down may be told of for ever. The last one says
/// what was told, the others are for endpoints that were away: of a budget by the hour, those of a working day.
///
/// It leaves room for others beside an account that has as much as it may. 2,000 budgets with 20 thresholds each are 40,000, and
/// an alert is some 640 bytes with what the stream adds: 195 MiB. With the longest names that there may be it would be more than all.
pub const ALERTS_PER_THRESHOLD_MAX: i64 = 8;
/// How many bytes it keeps.
pub const ALERTS_BYTES_MAX: i64 = 256 << 20;
/// Where it is said, without a word, that budgets were changed.
pub const BUDGETS_SUBJECT: &str = "weir.budgets";

/// Where an aggregator answers [`WebhooksRequest`]s with [`WebhooksAnswer`]s.
pub const WEBHOOKS_SUBJECT: &str = "weir.webhooks";

/// Asks which webhooks the budgets of an account may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhooksRequest {
    /// Whose budgets.
    pub account_id: AccountId,
}

/// Says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhooksAnswer {
    /// Their names.
    pub webhooks: Vec<String>,
}

/// A message of the stream, and the body of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is: `budget.crossed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was decided.
    pub timestamp: Timestamp,
    /// What is told.
    pub data: AlertData,
}

/// What an alert tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertData {
    /// Names this alert: of all deliveries of it that are the same.
    pub id: String,
    /// The budget.
    pub budget_id: String,
    /// Whose it is.
    pub account_id: AccountId,
    /// Of which gateway.
    pub gateway_id: GatewayId,
    /// What people call it.
    pub name: String,
    /// What it measures.
    pub measure: String,
    /// Hundredths of the limit.
    pub threshold: u16,
    /// What was used.
    pub value: Amount,
    /// What there is.
    pub limit: Amount,
    /// The first moment that counted.
    pub from: Timestamp,
    /// The end of the period, or of the window as it was.
    pub to: Timestamp,
    /// Of what counts in the budget, so that another limit is another alert.
    pub terms: String,
    /// The endpoints that are told.
    pub webhooks: Vec<String>,
}

impl Alert {
    /// That `budget` was at `value` at a time, of what counted then.
    #[must_use]
    pub fn new(
        budget: &Budget,
        threshold: u16,
        value: Amount,
        bounds: &std::ops::Range<i64>,
        at: Timestamp,
    ) -> Self {
        let Budget { id, scope, terms } = budget;
        let fingerprint = format!("{:016x}", terms.fingerprint());
        let moment = |ms: i64| Timestamp::from_millis(ms).unwrap_or(Timestamp::MAX);
        let is_sliding = terms.window.is_sliding();
        let begun = if is_sliding { at.millis() } else { bounds.start };
        let to = if is_sliding { at } else { moment(bounds.end) };
        let data = AlertData {
            id: format!("alert_{id}_{threshold}_{begun}_{fingerprint}"),
            budget_id: id.to_string(),
            account_id: scope.account_id.clone(),
            gateway_id: scope.gateway_id.clone(),
            name: terms.name.clone(),
            measure: terms.measure.as_str().to_owned(),
            threshold,
            value,
            limit: terms.limit,
            from: moment(bounds.start),
            to,
            terms: fingerprint,
            webhooks: terms.webhooks.clone(),
        };
        Self { kind: "budget.crossed".to_owned(), timestamp: at, data }
    }

    /// The subject of a threshold of a budget.
    #[must_use]
    pub fn subject(budget: &BudgetId, threshold: u16) -> String {
        format!("weir.alerts.{budget}.{threshold}")
    }

    /// Whether, after this one, there is nothing to tell of the same threshold of `budget` at a time: of a period it is told
    /// once, of a sliding window not again before its cool-down is over. Other terms are another matter.
    #[must_use]
    pub fn covers(&self, budget: &Budget, bounds: &std::ops::Range<i64>, at: Timestamp) -> bool {
        if self.data.terms != format!("{:016x}", budget.terms.fingerprint()) {
            return false;
        }
        if budget.terms.window.is_sliding() {
            return at.millis_since(self.timestamp) < u64::from(budget.terms.cool_down_s) * 1_000;
        }
        self.data.from.millis() >= bounds.start
    }
}

#[cfg(test)]
mod tests {
    use weir_event::Scope;

    use super::*;
    use crate::budget::tests::budget;

    fn alert(budget: &Budget, at_ms: i64) -> Alert {
        let bounds = budget.terms.window.bounds(at_ms);
        Alert::new(budget, 80, "8.25".parse().unwrap(), &bounds, Timestamp::from_millis(at_ms).unwrap())
    }

    const AT: i64 = 1_767_225_600_000;
    const DAY: &str = r#"{"name": "a", "measure": "cost", "limit": 10, "period": "day"}"#;

    #[test]
    fn an_alert_comes_back_as_it_was_written() {
        let alert = alert(&budget(DAY), AT);
        let json = serde_json::to_string(&alert).unwrap();
        assert!(json.contains(r#""value":8.25,"limit":10,"from":"2026-01-01T00:00:00.000Z""#), "{json}");
        assert!(json.contains(r#""account_id":"acc","gateway_id":"gw""#), "{json}");
        assert_eq!(serde_json::from_str::<Alert>(&json).unwrap(), alert);
    }

    #[test]
    fn an_account_at_all_its_bounds_leaves_room_for_the_alerts_of_others() {
        const THRESHOLDS: i64 = 2_000 * 20;
        // Two headers, and what the stream adds to a message.
        const ADDED: usize = 130;
        let terms = r#"{"name": "search, this month", "measure": "cost", "limit": 250, "window_s": 3600, "webhooks": ["ops"]}"#;
        let scope = Scope::parse("0123456789abcdef0123456789abcdef", "production").unwrap();
        let budget = Budget { scope, ..budget(terms) };
        let value = "250.123456789012345678".parse().unwrap();
        let alert =
            Alert::new(&budget, 100, value, &(AT..AT + 3_600_000), Timestamp::from_millis(AT).unwrap());
        let subject = Alert::subject(&budget.id, 100);
        let bytes = serde_json::to_vec(&alert).unwrap().len() + subject.len() + ADDED;
        let all = THRESHOLDS * ALERTS_PER_THRESHOLD_MAX * i64::try_from(bytes).unwrap();
        assert!(all < ALERTS_BYTES_MAX, "{bytes} bytes each");
    }

    #[test]
    fn a_threshold_of_a_period_is_told_once_unless_the_terms_change() {
        let covers = |alert: &Alert, budget: &Budget, at_ms: i64| {
            alert.covers(budget, &budget.terms.window.bounds(at_ms), Timestamp::from_millis(at_ms).unwrap())
        };
        let day = budget(DAY);
        let told = alert(&day, AT);
        assert!(covers(&told, &day, AT + 86_399_999) && !covers(&told, &day, AT + 86_400_000));
        assert!(covers(&told, &day, AT - 1), "what comes late to the day before is no news");
        let more = budget(&DAY.replace("10", "20"));
        assert!(!covers(&told, &more, AT));
        let sliding =
            budget(r#"{"name": "a", "measure": "cost", "limit": 10, "window_s": 120, "cool_down_s": 60}"#);
        let told = alert(&sliding, AT);
        assert!(covers(&told, &sliding, AT + 59_999) && !covers(&told, &sliding, AT + 60_000));
        assert_ne!(told.data.id, alert(&sliding, AT + 60_000).data.id);
        assert_eq!(alert(&day, AT).data.id, alert(&day, AT + 5_000).data.id);
    }
}

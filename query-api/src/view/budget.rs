//! Budgets as JSON.

use serde::Serialize;
use weir_budget::{Amount, Budget, Calendar, Terms, Window};
use weir_event::Timestamp;

use crate::store::{Spent, Ways};

/// What `GET /v1/budgets` answers.
#[derive(Debug, Serialize)]
pub struct BudgetsView {
    /// By id.
    pub budgets: Vec<BudgetView>,
}

/// A budget: what makes it as it may be said again, and its id. Money is a number with all its digits.
#[derive(Debug, Serialize)]
pub struct BudgetView {
    /// Which.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Which calls count, empty for all.
    pub filter: String,
    /// What is summed up.
    pub measure: &'static str,
    /// How much there is.
    pub limit: Amount,
    /// Of a sliding window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u32>,
    /// Of a sliding window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cool_down_s: Option<u32>,
    /// Of the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<&'static str>,
    /// Of the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Hundredths of the limit.
    pub thresholds: Vec<u16>,
    /// The endpoints that are told.
    pub webhooks: Vec<String>,
    /// Those of them that are not, since they are not configured or not for this account. Where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks_without_way: Option<Vec<String>>,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<SpentView>,
}

/// What is used of a budget.
#[derive(Debug, Serialize)]
pub struct SpentView {
    /// How much.
    pub value: Amount,
    /// The first moment that counts.
    pub from: Timestamp,
    /// The end of the period, or now.
    pub to: Timestamp,
    /// When that was so.
    pub as_of: Timestamp,
}

impl BudgetsView {
    /// Of these.
    #[must_use]
    pub fn new(budgets: Vec<Budget>, ways: &Ways) -> Self {
        Self { budgets: budgets.into_iter().map(|budget| BudgetView::new(budget, None, ways)).collect() }
    }
}

impl BudgetView {
    /// Of a budget, with what is used of it.
    #[must_use]
    pub fn new(budget: Budget, spent: Option<Spent>, Ways(ways): &Ways) -> Self {
        let Terms { name, filter, measure, limit, window, thresholds, cool_down_s, webhooks, enabled } =
            budget.terms;
        let (window_s, calendar) = match window {
            Window::Sliding { seconds } => (Some(seconds), None),
            Window::Calendar(Calendar { period, zone }) => (None, Some((period.as_str(), zone.to_string()))),
        };
        let (period, timezone) = calendar.unzip();
        let leads_nowhere = |ways: &Vec<String>| {
            webhooks.iter().filter(|name| !ways.contains(name)).cloned().collect::<Vec<_>>()
        };
        let webhooks_without_way = ways.as_ref().filter(|_| !webhooks.is_empty()).map(leads_nowhere);
        Self {
            id: budget.id.to_string(),
            name,
            filter: filter.to_string(),
            measure: measure.as_str(),
            limit,
            window_s,
            cool_down_s: window_s.map(|_| cool_down_s),
            period,
            timezone,
            thresholds,
            webhooks,
            webhooks_without_way,
            enabled,
            spent: spent.map(|Spent { value, from, to, as_of }| SpentView { value, from, to, as_of }),
        }
    }
}

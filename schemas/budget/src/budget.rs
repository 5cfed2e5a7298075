//! A budget, and how it is stored.

use std::fmt;
use std::str::FromStr;

use weir_event::{Scope, fnv1a};
use weir_filter::{Condition, Filter, Node, NumberField};
use weir_store::BudgetRow;

use super::amount::Amount;
use super::calendar::{Calendar, Period};
use super::measure::Measure;
use super::window::Window;

/// Names a budget: 32 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetId(String);

/// A text is no id of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a budget is 32 hexadecimal digits")]
pub struct BudgetIdError;

/// A budget of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Which.
    pub id: BudgetId,
    /// Whose calls it is about.
    pub scope: Scope,
    /// What was agreed.
    pub terms: Terms,
}

/// What makes a budget, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What people call it: 1 to 200 characters.
    pub name: String,
    /// Which calls count, by what is known of them when they are stored.
    pub filter: Filter,
    /// What is summed up.
    pub measure: Measure,
    /// How much there is, above 0; whole where the measure has no decimals.
    pub limit: Amount,
    /// Which time counts.
    pub window: Window,
    /// At how many hundredths of the limit it is told: ascending, 1 to 1,000, at most 20.
    pub thresholds: Vec<u16>,
    /// How long after one alert of a threshold there is no other, in seconds, 60 to 86,400; 0 for a period of the calendar, of which
    /// there is one.
    pub cool_down_s: u32,
    /// The endpoints that are told, by the names that the aggregators' configuration has for them: at most 10.
    pub webhooks: Vec<String>,
    /// Whether it is looked at.
    pub enabled: bool,
}

/// A stored budget cannot be understood: a later program's, or not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored budget has a {0} that is not understood")]
pub struct StoredError(&'static str);

impl Budget {
    /// As it is stored.
    #[must_use]
    pub fn to_row(&self) -> BudgetRow {
        let terms = &self.terms;
        let (window_s, period, timezone) = match &terms.window {
            Window::Sliding { seconds } => (*seconds, "", String::new()),
            Window::Calendar(Calendar { period, zone }) => (0, period.as_str(), zone.to_string()),
        };
        BudgetRow {
            account_id: self.scope.account_id.to_string(),
            gateway_id: self.scope.gateway_id.to_string(),
            id: self.id.to_string(),
            name: terms.name.clone(),
            filter: terms.filter.to_string(),
            measure: terms.measure.as_str().to_owned(),
            limit: terms.limit.units(),
            window_s,
            period: period.to_owned(),
            timezone,
            thresholds: terms.thresholds.clone(),
            cool_down_s: terms.cool_down_s,
            webhooks: terms.webhooks.clone(),
            enabled: terms.enabled,
            deleted: false,
        }
    }

    /// What is stored.
    pub fn from_row(row: &BudgetRow) -> Result<Self, StoredError> {
        let window = if row.period.is_empty() {
            Window::Sliding { seconds: row.window_s }
        } else {
            let period = Period::named(&row.period).ok_or(StoredError("period"))?;
            let zone = row.timezone.parse().map_err(|_| StoredError("timezone"))?;
            Window::Calendar(Calendar { period, zone })
        };
        Ok(Self {
            id: row.id.parse().map_err(|_| StoredError("id"))?,
            scope: Scope::parse(&row.account_id, &row.gateway_id).map_err(|_| StoredError("place"))?,
            terms: Terms {
                name: row.name.clone(),
                filter: row.filter.parse().map_err(|_| StoredError("filter"))?,
                measure: Measure::named(&row.measure).ok_or(StoredError("measure"))?,
                limit: Amount::from_units(row.limit),
                window,
                thresholds: row.thresholds.clone(),
                cool_down_s: row.cool_down_s,
                webhooks: row.webhooks.clone(),
                enabled: row.enabled,
            },
        })
    }
}

impl Terms {
    /// Tells budgets apart by what they count: it stays the same where only a name, thresholds or webhooks change.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self { filter, measure, limit, window, .. } = self;
        let window = match window {
            Window::Sliding { seconds } => seconds.to_string(),
            Window::Calendar(Calendar { period, zone }) => format!("{} {zone}", period.as_str()),
        };
        fnv1a([format!("{}\0{limit}\0{window}\0{filter}", measure.as_str()).as_str()])
    }
}

/// Whether a filter goes by what may be said of a call after it was stored. Metadata may be too: a budget goes by what came
/// with the call.
pub(crate) fn goes_by_opinion(filter: &Filter) -> bool {
    fn asks(node: &Node) -> bool {
        match node {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(asks),
            Node::Not(node) => asks(node),
            Node::Is(Condition::Number(field, _)) => {
                matches!(field, NumberField::Feedback | NumberField::Score)
            }
            Node::Is(Condition::Text(_, _) | Condition::Time(_, _, _) | Condition::Flag(_, _)) => false,
        }
    }
    filter.root().is_some_and(asks)
}

impl BudgetId {
    /// The id that 128 bits at random make.
    #[must_use]
    pub fn from_random(bits: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bits)))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BudgetId {
    type Err = BudgetIdError;

    fn from_str(text: &str) -> Result<Self, BudgetIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BudgetIdError)
        }
    }
}

impl fmt::Display for BudgetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn budget(body: &str) -> Budget {
        Budget {
            id: BudgetId::from_random([7; 16]),
            scope: Scope::parse("acc", "gw").unwrap(),
            terms: Terms::from_json(body.as_bytes()).unwrap(),
        }
    }

    #[test]
    fn a_budget_is_read_back_as_it_was_stored() {
        for body in [
            r#"{"name": "all", "measure": "requests", "limit": 10, "window_s": 60}"#,
            r#"{"name": "é", "measure": "cost", "limit": "0.5", "period": "month", "timezone": "Asia/Kolkata",
                "filter": "metadata[\"team\"] = \"it's\"", "thresholds": [100, 1], "webhooks": ["ops"], "enabled": false}"#,
        ] {
            let budget = budget(body);
            assert_eq!(Budget::from_row(&budget.to_row()), Ok(budget));
        }
    }

    #[test]
    fn what_is_stored_by_a_later_program_is_not_guessed_at() {
        let row = budget(r#"{"name": "a", "measure": "cost", "limit": 1, "period": "day"}"#).to_row();
        let check = |row: &BudgetRow, what| assert_eq!(Budget::from_row(row), Err(StoredError(what)));
        check(&BudgetRow { period: "fortnight".to_owned(), ..row.clone() }, "period");
        check(&BudgetRow { measure: "joules".to_owned(), ..row.clone() }, "measure");
        check(&BudgetRow { filter: "mood = 1".to_owned(), ..row.clone() }, "filter");
        check(&BudgetRow { timezone: "Mars/Olympus".to_owned(), ..row }, "timezone");
    }

    #[test]
    fn a_fingerprint_is_of_what_counts() {
        let print = |body: &str| budget(body).terms.fingerprint();
        let first = print(r#"{"name": "a", "measure": "cost", "limit": 1, "period": "day"}"#);
        assert_eq!(
            first,
            print(r#"{"name": "b", "measure": "cost", "limit": "1.0", "period": "day", "thresholds": [7]}"#)
        );
        assert_ne!(first, print(r#"{"name": "a", "measure": "cost", "limit": 2, "period": "day"}"#));
        assert_ne!(first, print(r#"{"name": "a", "measure": "cost", "limit": 1, "period": "hour"}"#));
    }

    #[test]
    fn an_id_can_stand_in_a_subject() {
        assert_eq!(BudgetId::from_random([0xab; 16]).to_string(), "ab".repeat(16));
        for bad in ["", "ab", &"AB".repeat(16), &"a.".repeat(16), &"a".repeat(33)] {
            assert_eq!(bad.parse::<BudgetId>(), Err(BudgetIdError), "{bad}");
        }
    }
}

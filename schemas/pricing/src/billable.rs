//! What prices an event, borrowed from wherever it is: an event on its way in, or a stored row that is priced anew.

use weir_event::{CustomCost, Timestamp, Tokens, Units, UsageEvent, Usd};

/// The facts that a cost is made of, and no others: two events that are equal in these cost the same.
#[derive(Clone, Copy, Debug)]
pub struct Billable<'a> {
    /// Who ran the model.
    pub provider: Option<&'a str>,
    /// The model that answered, as the answer names it.
    pub model: Option<&'a str>,
    /// The model, or deployment, that was asked for.
    pub model_requested: Option<&'a str>,
    /// When it ended: the price of that moment applies.
    pub created_at: Timestamp,
    /// The tokens, in disjoint buckets.
    pub tokens: &'a Tokens,
    /// What else is billed.
    pub units: &'a Units,
    /// How the provider ran it; `None` is standard.
    pub service_tier: Option<&'a str>,
    /// Whether the gateway answered from its own cache.
    pub cached: bool,
    /// The cost that the source gave.
    pub provided_cost: Option<Usd>,
    /// The prices that the caller set for this request.
    pub custom_cost: Option<CustomCost>,
}

impl<'a> Billable<'a> {
    /// What prices this event.
    #[must_use]
    pub fn of(event: &'a UsageEvent) -> Self {
        Self {
            provider: event.provider.as_deref(),
            model: event.model.as_deref(),
            model_requested: event.model_requested.as_deref(),
            created_at: event.created_at,
            tokens: &event.tokens,
            units: &event.units,
            service_tier: event.service_tier.as_deref(),
            cached: event.cached,
            provided_cost: event.provided_cost,
            custom_cost: event.custom_cost,
        }
    }

    /// The service tier, where it is not the standard one, which providers call by several names.
    pub(crate) fn tier(&self) -> Option<&'a str> {
        const STANDARD: [&str; 6] = ["", "auto", "default", "on_demand", "standard", "standard_only"];
        self.service_tier.filter(|tier| !STANDARD.iter().any(|name| tier.eq_ignore_ascii_case(name)))
    }
}

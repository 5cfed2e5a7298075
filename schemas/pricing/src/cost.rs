//! The pure function from an event and a book to a cost.

use std::sync::Arc;

use weir_event::{CostSource, CustomCost, Texts, Unit, UnpricedReason, UsageEvent, Usd};

use crate::bill::Bill;
use crate::billable::Billable;
use crate::book::{Edition, Found, PriceBook, applicable, is_version_of};
use crate::quota::{Quota, quota_of};

/// The provider whose requested models are names of deployments.
const AZURE: &str = "azure-openai";
/// The provider whose prices are those of the id that was called: it says from which regions a model is served.
const BEDROCK: &str = "aws-bedrock";

/// What an event cost, with where the figure comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The event carried it.
    Provided(Usd),
    /// Its tokens times the caller's own prices.
    Custom(Usd),
    /// What was counted times a price of the book.
    Computed {
        /// The amount.
        amount: Usd,
        /// The price's id.
        price_id: Arc<str>,
        /// The book that has it.
        edition: Edition,
    },
    /// The gateway's own cache answered: nothing was bought.
    CachedZero,
    /// Unknown, which is not 0.
    Unpriced(UnpricedReason),
}

/// An event whose cost and quota are settled: the only thing that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct PricedEvent {
    event: UsageEvent,
    cost: Cost,
    quota: Option<Quota>,
}

impl Cost {
    /// The amount, `None` where it is unknown.
    #[must_use]
    pub const fn amount(&self) -> Option<Usd> {
        match self {
            Self::Provided(amount) | Self::Custom(amount) | Self::Computed { amount, .. } => Some(*amount),
            Self::CachedZero => Some(Usd::ZERO),
            Self::Unpriced(_) => None,
        }
    }

    /// Where it comes from.
    #[must_use]
    pub const fn source(&self) -> CostSource {
        match self {
            Self::Provided(_) => CostSource::Provided,
            Self::Custom(_) => CostSource::Custom,
            Self::Computed { .. } => CostSource::Computed,
            Self::CachedZero => CostSource::CachedZero,
            Self::Unpriced(_) => CostSource::Unpriced,
        }
    }

    /// The price of the book that made it.
    #[must_use]
    pub fn price_id(&self) -> Option<&str> {
        match self {
            Self::Computed { price_id, .. } => Some(price_id),
            Self::Provided(_) | Self::Custom(_) | Self::CachedZero | Self::Unpriced(_) => None,
        }
    }

    /// The edition of the book that made it.
    #[must_use]
    pub const fn edition(&self) -> Option<&Edition> {
        match self {
            Self::Computed { edition, .. } => Some(edition),
            Self::Provided(_) | Self::Custom(_) | Self::CachedZero | Self::Unpriced(_) => None,
        }
    }

    /// Why it is unknown.
    #[must_use]
    pub const fn unpriced_reason(&self) -> Option<UnpricedReason> {
        match self {
            Self::Unpriced(reason) => Some(*reason),
            Self::Provided(_) | Self::Custom(_) | Self::Computed { .. } | Self::CachedZero => None,
        }
    }
}

impl PricedEvent {
    /// Settles the cost and the quota of an event.
    #[must_use]
    pub fn new(event: UsageEvent, book: &PriceBook) -> Self {
        let cost = price(&Billable::of(&event), book);
        let quota = quota_of(&event, &cost);
        Self { event, cost, quota }
    }

    /// The event.
    #[must_use]
    pub const fn event(&self) -> &UsageEvent {
        &self.event
    }

    /// Its cost.
    #[must_use]
    pub const fn cost(&self) -> &Cost {
        &self.cost
    }

    /// Its quota units.
    #[must_use]
    pub const fn quota(&self) -> Option<Quota> {
        self.quota
    }

    /// The texts of the event: what may still change when the cost is settled.
    pub const fn texts_mut(&mut self) -> Texts<'_> {
        self.event.texts_mut()
    }

    /// The event and its cost, taken apart.
    #[must_use]
    pub fn into_parts(self) -> (UsageEvent, Cost) {
        (self.event, self.cost)
    }
}

/// What an event cost. A cost that the event carries wins, since whoever wrote it knew the bill; then the gateway's
/// cache, from which nothing is bought at any price (Cloudflare counts a hit as 0 under custom costs, too); then the
/// caller's own prices; then the book.
///
/// The model that answered is what ran, so it is what is priced. The model that was asked for stands in where the
/// answer names none, and where the answer's name has no price but only dates or numbers the name that was asked for;
/// never on Azure, where that is the name of a deployment, which may be anything. On Bedrock the id that was asked for
/// comes first, where it has a price: the same model costs less from anywhere than from one region, and its answer names
/// no region. The price is the one in force when the call ended.
#[must_use]
pub fn price(billable: &Billable<'_>, book: &PriceBook) -> Cost {
    if let Some(amount) = billable.provided_cost {
        return Cost::Provided(amount);
    }
    if billable.cached {
        return Cost::CachedZero;
    }
    let cost = match billable.custom_cost {
        Some(prices) => custom(billable, prices, |_| ()).map(Cost::Custom),
        None => compute(billable, book),
    };
    cost.unwrap_or_else(Cost::Unpriced)
}

/// One side of a custom cost: the charge, the tokens, the price of one, and the amount.
pub(crate) type CustomLine = (&'static str, u64, Usd, Option<Usd>);

/// All input and all output, each at the caller's price. A total that was not reported is missed only where it has a
/// price: nothing times an unknown count is nothing.
pub(crate) fn custom(
    billable: &Billable<'_>,
    prices: CustomCost,
    mut see: impl FnMut(CustomLine),
) -> Result<Usd, UnpricedReason> {
    let tokens = billable.tokens;
    if tokens.is_empty() {
        return Err(UnpricedReason::NoUsage);
    }
    let sides = [
        ("tokens_in", tokens.total_in(), prices.per_token_in, UnpricedReason::NoInput),
        ("tokens_out", tokens.total_out(), prices.per_token_out, UnpricedReason::NoOutput),
    ];
    let mut sum = Ok(Usd::ZERO);
    for (charge, count, price, missing) in sides {
        if count.is_none() && price > Usd::ZERO {
            sum = sum.and(Err(missing));
        }
        let Some(count) = count else { continue };
        let amount = price.checked_mul(count);
        see((charge, count, price, amount));
        sum = sum.and_then(|sum| {
            amount.and_then(|amount| sum.checked_add(amount)).ok_or(UnpricedReason::OutOfRange)
        });
    }
    sum
}

fn compute(billable: &Billable<'_>, book: &PriceBook) -> Result<Cost, UnpricedReason> {
    has_usage(billable)?;
    let (_, models) = models(billable, book)?;
    let prices = applicable(&models, billable.created_at, billable.tier())?;
    let bill = Bill::new(*billable, prices);
    let amount = bill.total(|_| ())?;
    Ok(Cost::Computed { amount, price_id: Arc::clone(&bill.entry().id), edition: book.edition() })
}

/// Whether enough was counted for a price to make a cost.
pub(crate) fn has_usage(billable: &Billable<'_>) -> Result<(), UnpricedReason> {
    let Billable { tokens, units, .. } = billable;
    if tokens.is_empty() {
        // What tools did for an answer comes on top of it: without the answer's own usage it is a part of the bill.
        let is_of_tools =
            |unit| matches!(unit, Unit::WebSearches | Unit::FileSearches | Unit::CodeExecutions);
        let only_tools = units.iter().all(|(unit, _)| is_of_tools(unit));
        return if only_tools { Err(UnpricedReason::NoUsage) } else { Ok(()) };
    }
    // What is read may be counted in units instead.
    let in_units = [Unit::InputCharacters, Unit::AudioInputMs, Unit::InputPages, Unit::AnnotatedPages];
    let is_input_known = tokens.total_in().is_some() || in_units.iter().any(|unit| units.get(*unit) > 0);
    if is_input_known { Ok(()) } else { Err(UnpricedReason::NoInput) }
}

/// The name that is priced, and what the book lists under it.
pub(crate) fn models<'a>(
    billable: &Billable<'a>,
    book: &PriceBook,
) -> Result<(&'a str, Found), UnpricedReason> {
    let provider = billable.provider.ok_or(UnpricedReason::NoProvider)?;
    let requested = billable.model_requested.filter(|_| provider != AZURE);
    let requested = requested.map(|name| without_resource(provider, name));
    let returned = billable.model.map(|name| without_resource(provider, name));
    if let Some(id) = requested.filter(|_| provider == BEDROCK) {
        let found = book.find(provider, id);
        if !found.is_empty() {
            return Ok((id, found));
        }
    }
    let Some(returned) = returned else {
        let requested = requested.ok_or(UnpricedReason::NoModel)?;
        return Ok((requested, book.find(provider, requested)));
    };
    let found = book.find(provider, returned);
    match requested {
        Some(requested) if found.is_empty() && is_version_of(returned, requested) => {
            Ok((requested, book.find(provider, requested)))
        }
        _ => Ok((returned, found)),
    }
}

/// Google's APIs for `OpenAI`'s clients name a model by where it is: `models/gemini-2.5-pro`, `google/gemini-2.5-pro`.
fn without_resource<'a>(provider: &str, name: &'a str) -> &'a str {
    const GOOGLE: [&str; 2] = ["google-ai-studio", "google-vertex-ai"];
    let bare = ["models/", "google/"].iter().find_map(|place| name.strip_prefix(place));
    bare.filter(|_| GOOGLE.contains(&provider)).unwrap_or(name)
}

#[cfg(test)]
mod tests;

//! The pure function from an event and a book to a cost.

use weir_event::{CostSource, TokenBucket, UsageEvent, Usd};

use crate::book::{PriceBook, PriceRow};

/// The provider whose requested models are names of deployments.
const AZURE: &str = "azure-openai";

/// What an event cost, with where the figure comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The event carried it.
    Provided(Usd),
    /// Its tokens times a row of the book.
    Computed {
        /// The amount.
        amount: Usd,
        /// The row's id.
        price_id: String,
    },
    /// The gateway's own cache answered: nothing was bought.
    CachedZero,
    /// Unknown, which is not 0.
    Unpriced(UnpricedReason),
}

/// Why a cost is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpricedReason {
    /// No token counts are known: an error, a truncated log, or a stream that did not report them.
    NoUsage,
    /// Output was reported and input was not: a part of the cost is not the cost.
    NoInput,
    /// Neither the provider nor the model is known.
    NoModel,
    /// The book has no row in force for the provider and model.
    NoPrice,
    /// The row has no price for a bucket that was used.
    NoBucketPrice(TokenBucket),
    /// The sum leaves the range of [`Usd`].
    OutOfRange,
}

/// An event whose cost is settled: the only thing that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct PricedEvent {
    event: UsageEvent,
    cost: Cost,
}

impl Cost {
    /// The amount, `None` where it is unknown.
    #[must_use]
    pub const fn amount(&self) -> Option<Usd> {
        match self {
            Self::Provided(amount) | Self::Computed { amount, .. } => Some(*amount),
            Self::CachedZero => Some(Usd::ZERO),
            Self::Unpriced(_) => None,
        }
    }

    /// Where it comes from.
    #[must_use]
    pub const fn source(&self) -> CostSource {
        match self {
            Self::Provided(_) => CostSource::Provided,
            Self::Computed { .. } => CostSource::Computed,
            Self::CachedZero => CostSource::CachedZero,
            Self::Unpriced(_) => CostSource::Unpriced,
        }
    }

    /// The row of the book that made it.
    #[must_use]
    pub fn price_id(&self) -> Option<&str> {
        match self {
            Self::Computed { price_id, .. } => Some(price_id),
            Self::Provided(_) | Self::CachedZero | Self::Unpriced(_) => None,
        }
    }
}

impl PricedEvent {
    /// Settles the cost of an event.
    #[must_use]
    pub fn new(event: UsageEvent, book: &PriceBook) -> Self {
        let cost = price(&event, book);
        Self { event, cost }
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

    /// The event and its cost, taken apart.
    #[must_use]
    pub fn into_parts(self) -> (UsageEvent, Cost) {
        (self.event, self.cost)
    }
}

/// What an event cost. A cost that the event carries wins; then the gateway's cache; then the book.
///
/// The model that answered is what ran, so it is what is priced. Only where the answer names none does the model that
/// was asked for stand in; never on Azure, where that is the name of a deployment, which may be anything. The price is
/// the one in force when the call ended.
#[must_use]
pub fn price(event: &UsageEvent, book: &PriceBook) -> Cost {
    if let Some(amount) = event.provided_cost {
        return Cost::Provided(amount);
    }
    if event.cached {
        return Cost::CachedZero;
    }
    compute(event, book).unwrap_or_else(Cost::Unpriced)
}

fn compute(event: &UsageEvent, book: &PriceBook) -> Result<Cost, UnpricedReason> {
    if event.tokens.is_empty() {
        return Err(UnpricedReason::NoUsage);
    }
    let provider = event.provider.as_deref().ok_or(UnpricedReason::NoModel)?;
    if event.tokens.total_in().is_none() {
        return Err(UnpricedReason::NoInput);
    }
    let requested = event.model_requested.as_deref().filter(|_| provider != AZURE);
    let model = event.model.as_deref().or(requested).ok_or(UnpricedReason::NoModel)?;
    let row = book.find(provider, model, event.created_at).ok_or(UnpricedReason::NoPrice)?;
    Ok(Cost::Computed { amount: sum(event, row)?, price_id: row.id().to_owned() })
}

fn sum(event: &UsageEvent, row: &PriceRow) -> Result<Usd, UnpricedReason> {
    let used = event.tokens.iter().filter(|(_, count)| *count > 0);
    used.map(|(bucket, count)| {
        let per_token = row.per_token(bucket).ok_or(UnpricedReason::NoBucketPrice(bucket))?;
        per_token.checked_mul(count).ok_or(UnpricedReason::OutOfRange)
    })
    .try_fold(Usd::ZERO, |total, amount| total.checked_add(amount?).ok_or(UnpricedReason::OutOfRange))
}

#[cfg(test)]
mod tests;

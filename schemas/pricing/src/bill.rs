//! The one calculation: which charges a request has, which price each of them meets, and the sum.
//!
//! A cost and its receipt both come from [`Bill::total`]; the cost looks away from the lines, the receipt keeps them.

use weir_event::{TokenBucket, Unit, UnpricedReason, Usd};

use crate::billable::Billable;
use crate::book::{Applicable, ContextBound, Entry, Rates};
use crate::charge::Charge;
use crate::rate::Rate;

/// A request and the prices that apply to it, found and not yet multiplied.
pub(crate) struct Bill<'b> {
    billable: Billable<'b>,
    /// The prices that may apply, the most particular first: the service tier's for the size of the request, the
    /// service tier's own, the standard's for the size of the request, the standard's own.
    levels: [Option<Level<'b>>; 4],
    /// The entry that names the cost.
    entry: &'b Entry,
}

/// A set of prices and where it comes from.
#[derive(Clone, Copy)]
pub(crate) struct Level<'b> {
    rates: &'b Rates,
    pub(crate) entry: &'b Entry,
    pub(crate) bound: Option<ContextBound>,
}

/// One line of a bill.
pub(crate) struct Line<'b> {
    pub(crate) charge: Charge,
    pub(crate) count: u64,
    /// How many are billed: more than were counted where the price has a minimum.
    pub(crate) billed: u64,
    /// `None` where nothing prices it.
    pub(crate) price: Option<LinePrice<'b>>,
    /// `None` where nothing prices it, or where it is more than an amount can be.
    pub(crate) amount: Option<Usd>,
}

/// The price that a line met.
#[derive(Clone, Copy)]
pub(crate) struct LinePrice<'b> {
    pub(crate) rate: Rate,
    /// Whose price it is: the line's own charge, or the one that stands in.
    pub(crate) of: Charge,
    pub(crate) level: Level<'b>,
}

impl<'b> Bill<'b> {
    /// Puts a request before its prices.
    pub(crate) fn new(billable: Billable<'b>, prices: Applicable<'b>) -> Self {
        let size = billable.tokens.total_in().unwrap_or(0);
        let level = |entry: &'b Entry| Level { rates: &entry.base, entry, bound: None };
        let sized = |entry: &'b Entry| {
            let tier = entry.context_tier(size)?;
            Some(Level { rates: &tier.rates, entry, bound: Some(tier.bound) })
        };
        let Applicable { entry, standard, file: _ } = prices;
        let levels = [sized(entry), Some(level(entry)), standard.and_then(sized), standard.map(level)];
        Self { billable, levels, entry }
    }

    /// The entry that names the cost: the service tier's, else the standard one.
    pub(crate) const fn entry(&self) -> &'b Entry {
        self.entry
    }

    /// Adds up what the request cost, and shows each line on the way, also those that spoil the sum.
    pub(crate) fn total(&self, mut see: impl FnMut(&Line<'b>)) -> Result<Usd, UnpricedReason> {
        let mut sum = Sum { total: Ok(Usd::ZERO), units_billed: false };
        for (bucket, count) in self.billable.tokens.iter().filter(|(_, count)| *count > 0) {
            let line = self.line(Charge::Tokens(bucket), count);
            sum.add(&line);
            see(&line);
        }
        for (unit, count) in self.billable.units.iter() {
            let line = self.line(Charge::Unit(unit), count);
            sum.add(&line);
            see(&line);
        }
        let request = self.line(Charge::Requests, 1);
        if request.price.is_some() {
            sum.add(&request);
            see(&request);
        }
        let only_units = self.billable.tokens.is_empty();
        sum.total.and_then(|total| {
            if only_units && !sum.units_billed {
                Err(UnpricedReason::NoUnitPrice)
            } else if self.lacks_output() {
                Err(UnpricedReason::NoOutput)
            } else {
                Ok(total)
            }
        })
    }

    fn line(&self, charge: Charge, count: u64) -> Line<'b> {
        let price = self.price_of(charge);
        let billed = price.map_or(count, |price| price.level.entry.billed(charge, count));
        let amount = price.and_then(|price| price.rate.times(billed));
        Line { charge, count, billed, price, amount }
    }

    /// The price of a charge: its own, from the most particular level that has it; else that of the nearest stand-in.
    ///
    /// Reasoning is output: where a level prices output and not reasoning, it means both. The standard's price of
    /// reasoning is not the price of reasoning in a batch.
    fn price_of(&self, charge: Charge) -> Option<LinePrice<'b>> {
        const REASONING: Charge = Charge::Tokens(TokenBucket::Reasoning);
        let levels = || self.levels.iter().flatten();
        let at = |level: &Level<'b>, of: Charge| {
            level.rates.get(of).map(|rate| LinePrice { rate, of, level: *level })
        };
        let all = || std::iter::once(charge).chain(charge.stand_ins().iter().copied());
        if charge == REASONING {
            return levels().find_map(|level| all().find_map(|of| at(level, of)));
        }
        all().find_map(|of| levels().find_map(|level| at(level, of)))
    }

    /// Whether the output is missing that the model's price is for. Models without output (embeddings) have no price
    /// for it, or the price 0; images and sound may be counted in units instead.
    fn lacks_output(&self) -> bool {
        let billable = &self.billable;
        let in_units = [Unit::ImagesOutput, Unit::AudioOutputMs, Unit::VideoOutputMs];
        let unreported = !billable.tokens.is_empty()
            && billable.tokens.total_out().is_none()
            && in_units.iter().all(|unit| billable.units.get(*unit) == 0);
        let price = || self.price_of(Charge::Tokens(TokenBucket::TextOutput));
        unreported && price().is_some_and(|price| price.rate.amount() > Usd::ZERO)
    }
}

/// A sum under way, and the first reason why there is none.
struct Sum {
    total: Result<Usd, UnpricedReason>,
    units_billed: bool,
}

impl Sum {
    fn add(&mut self, line: &Line<'_>) {
        let Ok(total) = self.total else { return };
        match (line.charge, line.price, line.amount) {
            (_, Some(_), Some(amount)) => {
                self.units_billed |= matches!(line.charge, Charge::Unit(_));
                self.total = total.checked_add(amount).ok_or(UnpricedReason::OutOfRange);
            }
            (_, Some(_), None) => self.total = Err(UnpricedReason::OutOfRange),
            (Charge::Tokens(_), None, _) => self.total = Err(UnpricedReason::NoBucketPrice),
            // Providers list these only where they bill them.
            (Charge::Unit(_) | Charge::Requests, None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests;

//! Receipts: how a cost came about, line by line, for people and as JSON. Never a second calculation: the lines are
//! those of the cost itself.

use std::fmt;

use serde::Serialize;
use weir_event::{CostSource, Timestamp, UnpricedReason, Usd};

use crate::bill::{Bill, Line, LinePrice};
use crate::billable::Billable;
use crate::book::{ContextBound, Edition, PriceBook, applicable};
use crate::charge::Charge;
use crate::cost::{Cost, custom, has_usage, models, price};

/// How the cost of one event came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Who ran the model.
    pub provider: Option<String>,
    /// The name that was priced: of the model that answered, or of the one that was asked for where that stands in.
    pub model: Option<String>,
    /// When the event ended: the moment whose prices apply.
    pub created_at: Timestamp,
    /// How the provider ran it, where that is not the standard.
    pub service_tier: Option<String>,
    /// What was charged, and what was not.
    pub lines: Vec<ReceiptLine>,
    /// The price of the book that the lines were made with.
    pub price: Option<ReceiptPrice>,
    /// The cost in US dollars; `None` where it is unknown.
    pub total: Option<Usd>,
    /// Where the cost comes from.
    pub cost_source: CostSource,
    /// Why it is unknown.
    pub unpriced_reason: Option<UnpricedReason>,
    /// What the book would have said, where the cost is not the book's.
    pub book: Option<Box<Receipt>>,
}

/// The price that a cost names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptPrice {
    /// Its id.
    pub id: String,
    /// The file that lists it: `weir/openai.toml`.
    pub file: String,
    /// The edition of the book that has the file.
    pub edition: String,
}

/// One charge: billed x rate = amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptLine {
    /// What was charged: a word of the price book, or `tokens_in` and `tokens_out` of a custom cost.
    pub charge: &'static str,
    /// How many there were.
    pub count: u64,
    /// How many are billed: more than there were where the price has a minimum.
    pub billed: u64,
    /// At which price; `None` where there is none: a unit is then not billed, and a bucket leaves the cost unknown.
    pub rate: Option<ReceiptRate>,
    /// What is billed times the price, in US dollars.
    pub amount: Option<Usd>,
}

/// The price of a line, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptRate {
    /// US dollars.
    pub amount: Usd,
    /// For how many: 1, or the milliseconds of an hour.
    pub per: u64,
    /// The price that has it; `None` in a custom cost.
    pub price_id: Option<String>,
    /// The charge whose price stands in, where the line's own has none.
    pub stand_in: Option<Charge>,
    /// The size of the request that the price is for.
    pub context: Option<ContextBound>,
    /// The service tier that the price is for.
    pub service_tier: Option<String>,
    /// The first UTC day of the price.
    pub from: Option<String>,
}

/// How the cost of an event came about: its total is what [`price`] gives, always.
#[must_use]
pub fn receipt(billable: &Billable<'_>, book: &PriceBook) -> Receipt {
    let cost = price(billable, book);
    let own = |billable: &Billable<'_>| Receipt {
        provider: billable.provider.map(str::to_owned),
        model: billable.model.or(billable.model_requested).map(str::to_owned),
        created_at: billable.created_at,
        service_tier: billable.tier().map(str::to_owned),
        lines: Vec::new(),
        price: None,
        total: cost.amount(),
        cost_source: cost.source(),
        unpriced_reason: cost.unpriced_reason(),
        book: None,
    };
    let book_alone = Billable { provided_cost: None, custom_cost: None, cached: false, ..*billable };
    let said_by_book = || Some(Box::new(receipt(&book_alone, book)));
    match (&cost, billable.custom_cost) {
        (Cost::Provided(_) | Cost::CachedZero, _) => Receipt { book: said_by_book(), ..own(billable) },
        (Cost::Custom(_) | Cost::Unpriced(_), Some(prices)) => {
            let mut lines = Vec::new();
            // The result is the cost that is already known.
            let _ = custom(billable, prices, |line| lines.push(ReceiptLine::custom(line)));
            Receipt { lines, book: said_by_book(), ..own(billable) }
        }
        (Cost::Computed { .. } | Cost::Unpriced(_) | Cost::Custom(_), _) => {
            let mut receipt = own(billable);
            // An event that has no cost has the lines that can be told.
            let _ = receipt.fill(billable, book);
            receipt
        }
    }
}

impl Receipt {
    /// The lines of the book.
    fn fill(&mut self, billable: &Billable<'_>, book: &PriceBook) -> Result<(), UnpricedReason> {
        let (model, models) = models(billable, book)?;
        self.model = Some(model.to_owned());
        has_usage(billable)?;
        let prices = applicable(&models, billable.created_at, billable.tier())?;
        let bill = Bill::new(*billable, prices);
        self.price = Some(ReceiptPrice::new(&bill.entry().id, prices.file, book.edition()));
        bill.total(|line| self.lines.push(ReceiptLine::of(line))).map(|_| ())
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{indent}{line}")?;
        }
        write!(f, "{indent}total ")?;
        match (self.total, self.unpriced_reason) {
            (Some(total), _) => write!(f, "{total} USD, {}", self.cost_source)?,
            (None, reason) => write!(f, "unknown: {}", reason.map_or("", UnpricedReason::as_str))?,
        }
        if let Some(ReceiptPrice { id, file, edition }) = &self.price {
            write!(f, " with {id} of {file}, book {edition}")?;
        }
        if let Some(book) = &self.book {
            writeln!(f, "\n{indent}the book would have said:")?;
            book.print(f, &format!("{indent}  "))?;
        }
        Ok(())
    }
}

impl ReceiptPrice {
    fn new(id: &str, file: &str, edition: Edition) -> Self {
        Self { id: id.to_owned(), file: file.to_owned(), edition: edition.to_string() }
    }
}

impl ReceiptLine {
    fn of(line: &Line<'_>) -> Self {
        let rate = line.price.map(|price| ReceiptRate::of(line.charge, price));
        Self {
            charge: line.charge.as_str(),
            count: line.count,
            billed: line.billed,
            rate,
            amount: line.amount,
        }
    }

    fn custom((charge, count, price, amount): crate::cost::CustomLine) -> Self {
        let rate = ReceiptRate {
            amount: price,
            per: 1,
            price_id: None,
            stand_in: None,
            context: None,
            service_tier: None,
            from: None,
        };
        Self { charge, count, billed: count, rate: Some(rate), amount }
    }
}

impl ReceiptRate {
    fn of(charge: Charge, price: LinePrice<'_>) -> Self {
        let LinePrice { rate, of, level } = price;
        let (amount, per) = rate.for_one().map_or((rate.amount(), rate.per()), |one| (one, 1));
        Self {
            amount,
            per,
            price_id: Some(level.entry.id.to_string()),
            stand_in: (of != charge).then_some(of),
            context: level.bound,
            service_tier: level.entry.service_tier.as_deref().map(str::to_owned),
            from: level
                .entry
                .window
                .from
                .map(|from| from.to_string().chars().take("YYYY-MM-DD".len()).collect()),
        }
    }
}

/// `azure-openai gpt-4o-2024-05-13 at 2024-09-30T09:45:41.328Z`, a line per charge, and the total.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |name: &Option<String>| name.as_deref().unwrap_or("unknown").to_owned();
        write!(f, "{} {} at {}", or_unknown(&self.provider), or_unknown(&self.model), self.created_at)?;
        match &self.service_tier {
            Some(tier) => writeln!(f, ", {tier}")?,
            None => writeln!(f)?,
        }
        self.print(f, "  ")
    }
}

/// `text_output            354 x 0.000015 = 0.00531`, and in brackets what is particular about the price.
impl fmt::Display for ReceiptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<18} {:>9}", self.charge, self.count)?;
        if self.billed != self.count {
            write!(f, " billed as {}", self.billed)?;
        }
        let Some(rate) = &self.rate else {
            let is_tokens = self.charge.parse().is_ok_and(|charge| matches!(charge, Charge::Tokens(_)));
            return f.write_str(if is_tokens { " x no price" } else { " not billed" });
        };
        write!(f, " x {}", rate.amount)?;
        if rate.per != 1 {
            write!(f, " / {}", rate.per)?;
        }
        match self.amount {
            Some(amount) => write!(f, " = {amount}")?,
            None => f.write_str(" is more than an amount can be")?,
        }
        let notes: Vec<String> = [
            rate.stand_in.map(|charge| format!("price of {charge}")),
            rate.context.map(|bound| format!("{bound} input tokens")),
            rate.service_tier.clone(),
            rate.from.as_ref().map(|from| format!("since {from}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if notes.is_empty() { Ok(()) } else { write!(f, " ({})", notes.join(", ")) }
    }
}

#[cfg(test)]
mod tests;

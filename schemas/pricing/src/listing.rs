//! What a book lists: the prices in force at a moment, for people to read. Never a way to price an event.

use std::fmt;

use weir_event::{Timestamp, Usd};

use crate::book::{ContextBound, Entry, PriceBook, Rates, applicable};
use crate::charge::Charge;

/// A price of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its id: `openai/gpt-4o@2024-10-02`.
    pub id: String,
    /// The file that lists it: `weir/openai.toml`.
    pub file: String,
    /// What it charges for.
    pub rates: Vec<ListedRate>,
}

/// What one charge costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedRate {
    /// Which one.
    pub charge: Charge,
    /// US dollars.
    pub amount: Usd,
    /// For how many: a million, a thousand, or the milliseconds of an hour.
    pub per: u64,
    /// From which size of the request on; `None` is below all of these.
    pub context: Option<ContextBound>,
}

impl PriceBook {
    /// What a provider's model costs at a moment: the price that answers, of each service tier, standard first.
    #[must_use]
    pub fn in_force(&self, provider: &str, model: &str, at: Timestamp) -> Vec<Listing> {
        let models = self.find(provider, model);
        let mut tiers: Vec<Option<&str>> = models.iter().flat_map(|model| model.tiers()).collect();
        tiers.sort_unstable();
        tiers.dedup();
        let answers = tiers.into_iter().filter_map(|tier| applicable(&models, at, tier).ok());
        answers.map(|prices| Listing::new(prices.file, prices.entry)).collect()
    }

    /// The prices in force at a moment that the files of a provider list, or all of them: the best layer first, so that a
    /// model can be there more than once, and the first is the one that counts.
    #[must_use]
    pub fn listed(&self, provider: Option<&str>, at: Timestamp) -> Vec<Listing> {
        let mut listings = Vec::new();
        for model in self.models_of(provider) {
            let mut tiers: Vec<Option<&str>> = model.tiers().collect();
            tiers.sort_unstable();
            tiers.dedup();
            let entries = tiers.into_iter().filter_map(|tier| model.entry(at, tier));
            listings.extend(entries.map(|entry| Listing::new(&model.file, entry)));
        }
        listings
    }
}

impl Listing {
    fn new(file: &str, entry: &Entry) -> Self {
        let of = |rates: &Rates, context| {
            let listed = |(charge, rate): &(Charge, crate::rate::Rate)| ListedRate {
                charge: *charge,
                amount: rate.amount(),
                per: rate.per(),
                context,
            };
            let mut rates: Vec<ListedRate> = rates.0.iter().map(listed).collect();
            rates.sort_by_key(|rate| rate.charge);
            rates
        };
        let mut rates = of(&entry.base, None);
        rates.extend(entry.tiers.iter().flat_map(|tier| of(&tier.rates, Some(tier.bound))));
        Self { id: entry.id.to_string(), file: file.to_owned(), rates }
    }
}

/// The id and the file, then a line per charge.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.file)?;
        for ListedRate { charge, amount, per, context } in &self.rates {
            write!(f, "\n  {charge:<18} {amount} / {per}")?;
            if let Some(context) = context {
                write!(f, " ({context} input tokens)")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: &str = r#"
        provider = "p"
        [[model]]
        id = "m"
        match = [{ prefix = "m-" }]
        [[model.price]]
        per_million = { uncached_input = "3" }
        [[model.price.tier]]
        over = 200000
        per_million = { uncached_input = "6" }
        [[model.price]]
        from = "2026-05-01"
        per_million = { uncached_input = "2" }
        per_hour = { audio_input_ms = "0.36" }
        [[model.price]]
        service_tier = "batch"
        from = "2026-05-01"
        per_million = { uncached_input = "1" }
    "#;

    #[test]
    fn a_listing_is_what_is_in_force() {
        let book = PriceBook::parse(&[("p.toml", BOOK)]).unwrap();
        let check = |model: &str, at: &str, expected: &[&str]| {
            let at = format!("{at}T00:00:00Z").parse().unwrap();
            let listings: Vec<_> = book.in_force("p", model, at).iter().map(ToString::to_string).collect();
            assert_eq!(listings, expected, "{model} {at}");
        };
        let first = "p/m of p.toml\n  uncached_input     3 / 1000000\n  uncached_input     6 / 1000000 (over 200000 input tokens)";
        check("m-1", "2026-04-30", &[first]);
        let second =
            "p/m@2026-05-01 of p.toml\n  uncached_input     2 / 1000000\n  audio_input_ms     0.36 / 3600000";
        check(
            "m-1",
            "2026-05-01",
            &[second, "p/m@2026-05-01+batch of p.toml\n  uncached_input     1 / 1000000"],
        );
        check("n", "2026-05-01", &[]);
        let at = "2026-05-01T00:00:00Z".parse().unwrap();
        assert_eq!(book.listed(Some("p"), at).len(), 2);
        assert_eq!(book.listed(Some("q"), at), []);
        assert_eq!(book.listed(None, at), book.in_force("p", "m-1", at));
    }
}

//! What an import carried over, and what it did not.

use std::collections::BTreeMap;
use std::fmt;

use super::draft::{DraftFile, quoted};

/// Counts of what came over, and names and counts of what did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Price files.
    pub providers: usize,
    /// Models in them.
    pub models: usize,
    /// Price entries of these.
    pub prices: usize,
    /// Rows of providers that requests are not routed to, by the source's name of the provider.
    pub not_routed: BTreeMap<String, usize>,
    /// Models that were left out, by reason.
    pub left_out: BTreeMap<String, Vec<String>>,
    /// Parts of models that were not carried over, by name: the models have prices without them.
    pub not_understood: BTreeMap<String, Vec<String>>,
    /// Amounts that had more decimals than a price may have, with what they were rounded to.
    pub rounded: Vec<String>,
}

impl Report {
    pub(super) fn not_routed(&mut self, provider: &str) {
        *self.not_routed.entry(provider.to_owned()).or_default() += 1;
    }

    pub(super) fn leave_out(&mut self, reason: impl Into<String>, model: impl Into<String>) {
        self.left_out.entry(reason.into()).or_default().push(model.into());
    }

    pub(super) fn not_understood(&mut self, what: impl Into<String>, model: impl Into<String>) {
        self.not_understood.entry(what.into()).or_default().push(model.into());
    }

    pub(super) fn count_file(&mut self, file: &DraftFile) {
        self.providers += 1;
        self.models += file.models.len();
        self.prices += file.models.iter().map(|model| model.prices.len()).sum::<usize>();
    }
}

/// TOML, as `SOURCES.toml` has it below a source.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "providers = {}", self.providers)?;
        writeln!(f, "models = {}", self.models)?;
        writeln!(f, "prices = {}", self.prices)?;
        writeln!(f, "rounded_amounts = {}", self.rounded.len())?;
        let lengths = |names: &BTreeMap<String, Vec<String>>| -> Vec<(String, usize)> {
            names.iter().map(|(name, models)| (name.clone(), models.len())).collect()
        };
        for (table, counts) in [
            ("left_out", lengths(&self.left_out)),
            ("not_understood", lengths(&self.not_understood)),
            ("not_routed", self.not_routed.clone().into_iter().collect()),
        ] {
            writeln!(f, "\n[source.{table}]")?;
            for (name, count) in counts {
                writeln!(f, "{} = {count}", quoted(&name))?;
            }
        }
        Ok(())
    }
}

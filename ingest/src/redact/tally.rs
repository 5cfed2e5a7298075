//! What was done to texts, in numbers, until they are added to the metrics.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelValue;
use weir_event::{Flag, Flags};

use super::Policy;

/// The most that was done to the texts of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// They are as they came.
    Untouched,
    /// Something was blanked.
    Redacted,
    /// Of a body only the beginning is left.
    Cut,
    /// A body is not stored, as the policy has it.
    Withheld,
    /// The rules could not be applied, so no text is stored.
    Failed,
}

/// Numbers of records and of places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    records: BTreeMap<(Policy, Outcome), u64>,
    places: BTreeMap<(usize, Policy), u64>,
}

impl Outcome {
    /// What the flags of a row say.
    pub(super) fn of(flags: Flags) -> Self {
        [
            (Flag::RedactionFailed, Self::Failed),
            (Flag::BodiesWithheld, Self::Withheld),
            (Flag::BodiesCut, Self::Cut),
            (Flag::Redacted, Self::Redacted),
        ]
        .into_iter()
        .find_map(|(flag, outcome)| flags.has(flag).then_some(outcome))
        .unwrap_or(Self::Untouched)
    }
}

impl Tally {
    pub(super) fn record(&mut self, policy: Policy, outcome: Outcome) {
        *self.records.entry((policy, outcome)).or_default() += 1;
    }

    pub(super) fn place(&mut self, rule: usize, policy: Policy) {
        *self.places.entry((rule, policy)).or_default() += 1;
    }

    /// How many records a policy was applied to, by what came of it. Dead letters are counted as well.
    pub fn records(&self) -> impl Iterator<Item = (Policy, Outcome, u64)> {
        self.records.iter().map(|((policy, outcome), count)| (*policy, *outcome, *count))
    }

    /// How many places were blanked, by the number of the rule.
    pub fn places(&self) -> impl Iterator<Item = (usize, Policy, u64)> {
        self.places.iter().map(|((rule, policy), count)| (*rule, *policy, *count))
    }
}

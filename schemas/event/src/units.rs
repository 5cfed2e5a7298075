//! Counts of what is billed apart from tokens: searches, seconds of audio, images, pages.

use std::collections::BTreeMap;

use crate::Unit;

/// The unit counts of one event. A unit that is not there was not reported, or not used: unlike tokens, providers name
/// these only where there are any.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Units(BTreeMap<Unit, u64>);

/// Why a count was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} {unit} is more than {}", Units::COUNT_MAX)]
pub struct UnitsError {
    /// What was counted.
    pub unit: Unit,
    /// The count.
    pub count: u64,
}

impl Units {
    /// The most of a unit that one event takes: a trillion, as for tokens.
    pub const COUNT_MAX: u64 = 1_000_000_000_000;

    /// Sets a count. Zero is as good as not set.
    pub fn set(&mut self, unit: Unit, count: u64) -> Result<(), UnitsError> {
        match count {
            0 => {
                self.0.remove(&unit);
            }
            1..=Self::COUNT_MAX => {
                self.0.insert(unit, count);
            }
            _ => return Err(UnitsError { unit, count }),
        }
        Ok(())
    }

    /// A count, 0 where it was not reported.
    #[must_use]
    pub fn get(&self, unit: Unit) -> u64 {
        self.0.get(&unit).copied().unwrap_or(0)
    }

    /// The units that there are, with their counts, none of them 0.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Unit, u64)> + '_ {
        self.0.iter().map(|(unit, count)| (*unit, *count))
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_as_good_as_zero_and_the_impossible_is_refused() {
        let mut units = Units::default();
        units.set(Unit::WebSearches, 0).unwrap();
        assert!(units.is_empty());
        units.set(Unit::WebSearches, 2).unwrap();
        assert_eq!((units.get(Unit::WebSearches), units.get(Unit::InputPages)), (2, 0));
        let error = units.set(Unit::WebSearches, Units::COUNT_MAX + 1).unwrap_err();
        assert_eq!(error.to_string(), "1000000000001 web_searches is more than 1000000000000");
        assert_eq!(units.iter().collect::<Vec<_>>(), [(Unit::WebSearches, 2)]);
        units.set(Unit::WebSearches, 0).unwrap();
        assert!(units.is_empty());
    }
}

//! The flags of an event, as a set.

use crate::Flag;

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u16);

impl Flag {
    /// What is raised for fields that stay closed: one each.
    pub const OF_CLOSED_FIELDS: [Self; 3] =
        [Self::RequestUndecryptable, Self::ResponseUndecryptable, Self::MetadataUndecryptable];
}

impl Flags {
    /// Adds one.
    pub const fn raise(&mut self, flag: Flag) {
        self.0 |= Self::bit(flag);
    }

    /// Whether it is there.
    #[must_use]
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & Self::bit(flag) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are there, in the order of the vocabulary.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.iter().copied().filter(move |flag| self.has(*flag))
    }

    const fn bit(flag: Flag) -> u16 {
        1 << flag as u16
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut set = Self::default();
        flags.into_iter().for_each(|flag| set.raise(flag));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_its_own() {
        assert!(Flags::default().is_empty());
        for flag in Flag::ALL {
            let set: Flags = [*flag].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [*flag]);
        }
        let all: Flags = Flag::ALL.iter().copied().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), Flag::ALL);
    }
}

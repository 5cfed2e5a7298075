//! What is written of a lease.

use serde::{Deserialize, Serialize};

/// A lease as it is in the bucket. Fields that a later version adds are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Who wrote it.
    pub(super) holder: String,
    /// The revision at which its holder took it; 0 in the record that did so, which could not know.
    pub(super) epoch: u64,
    /// Whether its holder gave it back.
    pub(super) is_free: bool,
    /// What its holder leaves to whoever is next; of what it is about, only they need to know.
    pub(super) word: String,
}

impl Record {
    /// What takes the place of `previous`.
    pub(super) fn taken(holder: &str, previous: Option<&Self>) -> Self {
        let word = previous.map_or_else(String::new, |record| record.word.clone());
        Self { holder: holder.to_owned(), epoch: 0, is_free: false, word }
    }

    /// The epoch of a record that was found at `revision`.
    pub(super) fn epoch_at(&self, revision: u64) -> u64 {
        if self.epoch == 0 { revision } else { self.epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_of_a_holder_is_its_epoch() {
        let first = Record::taken("a", None);
        assert_eq!(first.epoch_at(7), 7);
        let renewed = Record { epoch: 7, word: "said".to_owned(), ..first };
        assert_eq!(renewed.epoch_at(9), 7);
        let next = Record::taken("b", Some(&renewed));
        assert_eq!((next.epoch_at(12), next.word.as_str()), (12, "said"));
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let json = r#"{"holder":"a","epoch":1,"is_free":true,"word":"","more":[]}"#;
        assert!(serde_json::from_str::<Record>(json).unwrap().is_free);
    }
}

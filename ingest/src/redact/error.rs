//! Why the rules could not be applied: then the texts are not stored.

/// The rules could not be applied to the end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// An operator's pattern matches at more places than are looked at.
    #[error("a pattern matches at more than {limit} places of one text")]
    TooManyMatches {
        /// The limit.
        limit: usize,
    },
    /// A match of an operator's pattern is longer than is looked ahead.
    #[error("a match of a pattern is longer than {limit} bytes")]
    MatchTooLong {
        /// The limit.
        limit: usize,
    },
    /// A defect of ours.
    #[error("a defect in a rule")]
    Defect,
}

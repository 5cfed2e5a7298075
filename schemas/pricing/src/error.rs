//! What can be wrong with a price book.

use weir_event::TokenBucket;

/// Why a price book cannot be used. It names the row, so that an operator can find it.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Not a price file.
    #[error("price file {file}")]
    File {
        /// The file's name.
        file: String,
        /// What is wrong with it, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A date is not `YYYY-MM-DD`.
    #[error("price {id}: {field} is not a date (YYYY-MM-DD) of the years 2000 to 2099")]
    Date {
        /// The row.
        id: String,
        /// `from` or `until`.
        field: &'static str,
    },
    /// The row would never be in force.
    #[error("price {id}: until is not after from")]
    NeverInForce {
        /// The row.
        id: String,
    },
    /// A model pattern needs exactly one of `exact` and `prefix`.
    #[error("price {id}: model takes exactly one of exact and prefix, and not the empty text")]
    Model {
        /// The row.
        id: String,
    },
    /// A row without providers or prices prices nothing.
    #[error("price {id}: {field} is empty")]
    Empty {
        /// The row.
        id: String,
        /// `providers` or `per_million`.
        field: &'static str,
    },
    /// An amount is not an exact price.
    #[error("price {id}: {bucket:?} is not a decimal from 0 to below 10,000, with at most 12 decimals")]
    Amount {
        /// The row.
        id: String,
        /// Whose amount.
        bucket: TokenBucket,
    },
    /// Two rows have one id: a cost would not say which made it.
    #[error("price {id}: the id is there twice")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// Two rows price the same model at the same time.
    #[error("prices {first} and {second} are both in force for one provider and model pattern")]
    Overlap {
        /// One row.
        first: String,
        /// The other.
        second: String,
    },
}

//! What can be wrong with a price book.

/// Why a price book cannot be used. It names the file and the price, so that an operator can find it; the source says
/// what is wrong.
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
    /// A model or a price of a file makes no sense.
    #[error("price file {file}: {id}")]
    Entry {
        /// The file's name.
        file: String,
        /// The model, or the price of it.
        id: String,
        /// What is wrong with it.
        #[source]
        source: EntryError,
    },
}

/// What is wrong with a model or a price.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A date is not `YYYY-MM-DD`.
    #[error("{field} is not a date (YYYY-MM-DD) of the years 2000 to 2099")]
    Date {
        /// `from` or `until`.
        field: &'static str,
    },
    /// The price would never be in force.
    #[error("until is not after from")]
    NeverInForce,
    /// A span of the day is not `HH:MM-HH:MM`.
    #[error("hours_utc takes spans like \"16:30-00:30\", which are not empty")]
    Hours,
    /// A weekday is not a word of three letters.
    #[error("weekdays takes mon, tue, wed, thu, fri, sat and sun, at least one")]
    Weekdays,
    /// A text that must say something is empty.
    #[error("{field} is empty")]
    Empty {
        /// Which one.
        field: &'static str,
    },
    /// A regular expression is not one.
    #[error("regex")]
    Regex(#[source] Box<regex::Error>),
    /// A charge has an unknown name.
    #[error("a charge")]
    Charge(#[from] weir_event::UnknownName),
    /// An amount is not an exact price.
    #[error("{charge} is not a decimal from 0 to below 100,000, with at most 12 decimals")]
    Amount {
        /// Whose amount.
        charge: crate::Charge,
    },
    /// A charge that is not counted in milliseconds has no price per hour.
    #[error("{charge} is not counted in milliseconds, so it has no price per hour")]
    NotTime {
        /// Which one.
        charge: crate::Charge,
    },
    /// Only units have a minimum.
    #[error("{charge} takes no such minimum: units do, from 1 to 1000000000000")]
    Minimum {
        /// Which one.
        charge: crate::Charge,
    },
    /// A charge has two prices.
    #[error("{charge} has two prices")]
    TwoPrices {
        /// Which one.
        charge: crate::Charge,
    },
    /// A tier does not say once where it begins, or begins where another does.
    #[error("a tier takes exactly one of over and at_least, and no two tiers begin at the same size")]
    TierBound,
    /// Two models of a file have one id: a cost would not say which made it.
    #[error("the id is there twice")]
    DuplicateId,
}

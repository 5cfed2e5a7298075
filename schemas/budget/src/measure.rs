//! What a budget measures.

/// What is summed up over calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Known costs, in US dollars.
    Cost,
    /// Input and output tokens.
    Tokens,
    /// Input tokens.
    TokensIn,
    /// Output tokens.
    TokensOut,
    /// Calls.
    Requests,
    /// Calls that failed.
    Errors,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Cost, Self::Tokens, Self::TokensIn, Self::TokensOut, Self::Requests, Self::Errors];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Tokens => "tokens",
            Self::TokensIn => "tokens_in",
            Self::TokensOut => "tokens_out",
            Self::Requests => "requests",
            Self::Errors => "errors",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.as_str() == name)
    }

    /// Whether there are parts of one.
    #[must_use]
    pub const fn has_decimals(self) -> bool {
        match self {
            Self::Cost => true,
            Self::Tokens | Self::TokensIn | Self::TokensOut | Self::Requests | Self::Errors => false,
        }
    }
}

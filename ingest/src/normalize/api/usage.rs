//! What a usage object comes to, and how its totals are taken apart.

use weir_event::{TokenBucket, Tokens, TokensError, Units, UnitsError};

/// What was used, in disjoint buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::normalize) struct Usage {
    pub(in crate::normalize) tokens: Tokens,
    pub(in crate::normalize) units: Units,
    /// How the provider says that it ran the request, in its own word.
    pub(in crate::normalize) service_tier: Option<String>,
    /// The charge that the provider states, as a decimal number of US dollars.
    pub(in crate::normalize) stated_cost: Option<String>,
}

/// Why a usage object was not believed. The object itself is kept as it came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::normalize) enum UsageError {
    /// Not the object that the API has.
    #[error("usage has another form")]
    Form,
    /// Parts that are greater than the whole: cached, audio or reasoning tokens beyond the total they belong to.
    #[error("usage has more tokens in the parts of {whole} than in all")]
    PartsExceedWhole { whole: &'static str },
    /// A count beyond all measure.
    #[error("usage")]
    Tokens(#[from] TokensError),
    /// A count beyond all measure.
    #[error("usage")]
    Units(#[from] UnitsError),
}

impl Usage {
    /// Puts the parts of a total into their buckets, and what is left of it into the bucket of the rest. A total that
    /// was not reported leaves all of them unreported: parts without their whole are no count.
    pub(super) fn split(
        &mut self,
        whole: &'static str,
        total: Option<u64>,
        rest_bucket: TokenBucket,
        parts: &[(TokenBucket, Option<u64>)],
    ) -> Result<(), UsageError> {
        let Some(total) = total else {
            return Ok(());
        };
        let mut rest = total;
        for (bucket, count) in parts {
            if let Some(count) = *count {
                rest = rest.checked_sub(count).ok_or(UsageError::PartsExceedWhole { whole })?;
                self.tokens.set(*bucket, count)?;
            }
        }
        Ok(self.tokens.set(rest_bucket, rest)?)
    }
}

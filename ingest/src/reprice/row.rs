//! A stored row, as far as its cost goes, and what becomes of it. Pure.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use weir_event::{
    CostSource, CustomCost, QuotaSource, Timestamp, TokenBucket, Tokens, Units, UnpricedReason, Usd,
};
use weir_pricing::{Billable, Cost, Edition, PriceBook, price, quota_of_cost};
use weir_store::{CostRevisionRow, ScaledUsd};

/// The columns of `logs` that a cost is made of, and the ones that say what it is. Names are column names.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub(super) struct StoredRow<'a> {
    pub(super) account_id: &'a str,
    pub(super) gateway_id: &'a str,
    pub(super) created_at: i64,
    pub(super) id: [u8; 26],
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) model_requested: &'a str,
    pub(super) success: bool,
    pub(super) cached: bool,
    pub(super) token: &'a str,
    pub(super) tokens_uncached_input: Option<u64>,
    pub(super) tokens_cache_read: Option<u64>,
    pub(super) tokens_cache_write_5m: Option<u64>,
    pub(super) tokens_cache_write_1h: Option<u64>,
    pub(super) tokens_audio_input: Option<u64>,
    pub(super) tokens_image_input: Option<u64>,
    pub(super) tokens_video_input: Option<u64>,
    pub(super) tokens_cache_read_audio: Option<u64>,
    pub(super) tokens_cache_read_image: Option<u64>,
    pub(super) tokens_text_output: Option<u64>,
    pub(super) tokens_reasoning: Option<u64>,
    pub(super) tokens_audio_output: Option<u64>,
    pub(super) tokens_image_output: Option<u64>,
    pub(super) tokens_video_output: Option<u64>,
    pub(super) tokens_citation: Option<u64>,
    pub(super) units: Vec<(&'a str, u64)>,
    pub(super) service_tier: &'a str,
    pub(super) cost: Option<ScaledUsd>,
    pub(super) cost_source: &'a str,
    pub(super) unpriced_reason: &'a str,
    pub(super) price_id: &'a str,
    pub(super) price_book: &'a str,
    pub(super) cost_revision: u32,
    pub(super) per_token_in: Option<ScaledUsd>,
    pub(super) per_token_out: Option<ScaledUsd>,
    pub(super) quota: Option<i64>,
    pub(super) quota_source: &'a str,
}

/// What a row's cost is by the current book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    cost: Cost,
    quota: Option<i64>,
    quota_source: Option<QuotaSource>,
}

/// A row that this program cannot read: a later one wrote it, or somebody else did. It is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row has a value that this program does not know")]
pub(super) struct Unreadable;

impl StoredRow<'_> {
    /// Prices the row anew. `None` where nothing of its cost changes: a row whose cost comes out the same keeps the
    /// edition of the book that it has.
    pub(super) fn priced_by(&self, book: &PriceBook) -> Result<Option<Verdict>, Unreadable> {
        let source: CostSource = self.cost_source.parse().map_err(|_| Unreadable)?;
        if source == CostSource::Provided {
            return Ok(None);
        }
        let (tokens, units) = (self.tokens()?, self.units()?);
        let billable = Billable {
            provider: known(self.provider),
            model: known(self.model),
            model_requested: known(self.model_requested),
            created_at: Timestamp::from_millis(self.created_at).map_err(|_| Unreadable)?,
            tokens: &tokens,
            units: &units,
            service_tier: known(self.service_tier),
            cached: self.cached,
            provided_cost: None,
            custom_cost: self.custom_cost()?,
        };
        let cost = price(&billable, book);
        let (quota, quota_source) = self.quota_at(&cost)?;
        let verdict = Verdict { cost, quota, quota_source };
        Ok((!self.is_as(&verdict)).then_some(verdict))
    }

    /// The row's change to `verdict`, as `run` applies it in `batch`.
    pub(super) fn revision<'r>(
        &'r self,
        verdict: &'r Verdict,
        run: &'r str,
        batch: u32,
    ) -> CostRevisionRow<'r> {
        CostRevisionRow {
            account_id: self.account_id,
            gateway_id: self.gateway_id,
            created_at: self.created_at,
            id: self.id,
            revision: self.cost_revision + 1,
            run,
            batch,
            old_cost: self.cost,
            old_cost_source: self.cost_source,
            old_unpriced_reason: self.unpriced_reason,
            old_price_id: self.price_id,
            old_price_book: self.price_book,
            old_quota: self.quota,
            old_quota_source: self.quota_source,
            new_cost: verdict.amount(),
            new_cost_source: verdict.cost.source().as_str(),
            new_unpriced_reason: verdict.unpriced_reason(),
            new_price_id: verdict.price_id(),
            new_price_book: verdict.cost.edition().map_or("", Edition::as_str),
            new_quota: verdict.quota,
            new_quota_source: verdict.quota_source(),
        }
    }

    fn is_as(&self, verdict: &Verdict) -> bool {
        self.cost == verdict.amount()
            && self.cost_source == verdict.cost.source().as_str()
            && self.unpriced_reason == verdict.unpriced_reason()
            && self.price_id == verdict.price_id()
            && self.quota == verdict.quota
            && self.quota_source == verdict.quota_source()
    }

    /// Units that were given stay; those that were made of the cost follow it, as [`weir_pricing::quota_of`] has it.
    fn quota_at(&self, cost: &Cost) -> Result<(Option<i64>, Option<QuotaSource>), Unreadable> {
        let source = known(self.quota_source).map(str::parse).transpose().map_err(|_| Unreadable)?;
        match source {
            Some(QuotaSource::Provided | QuotaSource::Ratios) => Ok((self.quota, source)),
            Some(QuotaSource::Cost) | None => {
                let units = cost.amount().filter(|_| self.success).map(quota_of_cost);
                Ok((units, units.map(|_| QuotaSource::Cost)))
            }
        }
    }

    fn custom_cost(&self) -> Result<Option<CustomCost>, Unreadable> {
        let usd = |scaled: ScaledUsd| Usd::try_from(scaled).map_err(|_| Unreadable);
        match (self.per_token_in, self.per_token_out) {
            (Some(per_token_in), Some(per_token_out)) => {
                Ok(Some(CustomCost { per_token_in: usd(per_token_in)?, per_token_out: usd(per_token_out)? }))
            }
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(Unreadable),
        }
    }

    fn units(&self) -> Result<Units, Unreadable> {
        let mut units = Units::default();
        for (unit, count) in &self.units {
            units.set(unit.parse().map_err(|_| Unreadable)?, *count).map_err(|_| Unreadable)?;
        }
        Ok(units)
    }

    fn tokens(&self) -> Result<Tokens, Unreadable> {
        let mut tokens = Tokens::default();
        for bucket in TokenBucket::ALL {
            if let Some(count) = self.tokens_in(bucket) {
                tokens.set(bucket, count).map_err(|_| Unreadable)?;
            }
        }
        Ok(tokens)
    }

    const fn tokens_in(&self, bucket: TokenBucket) -> Option<u64> {
        match bucket {
            TokenBucket::UncachedInput => self.tokens_uncached_input,
            TokenBucket::CacheRead => self.tokens_cache_read,
            TokenBucket::CacheWrite5m => self.tokens_cache_write_5m,
            TokenBucket::CacheWrite1h => self.tokens_cache_write_1h,
            TokenBucket::AudioInput => self.tokens_audio_input,
            TokenBucket::ImageInput => self.tokens_image_input,
            TokenBucket::VideoInput => self.tokens_video_input,
            TokenBucket::CacheReadAudio => self.tokens_cache_read_audio,
            TokenBucket::CacheReadImage => self.tokens_cache_read_image,
            TokenBucket::TextOutput => self.tokens_text_output,
            TokenBucket::Reasoning => self.tokens_reasoning,
            TokenBucket::AudioOutput => self.tokens_audio_output,
            TokenBucket::ImageOutput => self.tokens_image_output,
            TokenBucket::VideoOutput => self.tokens_video_output,
            TokenBucket::Citation => self.tokens_citation,
        }
    }
}

impl Verdict {
    /// The cost, where it is known.
    pub(super) fn amount(&self) -> Option<ScaledUsd> {
        self.cost.amount().map(ScaledUsd::from)
    }

    fn unpriced_reason(&self) -> &'static str {
        self.cost.unpriced_reason().map_or("", UnpricedReason::as_str)
    }

    fn price_id(&self) -> &str {
        self.cost.price_id().unwrap_or_default()
    }

    fn quota_source(&self) -> &'static str {
        self.quota_source.map_or("", QuotaSource::as_str)
    }
}

/// In `logs` the empty text is what was not known.
fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;

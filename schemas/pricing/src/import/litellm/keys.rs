//! A price's key: what it is for, from which size of the request on, and in which service tier.

/// `cache_creation_input_token_cost_above_1hr_above_200k_tokens_priority`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PriceKey<'a> {
    /// What it is for.
    pub(super) base: &'a str,
    /// More input tokens than this; `None` is any size.
    pub(super) over: Option<u64>,
    /// In the words of price files; `None` is standard.
    pub(super) tier: Option<&'a str>,
}

/// The source's words for service tiers, and ours.
const TIERS: &[(&str, &str)] =
    &[("_batches", "batch"), ("_flex", "flex"), ("_priority", "priority"), ("_ultrafast", "ultrafast")];

impl<'a> PriceKey<'a> {
    pub(super) fn parse(key: &'a str) -> Self {
        let tier = TIERS.iter().find_map(|(suffix, tier)| Some((key.strip_suffix(suffix)?, *tier)));
        let (rest, tier) = tier.map_or((key, None), |(rest, tier)| (rest, Some(tier)));
        let over = rest.strip_suffix("k_tokens").and_then(|rest| {
            let (base, thousands) = rest.rsplit_once("_above_")?;
            Some((base, thousands.parse::<u64>().ok()?.checked_mul(1_000)?))
        });
        let (base, over) = over.map_or((rest, None), |(base, over)| (base, Some(over)));
        Self { base, over, tier }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart() {
        let check = |key: &str, base: &str, over: Option<u64>, tier: Option<&str>| {
            assert_eq!(PriceKey::parse(key), PriceKey { base, over, tier }, "{key}");
        };
        check("input_cost_per_token", "input_cost_per_token", None, None);
        check("input_cost_per_token_batches", "input_cost_per_token", None, Some("batch"));
        check(
            "output_cost_per_token_above_272k_tokens_flex",
            "output_cost_per_token",
            Some(272_000),
            Some("flex"),
        );
        check(
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
            "cache_creation_input_token_cost_above_1hr",
            Some(200_000),
            None,
        );
        check(
            "input_cost_per_video_per_second_above_15s_interval",
            "input_cost_per_video_per_second_above_15s_interval",
            None,
            None,
        );
        check("input_cost_per_token_above_k_tokens", "input_cost_per_token_above_k_tokens", None, None);
    }
}

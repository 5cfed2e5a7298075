//! Prices as claims: which row applies, what it makes, and what stays unknown.

use proptest::prelude::*;
use weir_event::wire::WireEvent;
use weir_event::{QuotaSource, Scope, Source, TokenBucket as Bucket, Tokens};

use super::*;

fn event(provider: &str, model: &str, created_at: &str, buckets: &[(Bucket, u64)]) -> UsageEvent {
    let wire: WireEvent = serde_json::from_str(&format!(
        r#"{{"event_id":"e","kind":"consume","started_at":"{created_at}","success":true,
             "provider":"{provider}","model":"{model}"}}"#
    ))
    .unwrap();
    let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
    let mut event = wire.into_event(scope, Source::Http).unwrap();
    let mut tokens = Tokens::default();
    for (bucket, count) in buckets {
        tokens.set(*bucket, *count).unwrap();
    }
    event.tokens = tokens;
    event
}

fn seed_record() -> UsageEvent {
    let buckets = [(Bucket::UncachedInput, 15), (Bucket::TextOutput, 354)];
    event("azure-openai", "gpt-4o-2024-05-13", "2024-09-30T09:45:41.328Z", &buckets)
}

/// A book of one provider, `p`, in one operator's file.
fn book(models: &str) -> PriceBook {
    PriceBook::parse(&[("test.toml", &format!("provider = \"p\"\n{models}"))]).unwrap()
}

/// A model of that book, with one price.
fn model(id: &str, matches: &str, price: &str) -> String {
    format!("[[model]]\nid = \"{id}\"\nmatch = {matches}\n[[model.price]]\n{price}\n")
}

fn cost(event: &UsageEvent, book: &PriceBook) -> Cost {
    price(&Billable::of(event), book)
}

/// The amount and the price's id, or the reason why there is none.
fn said(event: &UsageEvent, book: &PriceBook) -> (String, String) {
    match cost(event, book) {
        Cost::Computed { amount, price_id, edition } => {
            assert_eq!(edition, book.edition());
            (amount.to_string(), price_id.to_string())
        }
        Cost::Unpriced(reason) => ("unpriced".to_owned(), reason.to_string()),
        other => panic!("not of the book: {other:?}"),
    }
}

fn computed(event: &UsageEvent) -> (String, String) {
    said(event, &PriceBook::builtin())
}

#[test]
fn the_seed_record_costs_what_it_did() {
    assert_eq!(computed(&seed_record()), ("0.005385".to_owned(), "openai/gpt-4o-2024-05-13".to_owned()));
}

#[test]
fn the_date_chooses_the_row() {
    let buckets = [(Bucket::UncachedInput, 1_000_000), (Bucket::TextOutput, 0)];
    let before = event("openai", "gpt-4o", "2024-10-01T23:59:59.999Z", &buckets);
    let after = event("openai", "gpt-4o", "2024-10-02T00:00:00.000Z", &buckets);
    assert_eq!(computed(&before), ("5".to_owned(), "openai/gpt-4o@2024-05-13".to_owned()));
    assert_eq!(computed(&after), ("2.5".to_owned(), "openai/gpt-4o@2024-10-02".to_owned()));
    let dated =
        book(&model("m", r#"["m"]"#, "from = \"2024-05-13\"\nper_million = { uncached_input = \"1\" }"));
    let too_early = event("p", "m", "2024-05-12T23:59:59.999Z", &buckets);
    assert_eq!(cost(&too_early, &dated), Cost::Unpriced(UnpricedReason::NotInForce));
}

#[test]
fn cached_and_reasoning_tokens_are_billed_once() {
    let buckets = [
        (Bucket::UncachedInput, 100),
        (Bucket::CacheRead, 900),
        (Bucket::TextOutput, 10),
        (Bucket::Reasoning, 5),
    ];
    let event = event("openai", "o4-mini-2025-04-16", "2026-01-01T00:00:00Z", &buckets);
    // 100 x 1.1 + 900 x 0.275 + 15 x 4.4, per million.
    assert_eq!(computed(&event).0, "0.0004235");
}

#[test]
fn the_requested_model_stands_in_only_where_the_answer_names_none() {
    let buckets = [(Bucket::UncachedInput, 15), (Bucket::TextOutput, 354)];
    let mut event = event("openai", "gpt-4o-2024-05-13", "2024-09-30T00:00:00Z", &buckets);
    event.model_requested = event.model.take();
    assert_eq!(computed(&event).0, "0.005385");
    event.model = Some("gpt-99".to_owned());
    assert_eq!(cost(&event, &PriceBook::builtin()), Cost::Unpriced(UnpricedReason::NoPrice));
}

#[test]
fn google_names_a_model_by_where_it_is() {
    let buckets = [(Bucket::UncachedInput, 1_000_000), (Bucket::TextOutput, 0)];
    let check = |provider: &str, model: &str, expected: Option<&str>| {
        let event = event(provider, model, "2026-01-01T00:00:00Z", &buckets);
        let cost = cost(&event, &PriceBook::builtin());
        assert_eq!(cost.amount().map(|amount| amount.to_string()).as_deref(), expected, "{provider} {model}");
    };
    check("google-vertex-ai", "google/gemini-2.5-flash", Some("0.3"));
    check("google-ai-studio", "models/gemini-2.5-flash", Some("0.3"));
    check("google-ai-studio", "gemini-2.5-flash", Some("0.3"));
    check("openai", "models/gpt-4o", None);
}

#[test]
fn the_requested_model_stands_in_where_the_answer_only_numbers_it() {
    let book = book(
        &(model("m", r#"["m"]"#, r#"per_million = { uncached_input = "1" }"#)
            + &model("dated", r#"["m-2025-01-01"]"#, r#"per_million = { uncached_input = "2" }"#)),
    );
    let check = |returned: &str, requested: &str, expected: &str| {
        let mut event = event("p", returned, "2027-02-01T00:00:00Z", &[(Bucket::UncachedInput, 1_000_000)]);
        event.model_requested = Some(requested.to_owned());
        let (amount, why) = said(&event, &book);
        let answer = if amount == "unpriced" { why } else { amount };
        assert_eq!(answer, expected, "{returned} for {requested}");
    };
    check("m-2027-01-01", "m", "1");
    check("M-2027-01-01", "m", "1");
    check("m@20270101", "m", "1");
    check("m:1", "m", "1");
    // The answer's own price wins, and another model is another model.
    check("m-2025-01-01", "m", "2");
    check("m-20250101", "m", "2");
    check("m-mini", "m", "no_price");
    check("m-2027-01-01-mini", "m", "no_price");
    check("n-2027-01-01", "m", "no_price");
    // A price that is missing for a moment or a tier is not a name that is missing.
    let mut azure =
        event("azure-openai", "gpt-4o-2099-01-01", "2027-02-01T00:00:00Z", &[(Bucket::UncachedInput, 1)]);
    azure.model_requested = Some("gpt-4o".to_owned());
    assert_eq!(computed(&azure).1, "no_price", "a deployment may have any name");
}

#[test]
fn the_name_of_an_azure_deployment_prices_nothing() {
    let mut event = seed_record();
    event.model_requested = event.model.take();
    assert_eq!(cost(&event, &PriceBook::builtin()), Cost::Unpriced(UnpricedReason::NoModel));
}

#[test]
fn searches_and_sound_are_billed_at_prices_of_their_own() {
    let check = |model: &str, units: &[(Unit, u64)], buckets: &[(Bucket, u64)], expected: &str| {
        let known = [(Bucket::UncachedInput, 0), (Bucket::TextOutput, 0)];
        let buckets: Vec<_> = known.iter().chain(buckets).copied().collect();
        let mut event = event("openai", model, "2026-11-01T00:00:00Z", &buckets);
        for (unit, count) in units {
            event.units.set(*unit, *count).unwrap();
        }
        assert_eq!(computed(&event).0, expected, "{model}");
    };
    let searches = [(Unit::WebSearches, 3), (Unit::FileSearches, 2)];
    for model in
        ["gpt-4.1-2025-04-14", "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "o4-mini-2025-04-16", "gpt-5"]
    {
        check(model, &searches, &[], "0.035");
    }
    check("gpt-4o-search-preview-2025-03-11", &[(Unit::WebSearches, 1)], &[], "0.025");
    check("gpt-4o-mini-search-preview", &[(Unit::WebSearches, 1)], &[], "0.025");
    check("gpt-5-search-api-2025-10-14", &[(Unit::WebSearches, 1)], &[], "0.01");
    let sound = [(Bucket::AudioInput, 1_000_000), (Bucket::AudioOutput, 1_000_000)];
    check("gpt-4o-audio-preview-2024-12-17", &[], &sound, "120");
    check("gpt-4o-mini-audio-preview", &[], &sound, "30");
    check("ft:gpt-4o-mini-2024-07-18:acme::1", &[], &[(Bucket::CacheRead, 1_000_000)], "0.15");
    check("ft:gpt-4o-2024-11-20:acme::1", &[], &[(Bucket::CacheRead, 1_000_000)], "1.875");
}

#[test]
fn embeddings_lack_no_output() {
    for (provider, model) in [
        ("mistral", "mistral-embed"),
        ("openai", "text-embedding-3-small"),
        ("google-ai-studio", "gemini-embedding-001"),
        ("cohere", "embed-v4.0"),
        ("voyage", "voyage-3.5"),
    ] {
        let embedding = event(provider, model, "2026-11-01T00:00:00Z", &[(Bucket::UncachedInput, 1_000_000)]);
        let (amount, why) = computed(&embedding);
        assert_ne!(amount, "unpriced", "{model}: {why}");
    }
}

#[test]
fn a_place_of_its_own_costs_more_or_is_unknown() {
    let buckets = [(Bucket::UncachedInput, 1_000_000), (Bucket::TextOutput, 0)];
    let check = |tier: &str, expected: (&str, &str)| {
        let mut event = event("anthropic", "claude-opus-4-6", "2026-11-01T00:00:00Z", &buckets);
        event.service_tier = Some(tier.to_owned());
        let (amount, id) = computed(&event);
        assert_eq!((amount.as_str(), id.as_str()), expected, "{tier}");
    };
    check("standard", ("5", "anthropic/claude-opus-4-6@2026-03-13"));
    check("us", ("5.5", "anthropic/claude-opus-4-6+us"));
    check("eu", ("unpriced", "no_tier_price"));
}

#[test]
fn bedrock_prices_the_id_that_was_called() {
    let check = |returned: &str, requested: &str, expected: (&str, &str)| {
        let buckets = [(Bucket::UncachedInput, 1_000_000), (Bucket::TextOutput, 0)];
        let mut event = event("aws-bedrock", returned, "2026-01-01T00:00:00Z", &buckets);
        event.model = event.model.filter(|name| !name.is_empty());
        event.model_requested = Some(requested.to_owned());
        let (amount, id) = computed(&event);
        assert_eq!((amount.as_str(), id.trim_start_matches("aws-bedrock/")), expected, "{requested}");
    };
    let sonnet = "claude-sonnet-4-5-20250929";
    let regional = ("3.3", "regional.anthropic.claude-sonnet-4-5-20250929-v1:0");
    let global = ("3", "global.anthropic.claude-sonnet-4-5-20250929-v1:0");
    check(sonnet, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", global);
    check(sonnet, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", regional);
    check(sonnet, "anthropic.claude-sonnet-4-5-20250929-v1:0", regional);
    // Where a region has a price of its own, that is the one.
    check("", "amazon.nova-pro-v1:0", ("0.8", "amazon.nova-pro-v1:0"));
    check("", "us.amazon.nova-pro-v1:0", ("0.8", "amazon.nova-pro-v1:0"));
    check("", "eu.amazon.nova-pro-v1:0", ("1.05", "eu.amazon.nova-pro-v1:0"));
    // An id of the caller's own says nothing.
    check(sonnet, "application-inference-profile/abc123", regional);
}

#[test]
fn models_that_share_a_beginning_do_not_share_a_price() {
    let book =
        book(&model("gpt-4o-mini", r#"["gpt-4o-mini"]"#, r#"per_million = { uncached_input = "0.15" }"#));
    let buckets = [(Bucket::UncachedInput, 1)];
    for model in ["gpt-4o-mini-transcribe", "gpt-4o-mini-realtime-preview", "gpt-4o", "gpt-4o-mini-tts"] {
        let event = event("p", model, "2026-01-01T00:00:00Z", &buckets);
        assert_eq!(cost(&event, &book), Cost::Unpriced(UnpricedReason::NoPrice), "{model}");
    }
}

#[test]
fn what_is_unknown_is_not_zero() {
    let book = PriceBook::builtin();
    let check = |event: &UsageEvent, reason| {
        let cost = cost(event, &book);
        assert_eq!(cost, Cost::Unpriced(reason));
        assert_eq!((cost.amount(), cost.source()), (None, CostSource::Unpriced));
    };
    check(&UsageEvent { tokens: Tokens::default(), ..seed_record() }, UnpricedReason::NoUsage);
    check(&UsageEvent { provider: None, ..seed_record() }, UnpricedReason::NoProvider);
    check(&UsageEvent { model: None, ..seed_record() }, UnpricedReason::NoModel);
    check(&UsageEvent { model: Some("gpt-99".to_owned()), ..seed_record() }, UnpricedReason::NoPrice);
    let tokens = |bucket| {
        let mut tokens = Tokens::default();
        tokens.set(bucket, 9).unwrap();
        tokens
    };
    check(&UsageEvent { tokens: tokens(Bucket::TextOutput), ..seed_record() }, UnpricedReason::NoInput);
    check(&UsageEvent { tokens: tokens(Bucket::UncachedInput), ..seed_record() }, UnpricedReason::NoOutput);
    let nobody_sells = Some("overnight".to_owned());
    check(&UsageEvent { service_tier: nobody_sells, ..seed_record() }, UnpricedReason::NoTierPrice);
    let most = Tokens::BUCKET_MAX;
    let mut tokens = tokens(Bucket::UncachedInput);
    tokens.set(Bucket::TextOutput, most).unwrap();
    let book = book_of_output_only();
    let event =
        UsageEvent { provider: Some("p".to_owned()), model: Some("m".to_owned()), tokens, ..seed_record() };
    assert_eq!(cost(&event, &book), Cost::Unpriced(UnpricedReason::NoBucketPrice));
    let mut tokens = Tokens::default();
    tokens.set(Bucket::UncachedInput, 0).unwrap();
    tokens.set(Bucket::TextOutput, most).unwrap();
    assert_eq!(cost(&UsageEvent { tokens, ..event }, &book), Cost::Unpriced(UnpricedReason::OutOfRange));
}

fn book_of_output_only() -> PriceBook {
    book(&model("m", r#"["m"]"#, r#"per_million = { text_output = "99999" }"#))
}

#[test]
fn a_bucket_of_zero_tokens_needs_no_price() {
    let book = book(&model("m", r#"["m"]"#, r#"per_million = { text_output = "15" }"#));
    let buckets = [(Bucket::UncachedInput, 0), (Bucket::AudioInput, 0), (Bucket::TextOutput, 1)];
    let event = event("p", "m", "2024-09-30T00:00:00Z", &buckets);
    assert_eq!(said(&event, &book).0, "0.000015");
}

#[test]
fn a_provided_cost_wins_and_a_cache_hit_costs_nothing() {
    let book = PriceBook::builtin();
    let provided = UsageEvent { provided_cost: Some("0.1".parse().unwrap()), cached: true, ..seed_record() };
    assert_eq!(cost(&provided, &book), Cost::Provided("0.1".parse().unwrap()));
    let hit = cost(&UsageEvent { cached: true, ..seed_record() }, &book);
    assert_eq!((hit.amount(), hit.source()), (Some(Usd::ZERO), CostSource::CachedZero));
}

#[test]
fn quota_is_the_events_own_or_by_its_ratios_or_by_its_cost() {
    let book = PriceBook::builtin();
    let ratios = |json: &str| Some(Box::new(serde_json::from_str(json).unwrap()));
    let check = |event: UsageEvent, expected: Option<(i64, QuotaSource)>| {
        let quota = PricedEvent::new(event, &book).quota();
        assert_eq!(quota.map(|quota| (quota.units, quota.source)), expected);
    };
    // 0.005385 USD x 500,000 = 2,692.5
    check(seed_record(), Some((2_693, QuotaSource::Cost)));
    // 15 x 2 + 354 x 2 x 4
    let with_ratios =
        UsageEvent { quota_ratios: ratios(r#"{"model_ratio":"2","completion_ratio":"4"}"#), ..seed_record() };
    check(with_ratios.clone(), Some((2_862, QuotaSource::Ratios)));
    check(UsageEvent { quota: Some(7), ..with_ratios.clone() }, Some((7, QuotaSource::Provided)));
    check(UsageEvent { quota: Some(7), success: false, ..seed_record() }, Some((7, QuotaSource::Provided)));
    check(UsageEvent { success: false, ..with_ratios.clone() }, None);
    check(UsageEvent { cached: true, ..with_ratios.clone() }, Some((0, QuotaSource::Cost)));
    check(UsageEvent { tokens: Tokens::default(), ..with_ratios }, None);
    let task = ratios(r#"{"mode":"task","model_ratio":"0","model_price":"0.1"}"#);
    let task = UsageEvent { tokens: Tokens::default(), quota_ratios: task, ..seed_record() };
    check(task, Some((50_000, QuotaSource::Ratios)));
    check(UsageEvent { model: None, ..seed_record() }, None);
}

proptest! {
    #[test]
    fn a_cost_is_the_sum_of_its_buckets_taken_alone(input in 0_u64..1_000_000_000, cached in 0_u64..1_000_000_000, output in 0_u64..1_000_000_000) {
        let at = |buckets: &[(Bucket, u64)]| {
            let event = event("openai", "gpt-4o-2024-08-06", "2025-01-01T00:00:00Z", buckets);
            cost(&event, &PriceBook::builtin()).amount().unwrap()
        };
        let buckets = [(Bucket::UncachedInput, input), (Bucket::CacheRead, cached), (Bucket::TextOutput, output)];
        // A part alone has no cost: input that was not reported is not input that was not there.
        let alone = buckets.iter().map(|bucket| at(&[(Bucket::UncachedInput, 0), (Bucket::TextOutput, 0), *bucket])).reduce(|a, b| a.checked_add(b).unwrap()).unwrap();
        prop_assert_eq!(at(&buckets), alone);
        // In whole picodollars: 2.5, 1.25 and 10 USD per million tokens.
        let pico = 2_500_000 * u128::from(input) + 1_250_000 * u128::from(cached) + 10_000_000 * u128::from(output);
        let pico = rust_decimal::Decimal::from_i128_with_scale(i128::try_from(pico).unwrap(), 12);
        prop_assert_eq!(alone.amount(), pico.normalize());
    }
}

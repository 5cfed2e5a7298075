//! Prices as claims: which row applies, what it makes, and what stays unknown.

use proptest::prelude::*;
use weir_event::wire::WireEvent;
use weir_event::{Scope, Source, TokenBucket as Bucket, Tokens};

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

fn computed(event: &UsageEvent) -> (String, String) {
    match price(event, &PriceBook::builtin()) {
        Cost::Computed { amount, price_id } => (amount.to_string(), price_id),
        other => panic!("not computed: {other:?}"),
    }
}

#[test]
fn the_seed_record_costs_what_it_did() {
    assert_eq!(computed(&seed_record()), ("0.005385".to_owned(), "openai/gpt-4o-2024-05-13".to_owned()));
}

#[test]
fn the_date_chooses_the_row() {
    let buckets = [(Bucket::UncachedInput, 1_000_000)];
    let before = event("openai", "gpt-4o", "2024-10-01T23:59:59.999Z", &buckets);
    let after = event("openai", "gpt-4o", "2024-10-02T00:00:00.000Z", &buckets);
    assert_eq!(computed(&before), ("5".to_owned(), "openai/gpt-4o@2024-05-13".to_owned()));
    assert_eq!(computed(&after), ("2.5".to_owned(), "openai/gpt-4o@2024-10-02".to_owned()));
    let too_early = event("openai", "gpt-4o", "2024-01-01T00:00:00.000Z", &buckets);
    assert_eq!(price(&too_early, &PriceBook::builtin()), Cost::Unpriced(UnpricedReason::NoPrice));
}

#[test]
fn an_exact_name_wins_over_a_prefix_and_a_long_prefix_over_a_short_one() {
    let rows = |id: &str, model: &str, amount: &str| {
        format!(
            "[[price]]\nid = \"{id}\"\nproviders = [\"p\"]\nmodel = {model}\nfrom = \"2020-01-01\"\n\
             per_million = {{ uncached_input = \"{amount}\" }}\n"
        )
    };
    let text = rows("short", r#"{ prefix = "m" }"#, "1")
        + &rows("long", r#"{ prefix = "m-2" }"#, "2")
        + &rows("exact", r#"{ exact = "m-2-x" }"#, "3");
    let book = PriceBook::parse(&[("test.toml", &text)]).unwrap();
    for (model, id) in
        [("m", "short"), ("m-1", "short"), ("m-2", "long"), ("m-2-y", "long"), ("m-2-x", "exact")]
    {
        let time = "2024-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(book.find("p", model, time).unwrap().id(), id);
        assert_eq!(book.find("q", model, time), None);
    }
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
    assert_eq!(price(&event, &PriceBook::builtin()), Cost::Unpriced(UnpricedReason::NoPrice));
}

#[test]
fn the_name_of_an_azure_deployment_prices_nothing() {
    let mut event = seed_record();
    event.model_requested = event.model.take();
    assert_eq!(price(&event, &PriceBook::builtin()), Cost::Unpriced(UnpricedReason::NoModel));
}

#[test]
fn models_that_share_a_beginning_do_not_share_a_price() {
    let book = PriceBook::builtin();
    let buckets = [(Bucket::UncachedInput, 1)];
    for model in
        ["gpt-4o-mini-transcribe", "gpt-4o-mini-realtime-preview", "gpt-4o-audio-preview", "gpt-4o-mini-tts"]
    {
        let event = event("openai", model, "2026-01-01T00:00:00Z", &buckets);
        assert_eq!(price(&event, &book), Cost::Unpriced(UnpricedReason::NoPrice), "{model}");
    }
}

#[test]
fn what_is_unknown_is_not_zero() {
    let book = PriceBook::builtin();
    let check = |event: &UsageEvent, reason| {
        let cost = price(event, &book);
        assert_eq!(cost, Cost::Unpriced(reason));
        assert_eq!((cost.amount(), cost.source()), (None, CostSource::Unpriced));
    };
    check(&UsageEvent { tokens: Tokens::default(), ..seed_record() }, UnpricedReason::NoUsage);
    check(&UsageEvent { provider: None, ..seed_record() }, UnpricedReason::NoModel);
    check(&UsageEvent { model: None, ..seed_record() }, UnpricedReason::NoModel);
    let only_output =
        event("openai", "gpt-4o-2024-05-13", "2024-09-30T00:00:00Z", &[(Bucket::TextOutput, 9)]);
    check(&only_output, UnpricedReason::NoInput);
    check(&UsageEvent { model: Some("gpt-99".to_owned()), ..seed_record() }, UnpricedReason::NoPrice);
    let audio = [(Bucket::UncachedInput, 1), (Bucket::AudioInput, 1)];
    let audio = event("openai", "gpt-4o-2024-05-13", "2024-09-30T00:00:00Z", &audio);
    check(&audio, UnpricedReason::NoBucketPrice(Bucket::AudioInput));
}

#[test]
fn a_bucket_of_zero_tokens_needs_no_price() {
    let buckets = [(Bucket::UncachedInput, 1), (Bucket::AudioInput, 0)];
    let event = event("openai", "gpt-4o-2024-05-13", "2024-09-30T00:00:00Z", &buckets);
    assert_eq!(computed(&event).0, "0.000005");
}

#[test]
fn a_provided_cost_wins_and_a_cache_hit_costs_nothing() {
    let book = PriceBook::builtin();
    let provided = UsageEvent { provided_cost: Some("0.1".parse().unwrap()), cached: true, ..seed_record() };
    assert_eq!(price(&provided, &book), Cost::Provided("0.1".parse().unwrap()));
    let hit = price(&UsageEvent { cached: true, ..seed_record() }, &book);
    assert_eq!((hit.amount(), hit.source()), (Some(Usd::ZERO), CostSource::CachedZero));
}

#[test]
fn a_wrong_book_is_refused_by_name() {
    let row = r#"id = "a"
providers = ["p"]
model = { exact = "m" }
from = "2024-01-01"
per_million = { uncached_input = "1" }"#;
    let check = |text: &str, expected: &str| {
        let error = PriceBook::parse(&[("mine.toml", text)]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let one = format!("[[price]]\n{row}\n");
    check(&format!("{one}{one}"), "price a: the id is there twice");
    check(
        &(one.clone() + &one.replace("\"a\"", "\"b\"")),
        "prices a and b are both in force for one provider and model pattern",
    );
    check(
        &one.replace("2024-01-01", "2024-13-01"),
        "price a: from is not a date (YYYY-MM-DD) of the years 2000 to 2099",
    );
    check(
        &one.replace("exact = \"m\"", ""),
        "price a: model takes exactly one of exact and prefix, and not the empty text",
    );
    check(&one.replace("[\"p\"]", "[]"), "price a: providers is empty");
    check(
        &one.replace("\"1\"", "\"-1\""),
        "price a: UncachedInput is not a decimal from 0 to below 10,000, with at most 12 decimals",
    );
    check(&format!("{one}until = \"2024-01-01\"\n"), "price a: until is not after from");
    check(&format!("{one}note = \"x\"\n"), "price file mine.toml");
}

proptest! {
    #[test]
    fn a_cost_is_the_sum_of_its_buckets_taken_alone(input in 0_u64..1_000_000_000, cached in 0_u64..1_000_000_000, output in 0_u64..1_000_000_000) {
        let at = |buckets: &[(Bucket, u64)]| {
            let event = event("openai", "gpt-4o-2024-08-06", "2025-01-01T00:00:00Z", buckets);
            price(&event, &PriceBook::builtin()).amount().unwrap()
        };
        let buckets = [(Bucket::UncachedInput, input), (Bucket::CacheRead, cached), (Bucket::TextOutput, output)];
        // Output alone has no cost: input that was not reported is not input that was not there.
        let alone = buckets.iter().map(|bucket| at(&[(Bucket::UncachedInput, 0), *bucket])).reduce(|a, b| a.checked_add(b).unwrap()).unwrap();
        prop_assert_eq!(at(&buckets), alone);
        // In whole picodollars: 2.5, 1.25 and 10 USD per million tokens.
        let pico = 2_500_000 * u128::from(input) + 1_250_000 * u128::from(cached) + 10_000_000 * u128::from(output);
        let pico = rust_decimal::Decimal::from_i128_with_scale(i128::try_from(pico).unwrap(), 12);
        prop_assert_eq!(alone.amount(), pico.normalize());
    }
}

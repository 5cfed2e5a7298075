//! Every way in which a provider's bill is more than tokens times a price, as a table each.

use proptest::prelude::*;
use weir_event::{CustomCost, TokenBucket as Bucket, Tokens, Unit, Units};

use crate::{Billable, Cost, PriceBook, Receipt, price, receipt};

/// A book of the model `m` of the provider `p`, with these prices.
fn book(prices: &str) -> PriceBook {
    let text = format!("provider = \"p\"\n[[model]]\nid = \"m\"\nmatch = [\"m\"]\n{prices}");
    PriceBook::parse(&[("test.toml", &text)]).unwrap()
}

/// A request to that model.
#[derive(Clone, Debug, Default)]
struct Ask {
    tokens: Tokens,
    units: Units,
    tier: Option<&'static str>,
    at: Option<&'static str>,
    custom: Option<(&'static str, &'static str)>,
    provided: Option<&'static str>,
    cached: bool,
}

/// A request with these tokens.
fn ask(buckets: &[(Bucket, u64)]) -> Ask {
    let mut tokens = Tokens::default();
    for (bucket, count) in buckets {
        tokens.set(*bucket, *count).unwrap();
    }
    Ask { tokens, ..Ask::default() }
}

impl Ask {
    fn in_tier(self, tier: &'static str) -> Self {
        Self { tier: Some(tier), ..self }
    }

    fn at(self, at: &'static str) -> Self {
        Self { at: Some(at), ..self }
    }

    fn with(mut self, unit: Unit, count: u64) -> Self {
        self.units.set(unit, count).unwrap();
        self
    }

    fn custom(self, input: &'static str, output: &'static str) -> Self {
        Self { custom: Some((input, output)), ..self }
    }

    fn billable(&self) -> Billable<'_> {
        Billable {
            provider: Some("p"),
            model: Some("m"),
            model_requested: None,
            created_at: self.at.unwrap_or("2026-03-02T12:00:00Z").parse().unwrap(),
            tokens: &self.tokens,
            units: &self.units,
            service_tier: self.tier,
            cached: self.cached,
            provided_cost: self.provided.map(|cost| cost.parse().unwrap()),
            custom_cost: self.custom.map(|(input, output)| CustomCost {
                per_token_in: input.parse().unwrap(),
                per_token_out: output.parse().unwrap(),
            }),
        }
    }

    fn cost(&self, book: &PriceBook) -> Cost {
        price(&self.billable(), book)
    }

    fn receipt(&self, book: &PriceBook) -> Receipt {
        receipt(&self.billable(), book)
    }

    /// The amount, or the reason why there is none. The receipt says the same.
    fn said(&self, book: &PriceBook) -> String {
        let cost = self.cost(book);
        assert_eq!(self.receipt(book).total, cost.amount());
        cost.amount().map_or_else(|| cost.unpriced_reason().unwrap().to_string(), |amount| amount.to_string())
    }
}

const MILLION: u64 = 1_000_000;

#[test]
fn a_tier_is_for_all_of_the_request_and_begins_as_the_provider_bills_it() {
    let prices = |bound: &str| {
        book(&format!(
            r#"[[model.price]]
            per_million = {{ uncached_input = "3", cache_read = "0.3", text_output = "15" }}
            [[model.price.tier]]
            {bound} = 200000
            per_million = {{ uncached_input = "6", text_output = "22.5" }}
            [[model.price.tier]]
            over = 1000000
            per_million = {{ uncached_input = "12" }}"#
        ))
    };
    let check = |bound: &str, buckets: &[(Bucket, u64)], expected: &str| {
        assert_eq!(ask(buckets).said(&prices(bound)), expected, "{bound} {buckets:?}");
    };
    let output = (Bucket::TextOutput, 0);
    check("over", &[(Bucket::UncachedInput, 200_000), output], "0.6");
    check("over", &[(Bucket::UncachedInput, 200_001), output], "1.200006");
    check("at_least", &[(Bucket::UncachedInput, 199_999), output], "0.599997");
    check("at_least", &[(Bucket::UncachedInput, 200_000), output], "1.2");
    // What was cached counts for the size, and keeps its price where the tier names none.
    let cached = [(Bucket::UncachedInput, 1), (Bucket::CacheRead, 200_000), output];
    check("over", &cached, "0.060006");
    check("over", &[(Bucket::UncachedInput, 1), (Bucket::CacheRead, 199_999), output], "0.0600027");
    // The output does not count for the size, and is charged by it.
    check("over", &[(Bucket::UncachedInput, 1), (Bucket::TextOutput, 300_000)], "4.500003");
    check("over", &[(Bucket::UncachedInput, 200_001), (Bucket::TextOutput, 10)], "1.200231");
    // Of two bounds that are passed the higher one counts; what its tier does not name is at the base price.
    check("over", &[(Bucket::UncachedInput, MILLION + 1), (Bucket::TextOutput, 10)], "12.000162");
    check("over", &[(Bucket::UncachedInput, MILLION), (Bucket::TextOutput, 10)], "6.000225");
}

const WITH_BATCH: &str = r#"[[model.price]]
    per_million = { uncached_input = "2", cache_read = "0.5", text_output = "8", reasoning = "9" }
    per_thousand = { web_searches = "10" }
    [[model.price.tier]]
    over = 1000
    per_million = { uncached_input = "4", cache_read = "1" }
    [[model.price]]
    service_tier = "batch"
    per_million = { uncached_input = "1", text_output = "4" }
    [[model.price]]
    service_tier = "priority"
    per_million = { uncached_input = "3", text_output = "14", reasoning = "15" }
    [[model.price.tier]]
    over = 1000
    per_million = { uncached_input = "5" }"#;

#[test]
fn a_service_tier_overrides_the_standard_charge_by_charge() {
    let book = book(WITH_BATCH);
    let all = |input| {
        let buckets = [(Bucket::UncachedInput, input), (Bucket::CacheRead, 100), (Bucket::TextOutput, 100)];
        ask(&buckets).with(Unit::WebSearches, 1)
    };
    let check = |ask: Ask, expected: &str| assert_eq!(ask.said(&book), expected, "{ask:?}");
    check(all(100), "0.01105");
    for standard in ["standard", "default", "Default", "on_demand", "auto", ""] {
        check(all(100).in_tier(standard), "0.01105");
    }
    check(all(100).in_tier("batch"), "0.01055");
    check(all(100).in_tier("Batch"), "0.01055");
    check(all(100).in_tier("priority"), "0.01175");
    // What the service tier names holds at any size; what it does not is the standard's for the size.
    check(all(1_000).in_tier("batch"), "0.0115");
    check(all(1_000).in_tier("priority"), "0.0165");
    check(all(100).in_tier("flex"), "no_tier_price");
    let receipt = all(100).in_tier("batch").receipt(&book);
    assert_eq!(receipt.price.unwrap().id, "p/m+batch");
    let ids = receipt.lines.iter().map(|line| line.rate.as_ref().unwrap().price_id.as_deref().unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), ["p/m+batch", "p/m", "p/m+batch", "p/m"]);
}

#[test]
fn reasoning_is_billed_as_the_output_of_its_service_tier() {
    let book = book(WITH_BATCH);
    let thought = || ask(&[(Bucket::UncachedInput, 0), (Bucket::Reasoning, MILLION)]);
    assert_eq!(thought().said(&book), "9", "the published price of reasoning");
    assert_eq!(thought().in_tier("priority").said(&book), "15", "and that of the tier");
    assert_eq!(
        thought().in_tier("batch").said(&book),
        "4",
        "else the output of the tier, not the standard's reasoning"
    );
}

#[test]
fn a_service_tier_without_a_standard_price_stands_alone() {
    let only_batch =
        book("[[model.price]]\nservice_tier = \"batch\"\nper_million = { uncached_input = \"1\" }");
    let input = ask(&[(Bucket::UncachedInput, MILLION)]);
    assert_eq!(input.clone().in_tier("batch").said(&only_batch), "1");
    assert_eq!(input.said(&only_batch), "not_in_force");
}

#[test]
fn a_charge_without_a_price_has_the_nearest_stand_in() {
    let check = |prices: &str, bucket: Bucket, expected: &str| {
        let book = book(&format!("[[model.price]]\nper_million = {{ {prices} }}"));
        let mut buckets = vec![(Bucket::UncachedInput, 0), (Bucket::TextOutput, 0)];
        buckets.push((bucket, MILLION));
        assert_eq!(ask(&buckets).said(&book), expected, "{bucket:?} of {prices}");
    };
    let both = r#"uncached_input = "1", text_output = "2""#;
    for bucket in Bucket::ALL {
        check(both, bucket, if bucket.is_input() { "1" } else { "2" });
    }
    let cached = r#"uncached_input = "1", cache_read = "0.1", cache_write_5m = "1.25", text_output = "2""#;
    for (bucket, expected) in [
        (Bucket::CacheRead, "0.1"),
        (Bucket::CacheReadAudio, "0.1"),
        (Bucket::CacheReadImage, "0.1"),
        (Bucket::CacheWrite5m, "1.25"),
        (Bucket::CacheWrite1h, "1.25"),
    ] {
        check(cached, bucket, expected);
    }
    check(
        r#"uncached_input = "1", cache_write_5m = "1.25", cache_write_1h = "2""#,
        Bucket::CacheWrite1h,
        "2",
    );
    // Stand-ins lead to what is plainer, never back.
    check(r#"uncached_input = "1", cache_write_1h = "2""#, Bucket::CacheWrite5m, "1");
    check(r#"audio_input = "1", text_output = "0""#, Bucket::UncachedInput, "no_bucket_price");
    check(r#"uncached_input = "1""#, Bucket::Reasoning, "no_bucket_price");
}

#[test]
fn a_bucket_without_a_price_is_never_dropped() {
    let book = book("[[model.price]]\nper_million = { uncached_input = \"1\" }");
    let ask = ask(&[(Bucket::UncachedInput, 5), (Bucket::AudioOutput, 1)]);
    assert_eq!(ask.said(&book), "no_bucket_price");
    let lines = ask.receipt(&book).lines;
    assert_eq!(lines.len(), 2, "what can be told is told");
    assert_eq!(lines[1].to_string(), "audio_output               1 x no price");
}

#[test]
fn what_is_billed_apart_from_tokens_is_billed() {
    let book = book(
        r#"[[model.price]]
        per_million = { uncached_input = "1", text_output = "1", input_characters = "15" }
        per_thousand = { web_searches = "10", requests = "5", images_output = "40" }
        per_hour = { audio_input_ms = "0.111" }"#,
    );
    let tokens = || ask(&[(Bucket::UncachedInput, 1), (Bucket::TextOutput, 0)]);
    let check = |ask: Ask, expected: &str| assert_eq!(ask.said(&book), expected, "{ask:?}");
    // One request is 0.005.
    check(tokens(), "0.005001");
    check(tokens().with(Unit::WebSearches, 3), "0.035001");
    check(Ask::default().with(Unit::InputCharacters, 100), "0.0065");
    check(Ask::default().with(Unit::ImagesOutput, 2), "0.085");
    check(Ask::default().with(Unit::AudioInputMs, 90_000), "0.007775");
    // 0.111 / 3,600,000 ends nowhere: rounded half to even at the 18th decimal.
    check(Ask::default().with(Unit::AudioInputMs, 1), "0.005000030833333333");
    check(Ask::default().with(Unit::AudioInputMs, 2), "0.005000061666666667");
    // A unit without a price is not billed, and is shown; alone it leaves the cost unknown, whatever a request costs.
    check(tokens().with(Unit::CodeExecutions, 2), "0.005001");
    check(Ask::default().with(Unit::InputPages, 2), "no_unit_price");
    // What tools did is a part of the bill for an answer, never all of it.
    check(Ask::default().with(Unit::WebSearches, 2), "no_usage");
    check(Ask::default().with(Unit::CodeExecutions, 2).with(Unit::ImagesOutput, 2), "0.085");
    check(Ask::default(), "no_usage");
    let lines = tokens().with(Unit::CodeExecutions, 2).receipt(&book).lines;
    assert_eq!(lines[1].to_string(), "code_executions            2 not billed");
    assert_eq!(lines[2].to_string(), "requests                   1 x 0.005 = 0.005");
    let lines = Ask::default().with(Unit::AudioInputMs, 1).receipt(&book).lines;
    assert_eq!(lines[0].to_string(), "audio_input_ms             1 x 0.111 / 3600000 = 0.000000030833333333");
}

#[test]
fn a_minimum_is_billed_where_there_is_anything_to_bill() {
    let book = book(
        r#"minimum = { audio_input_ms = 10000 }
        [[model.price]]
        per_million = { text_output = "1" }
        per_hour = { audio_input_ms = "0.36" }"#,
    );
    // 10 seconds are 0.001.
    for (ms, expected) in [(1, "0.001"), (9_999, "0.001"), (10_000, "0.001"), (20_000, "0.002")] {
        assert_eq!(Ask::default().with(Unit::AudioInputMs, ms).said(&book), expected, "{ms} ms");
    }
    assert_eq!(ask(&[(Bucket::UncachedInput, 0), (Bucket::TextOutput, 1)]).said(&book), "0.000001");
    let lines = Ask::default().with(Unit::AudioInputMs, 4_000).receipt(&book).lines;
    assert_eq!(lines[0].to_string(), "audio_input_ms          4000 billed as 10000 x 0.36 / 3600000 = 0.001");
    for wrong in ["{ text_output = 5 }", "{ requests = 2 }", "{ audio_input_ms = 0 }"] {
        let text = format!(
            "provider = \"p\"\n[[model]]\nid = \"m\"\nmatch = [\"m\"]\nminimum = {wrong}\n[[model.price]]\nper_million = {{ text_output = \"1\" }}"
        );
        assert!(PriceBook::parse(&[("p.toml", &text)]).is_err(), "{wrong}");
    }
}

#[test]
fn output_counted_in_units_is_not_missed_as_tokens() {
    let book = book(
        r#"[[model.price]]
        per_million = { uncached_input = "1", text_output = "1" }
        per_thousand = { images_output = "40" }
        per_hour = { audio_input_ms = "0.36" }"#,
    );
    let input = || ask(&[(Bucket::UncachedInput, 1)]);
    assert_eq!(input().said(&book), "no_output");
    assert_eq!(input().with(Unit::ImagesOutput, 1).said(&book), "0.040001");
    let output = || ask(&[(Bucket::TextOutput, 1)]);
    assert_eq!(output().said(&book), "no_input");
    assert_eq!(output().with(Unit::AudioInputMs, 1).said(&book), "0.0000011");
    assert_eq!(output().with(Unit::WebSearches, 1).said(&book), "no_input");
}

#[test]
fn a_model_without_output_needs_no_output() {
    for output in ["", r#", text_output = "0""#] {
        let book = book(&format!("[[model.price]]\nper_million = {{ uncached_input = \"0.02\"{output} }}"));
        assert_eq!(ask(&[(Bucket::UncachedInput, 100)]).said(&book), "0.000002");
    }
}

#[test]
fn the_hour_and_the_day_of_the_event_choose_the_price() {
    let book = book(
        r#"[[model.price]]
        per_million = { uncached_input = "4" }
        [[model.price]]
        hours_utc = ["16:30-00:30"]
        per_million = { uncached_input = "2" }
        [[model.price]]
        from = "2026-03-07"
        weekdays = ["sat", "sun"]
        per_million = { uncached_input = "1" }"#,
    );
    let check = |at: &'static str, expected: &str| {
        assert_eq!(ask(&[(Bucket::UncachedInput, MILLION)]).at(at).said(&book), expected, "{at}");
    };
    check("2026-03-02T16:29:59.999Z", "4");
    check("2026-03-02T16:30:00.000Z", "2");
    check("2026-03-03T00:29:59.999Z", "2");
    check("2026-03-03T00:30:00.000Z", "4");
    // A Friday evening in Europe, a Saturday in UTC; and the weekend before the price was there.
    check("2026-03-06T23:59:59.999Z", "2");
    check("2026-03-07T00:00:00.000Z", "1");
    check("2026-03-08T23:59:59.999Z", "1");
    check("2026-03-01T12:00:00.000Z", "4");
    let ids = ["2026-03-02T12:00:00Z", "2026-03-02T20:00:00Z", "2026-03-07T12:00:00Z"].map(|at| {
        let cost = ask(&[(Bucket::UncachedInput, 1)]).at(at).cost(&book);
        cost.price_id().unwrap().to_owned()
    });
    assert_eq!(ids, ["p/m", "p/m#2", "p/m@2026-03-07"], "every price has an id of its own");
}

#[test]
fn the_callers_own_prices_win_over_the_book_and_lose_against_facts() {
    let book = book("[[model.price]]\nper_million = { uncached_input = \"100\", text_output = \"100\" }");
    let both = || ask(&[(Bucket::UncachedInput, 100), (Bucket::CacheRead, 11), (Bucket::Reasoning, 7)]);
    let custom = || both().custom("0.000001", "0.000002");
    // (100 + 11) x 1e-6 + 7 x 2e-6: all input and all output alike.
    assert_eq!(custom().cost(&book), Cost::Custom("0.000125".parse().unwrap()));
    let receipt = custom().receipt(&book);
    let lines: Vec<String> = receipt.lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "tokens_in                111 x 0.000001 = 0.000111",
            "tokens_out                 7 x 0.000002 = 0.000014"
        ]
    );
    assert_eq!(receipt.book.unwrap().total.unwrap().to_string(), "0.0118");
    let hit = Ask { cached: true, ..custom() };
    assert_eq!(hit.cost(&book), Cost::CachedZero);
    let provided = Ask { provided: Some("0.5"), ..hit };
    assert_eq!(provided.cost(&book), Cost::Provided("0.5".parse().unwrap()));
}

#[test]
fn a_custom_cost_needs_the_totals_that_it_has_prices_for() {
    let book = book("[[model.price]]\nper_million = { uncached_input = \"100\" }");
    let check = |ask: Ask, expected: &str| assert_eq!(ask.said(&book), expected, "{ask:?}");
    check(ask(&[(Bucket::UncachedInput, 1)]).custom("0.1", "0.1"), "no_output");
    check(ask(&[(Bucket::TextOutput, 1)]).custom("0.1", "0.1"), "no_input");
    check(Ask::default().custom("0.1", "0.1"), "no_usage");
    check(Ask::default().custom("0", "0"), "no_usage");
    // An embedding has no output, and a price of 0 for it.
    check(ask(&[(Bucket::UncachedInput, 3)]).custom("0.1", "0"), "0.3");
    check(ask(&[(Bucket::UncachedInput, 3), (Bucket::TextOutput, 3)]).custom("0", "0"), "0");
    check(
        ask(&[(Bucket::UncachedInput, 3), (Bucket::TextOutput, 3)]).custom("9999999999", "0"),
        "out_of_range",
    );
}

/// Token counts as they come, and as they break things.
fn counts() -> impl Strategy<Value = Vec<(Bucket, u64)>> {
    let count = prop_oneof![0_u64..1_000, 0_u64..10_000_000, Just(Tokens::BUCKET_MAX)];
    prop::collection::vec((prop::sample::select(Bucket::ALL.to_vec()), count), 0..8)
}

fn units() -> impl Strategy<Value = Vec<(Unit, u64)>> {
    let count = prop_oneof![0_u64..1_000, 0_u64..10_000_000, Just(Units::COUNT_MAX)];
    prop::collection::vec((prop::sample::select(Unit::ALL.to_vec()), count), 0..4)
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let tier = prop::sample::select(vec![None, Some("batch"), Some("priority"), Some("flex")]);
    let custom = prop::option::weighted(0.2, Just(("0.000001", "3.25")));
    let provided = prop::option::weighted(0.1, Just("0.5"));
    (counts(), units(), tier, custom, provided, prop::bool::weighted(0.1)).prop_map(
        |(buckets, units, tier, custom, provided, cached)| {
            let asked = Ask { tier, custom, provided, cached, ..ask(&buckets) };
            units.into_iter().fold(asked, |ask, (unit, count)| ask.with(unit, count))
        },
    )
}

const EVERYTHING: &str = r#"[[model.price]]
    per_million = { uncached_input = "3", cache_read = "0.3", text_output = "15", input_characters = "0.000000000001" }
    per_thousand = { web_searches = "10", requests = "5", images_output = "40" }
    per_hour = { audio_input_ms = "0.111", video_output_ms = "1800" }
    [[model.price.tier]]
    over = 200000
    per_million = { uncached_input = "6", text_output = "22.5" }
    [[model.price]]
    service_tier = "batch"
    per_million = { uncached_input = "1.5", text_output = "7.5" }"#;

proptest! {
    #[test]
    fn a_receipt_is_its_cost_and_its_lines_add_up_in_any_order(asked in any_ask(), turn in 0_usize..20) {
        let book = book(EVERYTHING);
        let (cost, receipt) = (asked.cost(&book), asked.receipt(&book));
        prop_assert_eq!(receipt.total, cost.amount());
        prop_assert_eq!(receipt.cost_source, cost.source());
        prop_assert_eq!(receipt.unpriced_reason, cost.unpriced_reason());
        prop_assert_eq!(receipt.price.as_ref().filter(|_| cost.amount().is_some()).map(|price| price.id.as_str()), cost.price_id());
        if matches!(cost, Cost::Computed { .. } | Cost::Custom(_)) {
            let mut lines = receipt.lines.clone();
            if !lines.is_empty() {
                let turn = turn % lines.len();
                lines.rotate_left(turn);
            }
            let add = |sum: Option<weir_event::Usd>, amount: weir_event::Usd| sum.and_then(|sum| sum.checked_add(amount));
            let amounts = || lines.iter().filter_map(|line| line.amount);
            prop_assert_eq!(amounts().fold(Some(weir_event::Usd::ZERO), add), cost.amount());
            prop_assert_eq!(amounts().rev().fold(Some(weir_event::Usd::ZERO), add), cost.amount());
        }
        prop_assert!(!receipt.to_string().is_empty());
        prop_assert!(serde_json::to_string(&receipt).is_ok());
    }

    #[test]
    fn inside_a_tier_a_cost_is_linear_in_tokens(
        small in prop::array::uniform4(0_u64..40_000),
        times in 1_u64..5,
        large: bool,
    ) {
        let book = book(&EVERYTHING.replace("requests = \"5\", ", ""));
        let buckets = [Bucket::UncachedInput, Bucket::CacheRead, Bucket::TextOutput, Bucket::Reasoning];
        // Below the bound with every factor, or above it with every factor.
        let small = if large { [small[0] + 200_001, small[1], small[2], small[3]] } else { small.map(|count| count / 2) };
        let cost = |factor: u64| {
            let counts: Vec<_> = buckets.into_iter().zip(small.map(|count| count * factor)).collect();
            ask(&counts).cost(&book).amount().unwrap()
        };
        prop_assert_eq!(cost(1).checked_mul(times), Some(cost(times)));
    }
}

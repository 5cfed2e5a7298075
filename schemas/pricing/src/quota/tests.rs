//! new-api's arithmetic, by the vectors of its contract and at every edge that it names.

use proptest::prelude::*;
use weir_event::{QuotaArithmetic, QuotaTool, Ratio, TokenBucket as Bucket, Tokens};

use super::*;

/// Ratios as an event carries them, in JSON.
fn ratios(json: &str) -> QuotaRatios {
    serde_json::from_str(json).unwrap()
}

fn usage(prompt: u64, completion: u64) -> QuotaUsage {
    QuotaUsage { prompt, completion, ..QuotaUsage::default() }
}

fn legacy(ratios: &QuotaRatios) -> QuotaRatios {
    QuotaRatios { arithmetic: Some(QuotaArithmetic::Legacy), ..ratios.clone() }
}

/// Both arithmetics, current and legacy.
fn check(usage: &QuotaUsage, json: &str, current: i64, old: i64) {
    let ratios = ratios(json);
    assert_eq!(quota_of_ratios(usage, &ratios), current, "{json}, current");
    assert_eq!(quota_of_ratios(usage, &legacy(&ratios)), old, "{json}, legacy");
}

#[test]
fn the_vectors_of_the_contract_hold() {
    check(&usage(50, 100), r#"{"model_ratio":"15","completion_ratio":"2","group_ratio":"1"}"#, 3_750, 3_750);
    let cached = QuotaUsage { cached: 800, ..usage(1_000, 200) };
    let json = r#"{"model_ratio":"1.25","completion_ratio":"4","cache_ratio":"0.5"}"#;
    check(&cached, json, 1_750, 1_750);
    let claude = QuotaUsage { cached: 800, cache_creation: 100, ..usage(1_000, 200) };
    let json = r#"{"semantics":"anthropic","model_ratio":"1.5","completion_ratio":"5","cache_ratio":"0.1",
        "cache_creation_ratio":"1.25"}"#;
    check(&claude, json, 3_308, 3_307);
    check(&usage(1, 0), r#"{"model_ratio":"0","model_price":"0.04","group_ratio":"0.5"}"#, 10_000, 10_000);
    check(&usage(1, 0), r#"{"model_ratio":"0.075"}"#, 1, 1);
    check(&usage(10, 10), r#"{"model_ratio":"0"}"#, 0, 0);
}

#[test]
fn nothing_is_charged_for_nothing_and_1_for_almost_nothing() {
    check(&usage(0, 0), r#"{"model_ratio":"15"}"#, 0, 0);
    check(&usage(0, 0), r#"{"model_ratio":"15","model_price":"0.04"}"#, 0, 0);
    let tool = r#"{"model_ratio":"15","group_ratio":"2","tools":[{"per_thousand":"10","calls":3}]}"#;
    check(&usage(0, 0), tool, 30_000, 30_000);
    check(&usage(1, 0), r#"{"model_ratio":"0.4"}"#, 1, 1);
    check(&usage(1, 0), r#"{"model_ratio":"0.5"}"#, 1, 1);
    check(&usage(1, 0), r#"{"model_ratio":"15","group_ratio":"0"}"#, 0, 0);
    // Truncated: a part of a unit is nothing. Only where nothing was there before is it made 1.
    check(&usage(1, 0), r#"{"semantics":"anthropic","model_ratio":"0.4"}"#, 1, 0);
    let free_input = QuotaUsage { cached: 10, ..usage(10, 0) };
    check(&free_input, r#"{"model_ratio":"1","cache_ratio":"0"}"#, 1, 1);
}

#[test]
fn what_is_cached_is_taken_out_of_the_prompt_only_where_it_is_in_it() {
    let both = QuotaUsage { cached: 600, cache_creation: 300, ..usage(1_000, 0) };
    // 100 + 600 x 0.1 + 300 x 1.25 = 535, and with the whole prompt 1,435.
    check(&both, r#"{"model_ratio":"1","cache_ratio":"0.1"}"#, 535, 535);
    check(&both, r#"{"semantics":"anthropic","model_ratio":"1","cache_ratio":"0.1"}"#, 1_435, 1_435);
}

#[test]
fn a_negative_remainder_of_the_prompt_is_given_back_only_by_the_legacy_arithmetic() {
    let overlapping = QuotaUsage { cached: 80, cache_creation: 60, ..usage(100, 0) };
    // 0 or -40, + 80 x 1 + 60 x 1.25.
    check(&overlapping, r#"{"model_ratio":"1"}"#, 155, 115);
}

#[test]
fn the_time_in_the_cache_has_a_ratio_of_its_own_in_anthropics_semantics() {
    let written =
        QuotaUsage { cache_creation: 100, cache_creation_5m: 30, cache_creation_1h: 20, ..usage(0, 1) };
    // 1 + 50 x 1.25 + 30 x 1.25 + 20 x 2 = 141
    check(&written, r#"{"semantics":"anthropic","model_ratio":"1"}"#, 141, 141);
    // 1 + 50 x 1 + 30 x 2 + 20 x 3 = 171
    let json = r#"{"semantics":"anthropic","model_ratio":"1","cache_creation_ratio":"1",
        "cache_creation_ratio_5m":"2","cache_creation_ratio_1h":"3"}"#;
    check(&written, json, 171, 171);
    // 1.6 times the ratio of any time: 1 + 50 x 2 + 30 x 2 + 20 x 3.2 = 225
    let json = r#"{"semantics":"anthropic","model_ratio":"1","cache_creation_ratio":"2"}"#;
    check(&written, json, 225, 225);
    // In OpenAI's there is one ratio: 0 + 100 x 2 + 1.
    check(
        &QuotaUsage { prompt: 100, ..written },
        r#"{"model_ratio":"1","cache_creation_ratio":"2"}"#,
        201,
        201,
    );
}

#[test]
fn images_audio_and_tools_are_charged_apart() {
    let images = QuotaUsage { image_input: 40, ..usage(100, 0) };
    check(&images, r#"{"model_ratio":"1","image_ratio":"2.5"}"#, 160, 160);
    let audio = QuotaUsage { audio_input: 40, ..usage(100, 0) };
    check(&audio, r#"{"model_ratio":"1"}"#, 100, 100);
    // 60 x 1 x 2 + 40 x 1.5 USD per million x 2 = 120 + 60
    check(&audio, r#"{"model_ratio":"1","group_ratio":"2","audio_input_price":"1.5"}"#, 180, 180);
    // (60 x 2 + 60) x 1.5 x 2 + 10 / 1,000 x 1 x 2 x 500,000: other ratios leave tools alone.
    let json = r#"{"model_ratio":"1","group_ratio":"2","audio_input_price":"1.5","other_ratios":["1.5","2"],
        "tools":[{"per_thousand":"10","calls":1}]}"#;
    check(&audio, json, 10_540, 10_540);
    let json = r#"{"model_ratio":"1","model_price":"0.04","other_ratios":["2"],"tools":[{"per_thousand":"10","calls":1}]}"#;
    check(&usage(1, 1), json, 45_000, 45_000);
}

#[test]
fn the_ratio_of_the_user_wins_over_that_of_the_group() {
    check(&usage(100, 0), r#"{"model_ratio":"1","group_ratio":"3","user_group_ratio":"0.5"}"#, 50, 50);
    check(&usage(100, 0), r#"{"model_ratio":"1","group_ratio":"3"}"#, 300, 300);
}

#[test]
fn a_price_expression_is_rounded_half_away_from_zero() {
    // 3 USD per million x 500,000 / 1e6 = 1.5
    check(&usage(1, 0), r#"{"model_ratio":"0","expression_result":"3"}"#, 2, 2);
    check(&usage(1, 0), r#"{"model_ratio":"0","expression_result":"3","group_ratio":"1.6"}"#, 2, 2);
    check(&usage(1, 0), r#"{"model_ratio":"0","expression_result":"5"}"#, 3, 3);
    check(&usage(1, 0), r#"{"model_ratio":"1","expression_result":"0"}"#, 0, 0);
}

#[test]
fn sound_has_ratios_of_its_own_and_tasks_are_truncated() {
    let sound = QuotaUsage { audio_input: 40, audio_output: 10, ..usage(100, 30) };
    // (60 + 20 x 4 + 40 x 20 + 10 x 20 x 2) x 1.25 = 1,675
    let json = r#"{"mode":"audio","model_ratio":"1.25","completion_ratio":"4","audio_ratio":"20","audio_completion_ratio":"2"}"#;
    check(&sound, json, 1_675, 1_675);
    check(&usage(1, 0), r#"{"mode":"audio","model_ratio":"0.1"}"#, 1, 1);
    check(&usage(0, 0), r#"{"mode":"audio","model_ratio":"0.1"}"#, 0, 0);
    check(&usage(1, 0), r#"{"mode":"audio","model_ratio":"1","model_price":"0.0000019"}"#, 0, 0);
    check(&usage(0, 0), r#"{"mode":"task","model_ratio":"0","model_price":"0.0000059"}"#, 2, 2);
    check(
        &usage(0, 0),
        r#"{"mode":"task","model_ratio":"0","model_price":"0.1","group_ratio":"0.5"}"#,
        25_000,
        25_000,
    );
}

#[test]
fn the_current_arithmetic_stays_within_32_bits() {
    let huge = usage(1_000_000_000_000, 0);
    check(&huge, r#"{"model_ratio":"1"}"#, 2_147_483_647, 1_000_000_000_000);
    check(&huge, r#"{"model_ratio":"9999999999"}"#, 2_147_483_647, i64::MAX);
}

#[test]
fn a_long_ratio_loses_no_digit() {
    // The half of a unit is missed by the 18th digit.
    check(&usage(1, 0), r#"{"model_ratio":"2.499999999999999999"}"#, 2, 2);
    let json = r#"{"model_ratio":"1.000000000000000001","group_ratio":"1.000000000000000001","completion_ratio":"2.5"}"#;
    // 2.5 x (1 + 1e-18)^2 is above the half by 5e-18.
    check(&usage(0, 1), json, 3, 3);
    let json = r#"{"model_ratio":"0.999999999999999999","group_ratio":"1.000000000000000001","completion_ratio":"2.5"}"#;
    // 2.5 x (1 - 1e-36): only 36 digits tell that this is below the half.
    check(&usage(0, 1), json, 2, 2);
}

#[test]
fn a_cost_is_rounded_half_away_from_zero() {
    for (cost, units) in [
        ("0", 0),
        ("0.005385", 2_693),
        ("0.000001", 1),
        ("0.000000999999999999", 0),
        ("0.000003", 2),
        ("-0.000001", -1),
        ("1", 500_000),
        ("9999999999.999999999999999999", 5_000_000_000_000_000),
    ] {
        assert_eq!(quota_of_cost(cost.parse().unwrap()), units, "{cost}");
    }
}

#[test]
fn tokens_are_counted_as_new_api_counts_them() {
    let mut tokens = Tokens::default();
    for (bucket, count) in [
        (Bucket::UncachedInput, 1),
        (Bucket::CacheRead, 10),
        (Bucket::CacheWrite5m, 100),
        (Bucket::CacheWrite1h, 1_000),
        (Bucket::ImageInput, 10_000),
        (Bucket::AudioInput, 100_000),
        (Bucket::TextOutput, 2),
        (Bucket::Reasoning, 20),
        (Bucket::AudioOutput, 200),
    ] {
        tokens.set(bucket, count).unwrap();
    }
    let openai = QuotaUsage {
        prompt: 111_111,
        completion: 222,
        cached: 10,
        cache_creation: 1_100,
        cache_creation_5m: 100,
        cache_creation_1h: 1_000,
        image_input: 10_000,
        audio_input: 100_000,
        audio_output: 200,
    };
    assert_eq!(QuotaUsage::of_tokens(&tokens, QuotaSemantics::Openai), openai);
    let anthropic = QuotaUsage { prompt: 110_001, ..openai };
    assert_eq!(QuotaUsage::of_tokens(&tokens, QuotaSemantics::Anthropic), anthropic);
}

fn ratio() -> impl Strategy<Value = Ratio> {
    (0_i64..10_000_000_000, 0_u32..=18)
        .prop_map(|(digits, scale)| Ratio::try_from(rust_decimal::Decimal::new(digits, scale)).unwrap())
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0_u64..10_000, Just(u64::MAX), any::<u64>()]
}

proptest! {
    #[test]
    fn no_counts_and_ratios_panic(
        counts in prop::array::uniform9(any_count()),
        figures in prop::array::uniform8(ratio()),
        legacy: bool,
        anthropic: bool,
        kind in 0_u8..5,
        calls: u32,
    ) {
        let [prompt, completion, cached, cache_creation, cache_creation_5m, cache_creation_1h, image_input, audio_input, audio_output] = counts;
        let usage = QuotaUsage { prompt, completion, cached, cache_creation, cache_creation_5m, cache_creation_1h, image_input, audio_input, audio_output };
        let [model_ratio, completion_ratio, group, cache, image, price, other, tool] = figures;
        let ratios = QuotaRatios {
            arithmetic: legacy.then_some(QuotaArithmetic::Legacy),
            semantics: anthropic.then_some(QuotaSemantics::Anthropic),
            mode: match kind { 0 => Some(QuotaMode::Audio), 1 => Some(QuotaMode::Task), _ => None },
            completion_ratio: Some(completion_ratio),
            group_ratio: Some(group),
            cache_ratio: Some(cache),
            image_ratio: Some(image),
            model_price: (kind == 2).then_some(price),
            expression_result: (kind == 3).then_some(price),
            audio_input_price: Some(price),
            other_ratios: Some(vec![other]),
            tools: Some(vec![QuotaTool { per_thousand: tool, calls }]),
            ..ratios(&format!(r#"{{"model_ratio":"{model_ratio}"}}"#))
        };
        let units = quota_of_ratios(&usage, &ratios);
        if !legacy {
            prop_assert!((0..=i64::from(i32::MAX)).contains(&units), "{units}");
        }
    }

    #[test]
    fn plain_tokens_cost_what_whole_numbers_say(prompt in 0_u64..100_000, completion in 0_u64..100_000, model in 1_u64..10_000, output in 0_u64..1_000) {
        // Ratios in hundredths and tenths: the sum in thousandths, rounded by hand.
        let thousandths = (prompt * 10 + completion * output) * model;
        let expected = (thousandths + 500) / 1_000;
        let expected = match (prompt + completion, expected) { (0, _) => 0, (_, 0) => 1, (_, units) => units };
        let json = format!(r#"{{"model_ratio":"{}","completion_ratio":"{}"}}"#, rust_decimal::Decimal::new(i64::try_from(model).unwrap(), 2), rust_decimal::Decimal::new(i64::try_from(output).unwrap(), 1));
        prop_assert_eq!(quota_of_ratios(&usage(prompt, completion), &ratios(&json)), i64::try_from(expected.min(2_147_483_647)).unwrap());
    }
}

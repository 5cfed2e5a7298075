//! What filters mean, asked of one event.

use weir_event::wire::WireEvent;
use weir_event::{Scope, Source};
use weir_pricing::PriceBook;

use super::*;

const EVENT: &str = r#"{
    "event_id": "req-7f2", "kind": "consume", "started_at": "2024-09-30T09:45:39.488Z", "duration_ms": 1840, "success": true,
    "provider": "anthropic", "model": "Claude-Ärger", "status_code": 200, "cost": "0.01",
    "tokens": {"uncached_input": 12, "cache_read": 4096},
    "metadata": {"team": "search", "beta": true, "attempt": 2, "share": 0.5, "note": ""}
}"#;

#[track_caller]
fn check(filters: &[&str], expected: bool) {
    let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
    let event: WireEvent = serde_json::from_str(EVENT).unwrap();
    let row = PricedEvent::new(event.into_event(scope, Source::Http).unwrap(), &PriceBook::builtin());
    for text in filters {
        let filter: Filter = text.parse().unwrap();
        assert_eq!(filter.matches(&row), expected, "{text}");
    }
}

#[test]
fn texts_are_equal_to_the_letter_and_found_in_either_case() {
    check(
        &[
            r#"provider = "anthropic""#,
            r#"provider in ("openai", "anthropic")"#,
            r#"provider != "Anthropic""#,
            r#"model contains "ÄRGER""#,
            r#"model starts_with "claude-ä""#,
            "provider exists",
            "not error exists",
            r#"error = """#,
        ],
        true,
    );
    check(
        &[
            r#"provider = "Anthropic""#,
            r#"provider != "anthropic""#,
            r#"model contains "arger""#,
            r#"model starts_with "laude""#,
            r#"error != """#,
        ],
        false,
    );
}

#[test]
fn numbers_are_compared_exactly_and_the_unknown_is_equal_to_none() {
    check(
        &[
            "cost = 0.01",
            "cost > 0.0099999999999999999999",
            "cost >= 1e-2",
            "cost in (1, 0.010)",
            "tokens = 4108",
            "tokens_in < 4108.5",
            "tokens_out != 0",
            "not tokens_out exists",
            "not tokens_out < 1000",
            "duration_ms <= 1840",
        ],
        true,
    );
    check(
        &[
            "cost > 0.01",
            "cost = 0.0100000000000000000001",
            "tokens_out = 0",
            "tokens_out < 1000",
            "tokens_out >= 0",
        ],
        false,
    );
}

#[test]
fn times_are_compared_to_the_nanosecond() {
    check(
        &[
            r#"created_at = "2024-09-30T11:45:41.328+02:00""#,
            r#"created_at < "2024-09-30T09:45:41.328000001Z""#,
            r#"created_at >= "2024-09-30T09:45:41.328Z" and started_at < "2024-09-30T09:45:41.328Z""#,
        ],
        true,
    );
    check(
        &[r#"created_at > "2024-09-30T09:45:41.328Z""#, r#"created_at = "2024-09-30T09:45:41.3280001Z""#],
        false,
    );
}

#[test]
fn metadata_is_compared_as_text_and_sides_are_asked_apart() {
    check(
        &[
            r#"metadata["team"] = "search""#,
            r#"metadata["attempt"] = "2""#,
            r#"metadata["beta"] = "true" and metadata["share"] = "0.5""#,
            r#"metadata.key = "team" and metadata.value = "2""#,
            r#"metadata.value contains "EARC""#,
            r#"metadata["note"] = "" and metadata["note"] exists"#,
            r#"metadata["nobody"] != "" and not metadata["nobody"] exists"#,
            r#"metadata.key != "Team""#,
        ],
        true,
    );
    check(
        &[
            r#"metadata["Team"] = "search""#,
            r#"metadata["nobody"] = """#,
            r#"metadata.value != "search""#,
            r#"metadata.key = """#,
        ],
        false,
    );
}

#[test]
fn conditions_are_joined_as_words_say() {
    check(&["", "success = true and cached = false", "cached = true or not streamed = true"], true);
    check(
        &["cached = true", "success = true and cached = true", "not (success = true or cached = true)"],
        false,
    );
}

//! What each policy leaves of an event, and what it never changes.

use std::sync::LazyLock;

use proptest::prelude::*;
use weir_event::{
    Attributes, Bodies, Caller, Dialect, EventId, EventKind, Flag, Metadata, MetadataValue, Source,
    Timestamp, TokenBucket, Tokens, Units, UsageEvent,
};
use weir_pricing::PriceBook;
use weir_service::config::Value as _;

use super::super::{Pattern, PolicyEntry};
use super::*;

const EMAIL: &str = "alice@example.com";
const KEY: &str = "sk-abcdEFGH1234abcdEFGH1234";
const MODEL: &str = "gpt-4o-2024-05-13";

static SCOPE: LazyLock<Scope> =
    LazyLock::new(|| Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() });

fn letter(record: &[u8]) -> Letter<'_> {
    let (account_id, gateway_id) = (&SCOPE.account_id, Some(&SCOPE.gateway_id));
    Letter { account_id, gateway_id, record, sealed: &[], attributes: None }
}

fn redactor(policy: Policy, patterns: &[&str]) -> Redactor {
    let entry = PolicyEntry::from_text(&format!("acc/gw={}", policy.name())).unwrap();
    let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    Redactor::new(Policies::new(vec![entry]), Rules::new(&BuiltIn::ALL, patterns).unwrap(), 10)
}

/// An event with `text` in every place where text may be, and `count` of input tokens.
fn event(text: &str, count: u32) -> UsageEvent {
    let some = || Some(text.to_owned());
    let at = Timestamp::from_millis(1_790_000_000_000).unwrap();
    let mut tokens = Tokens::default();
    for bucket in [TokenBucket::UncachedInput, TokenBucket::TextOutput] {
        tokens.set(bucket, u64::from(count)).unwrap();
    }
    let metadata: Metadata = [
        ("who".to_owned(), MetadataValue::Text(text.to_owned())),
        ("card".to_owned(), MetadataValue::Number(4_111_111_111_111_111_u64.into())),
        ("beta".to_owned(), MetadataValue::Bool(true)),
    ]
    .into_iter()
    .collect();
    UsageEvent {
        id: EventId::derive(at, &[b"x"]),
        scope: SCOPE.clone(),
        source: Source::Logpush,
        dialect: Dialect::MalaccaTagged,
        event_id: some(),
        request_id: some(),
        ray_id: None,
        kind: EventKind::Consume,
        started_at: at,
        created_at: at,
        duration_ms: Some(1),
        time_to_first_token_ms: None,
        provider: Some("openai".to_owned()),
        model: Some(MODEL.to_owned()),
        model_requested: some(),
        model_type: some(),
        request_type: None,
        path: some(),
        step: None,
        status_code: Some(200),
        success: true,
        cached: false,
        streamed: false,
        truncated: false,
        error: some(),
        caller: Caller { user_id: some(), user_agent: some(), ..Caller::default() },
        tokens,
        units: Units::default(),
        service_tier: None,
        usage_json: some(),
        provided_cost: None,
        custom_cost: None,
        quota: None,
        quota_ratios: None,
        metadata: Some(metadata),
        attributes: Attributes { content: some(), channel_name: some(), ..Attributes::default() }.known(),
        bodies: Bodies {
            request: Some(format!("{{\"a\":\"{text}\"}}")),
            response: some(),
            request_content_type: some(),
            response_content_type: None,
            request_size: Some(9_999),
            response_size: Some(8_888),
        },
        flags: [Flag::ImpossibleUsage].into_iter().collect(),
    }
}

fn applied(redactor: &Redactor, event: UsageEvent) -> (PricedEvent, Tally) {
    let mut priced = PricedEvent::new(event, &PriceBook::builtin());
    let mut tally = Tally::default();
    redactor.apply(&mut priced, &mut tally);
    (priced, tally)
}

fn flags(priced: &PricedEvent) -> Vec<Flag> {
    priced.event().flags.iter().filter(|flag| *flag != Flag::ImpossibleUsage).collect()
}

#[test]
fn a_policy_of_store_leaves_everything() {
    let (priced, tally) = applied(&redactor(Policy::Store, &["x=."]), event(&format!("{EMAIL} {KEY}"), 1));
    assert_eq!(priced.event(), &event(&format!("{EMAIL} {KEY}"), 1));
    assert_eq!(tally.records().collect::<Vec<_>>(), [(Policy::Store, Outcome::Untouched, 1)]);
}

#[test]
fn redacted_texts_keep_their_places_and_names_their_users() {
    let (priced, tally) = applied(&redactor(Policy::Redact, &[]), event(&format!("{EMAIL} {KEY}"), 1));
    let event = priced.event();
    let all = Some("[redacted:email] [redacted:api_key]".to_owned());
    assert_eq!(event.bodies.request.as_deref(), Some(r#"{"a":"[redacted:email] [redacted:api_key]"}"#));
    let attributes = event.attributes.as_deref().unwrap();
    for text in [
        &event.bodies.response,
        &event.error,
        &event.path,
        &event.usage_json,
        &event.caller.user_agent,
        &attributes.content,
    ] {
        assert_eq!(*text, all);
    }
    let metadata = event.metadata.as_ref().unwrap().to_json();
    assert_eq!(
        metadata,
        r#"{"beta":true,"card":"[redacted:card]","who":"[redacted:email] [redacted:api_key]"}"#
    );
    let names = [
        &event.caller.user_id,
        &event.model_requested,
        &event.event_id,
        &event.bodies.request_content_type,
        &attributes.channel_name,
    ];
    for name in names {
        assert_eq!(name.as_deref(), Some("alice@example.com [redacted:api_key]"));
    }
    assert_eq!((event.bodies.request_size, event.bodies.response_size), (Some(9_999), Some(8_888)));
    assert_eq!(flags(&priced), [Flag::Redacted]);
    assert!(event.flags.has(Flag::ImpossibleUsage), "what was raised before stays");
    assert_eq!(tally.records().collect::<Vec<_>>(), [(Policy::Redact, Outcome::Redacted, 1)]);
    let emails = tally.places().find(|(rule, _, _)| *rule == BuiltIn::Email as usize).unwrap();
    assert_eq!(emails, (BuiltIn::Email as usize, Policy::Redact, 8));
}

#[test]
fn of_a_head_no_half_of_a_secret_is_left() {
    let (priced, _) = applied(&redactor(Policy::Heads, &[]), event(&format!("12345 {KEY}"), 1));
    let bodies = &priced.event().bodies;
    assert_eq!(
        (bodies.request.as_deref(), bodies.response.as_deref()),
        (Some(r#"{"a":"1234"#), Some("12345 [red"))
    );
    assert_eq!(priced.event().error.as_deref(), Some("12345 [red"));
    assert_eq!(flags(&priced), [Flag::Redacted, Flag::BodiesCut]);
    let (short, tally) =
        applied(&redactor(Policy::Heads, &[]), UsageEvent { bodies: Bodies::default(), ..event("hi", 1) });
    assert_eq!(flags(&short), [Flag::Redacted], "the card in the metadata");
    assert_eq!(tally.records().collect::<Vec<_>>(), [(Policy::Heads, Outcome::Redacted, 1)]);
}

#[test]
fn where_no_body_is_kept_nothing_that_repeats_one_is() {
    let (priced, tally) = applied(&redactor(Policy::None, &[]), event(EMAIL, 1));
    let event = priced.event();
    assert_eq!((&event.bodies.request, &event.bodies.response), (&None, &None));
    assert_eq!(event.error.as_deref(), Some(WITHHELD));
    assert_eq!(event.path.as_deref(), Some("[redacted:email]"));
    assert_eq!((event.bodies.request_size, event.bodies.response_size), (Some(9_999), Some(8_888)));
    assert_eq!(flags(&priced), [Flag::Redacted, Flag::BodiesWithheld]);
    assert_eq!(tally.records().collect::<Vec<_>>(), [(Policy::None, Outcome::Withheld, 1)]);
}

#[test]
fn where_the_rules_fail_no_text_is_left() {
    // One match too many in the answer alone.
    let mut endless = event(EMAIL, 1);
    endless.bodies.response = Some("7".repeat(10_001));
    for policy in [Policy::Redact, Policy::Heads] {
        let (priced, tally) = applied(&redactor(policy, &["seven=7"]), endless.clone());
        let event = priced.event();
        assert_eq!((&event.bodies.request, &event.bodies.response, &event.metadata), (&None, &None, &None));
        assert_eq!((&event.path, &event.usage_json, &event.caller.user_agent), (&None, &None, &None));
        assert_eq!(event.attributes.as_deref().unwrap().content, None);
        assert_eq!(event.error.as_deref(), Some(WITHHELD));
        assert_eq!((event.caller.user_id.as_deref(), event.model.as_deref()), (Some(EMAIL), Some(MODEL)));
        assert!(event.flags.has(Flag::RedactionFailed) && event.flags.has(Flag::ImpossibleUsage));
        assert_eq!(tally.records().collect::<Vec<_>>(), [(policy, Outcome::Failed, 1)]);
    }
}

#[test]
fn a_panic_is_a_failure_as_well() {
    let result = guarded::<()>(|| panic!("a defect"));
    assert_eq!(result, Err(RedactError::Defect));
}

#[test]
fn a_dead_letter_is_kept_as_far_as_bodies_are() {
    let record = format!(r#"{{"authorization":"Bearer x","Logs":["{{\"a\":\"\\n{EMAIL}\"}}"]}}"#);
    let check = |policy, expected: &str, outcome| {
        let mut tally = Tally::default();
        let letter = redactor(policy, &["seven=7"]).letter(letter(record.as_bytes()), &mut tally);
        assert_eq!(String::from_utf8(letter.record).unwrap(), expected);
        assert_eq!(tally.records().collect::<Vec<_>>(), [(policy, outcome, 1)]);
    };
    let blanked = record.replace("Bearer x", "REDACTED");
    check(Policy::Store, &blanked, Outcome::Untouched);
    check(Policy::Redact, &blanked.replace(EMAIL, "[redacted:email]"), Outcome::Redacted);
    check(Policy::Heads, r#"{"authoriz"#, Outcome::Cut);
    check(Policy::None, WITHHELD, Outcome::Withheld);
    let mut tally = Tally::default();
    let endless =
        redactor(Policy::Redact, &["seven=7"]).letter(letter("7".repeat(10_001).as_bytes()), &mut tally);
    assert_eq!(endless.record, WITHHELD.as_bytes());
    assert_eq!(tally.records().collect::<Vec<_>>(), [(Policy::Redact, Outcome::Failed, 1)]);
}

#[test]
fn what_came_beside_a_letter_is_kept_as_far_as_it_is() {
    let check = |policy, expected: &[(&str, &str)], outcome| {
        let came = [
            ("authtoken", "hunter2"),
            ("id", "mailto:alice@example.com"),
            ("source", KEY),
            ("specversion", "1.0"),
            ("subject", EMAIL),
        ];
        let came = came.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let (letter, mut tally) = (Letter { attributes: Some(&came), ..letter(b"{") }, Tally::default());
        let kept = redactor(policy, &["seven=7"]).letter(letter, &mut tally).attributes.unwrap();
        assert_eq!(kept.iter().collect::<Vec<_>>(), expected, "{policy:?}");
        assert_eq!(tally.records().collect::<Vec<_>>(), [(policy, outcome, 1)]);
    };
    let blanked = ("authtoken", "REDACTED");
    let id = ("id", "mailto:alice@example.com");
    let (source, version) = (("source", "[redacted:api_key]"), ("specversion", "1.0"));
    let subject = ("subject", "[redacted:email]");
    check(Policy::Store, &[blanked, id, ("source", KEY), version, ("subject", EMAIL)], Outcome::Untouched);
    check(Policy::Redact, &[blanked, id, source, version, subject], Outcome::Redacted);
    check(Policy::Heads, &[blanked, id, source, version, subject], Outcome::Redacted);
    check(Policy::None, &[id, source, version], Outcome::Withheld);
    // One match too many beside the record: then nothing is kept.
    let endless = [("subject".to_owned(), "7".repeat(10_001))].into_iter().collect();
    let (letter, mut tally) = (Letter { attributes: Some(&endless), ..letter(b"{") }, Tally::default());
    let kept = redactor(Policy::Redact, &["seven=7"]).letter(letter, &mut tally);
    assert_eq!(kept, Kept { record: WITHHELD.as_bytes().to_vec(), attributes: None });
    assert_eq!(tally.records().collect::<Vec<_>>(), [(Policy::Redact, Outcome::Failed, 1)]);
}

#[test]
fn what_is_sealed_stays_and_what_is_around_it_is_redacted() {
    let record = format!(r#"{{"a":"{EMAIL}","sealed":{{"key":"{EMAIL}"}},"n":4111111111111111}}"#);
    let start = record.find(r#"{"key""#).unwrap();
    let sealed = start..start + r#"{"key":""}"#.len() + EMAIL.len();
    let kept = |policy| {
        let letter = Letter { sealed: std::slice::from_ref(&sealed), ..letter(record.as_bytes()) };
        String::from_utf8(redactor(policy, &[]).letter(letter, &mut Tally::default()).record).unwrap()
    };
    let expected =
        format!(r#"{{"a":"[redacted:email]","sealed":{{"key":"{EMAIL}"}},"n":"[redacted:card]"}}"#);
    assert_eq!((kept(Policy::Redact), kept(Policy::None)), (expected, WITHHELD.to_owned()));
}

#[test]
fn a_dead_letter_that_is_no_text_keeps_its_bytes() {
    let record = [b"\xff\x00".as_slice(), EMAIL.as_bytes(), b"\xfe\xc3"].concat();
    let letter = redactor(Policy::Redact, &[]).letter(letter(&record), &mut Tally::default());
    assert_eq!(letter.record, b"\xff\x00[redacted:email]\xfe\xc3");
}

proptest! {
    #[test]
    fn nothing_but_texts_ever_changes(
        text in r#"(alice@example\.com|sk-abcdEFGH1234abcdEFGH1234|4111111111111111|[ "\\a-z\n]){0,12}"#,
        count: u32,
        policy in proptest::sample::select(Policy::ALL.to_vec()),
    ) {
        let original = PricedEvent::new(event(&text, count), &PriceBook::builtin());
        let (mut priced, _) = applied(&redactor(policy, &["word=[a-z]{3}"]), event(&text, count));
        prop_assert_eq!(priced.cost(), original.cost());
        prop_assert!(priced.cost().amount().is_some(), "it is priced");
        // With its texts as they were, it is the same event, to the last field.
        let (mut before, _) = original.clone().into_parts();
        let (sizes, was) = ((priced.event().bodies.request_size, priced.event().bodies.response_size), before.texts_mut());
        prop_assert_eq!(sizes, (was.bodies.request_size, was.bodies.response_size));
        let left = priced.texts_mut();
        (*left.provider, *left.model, *left.model_requested) = (was.provider.take(), was.model.take(), was.model_requested.take());
        (*left.model_type, *left.service_tier) = (was.model_type.take(), was.service_tier.take());
        (*left.event_id, *left.request_id) = (was.event_id.take(), was.request_id.take());
        (*left.path, *left.error, *left.usage_json) = (was.path.take(), was.error.take(), was.usage_json.take());
        *left.caller = was.caller.clone();
        (*left.metadata, *left.attributes) = (was.metadata.take(), was.attributes.take());
        *left.bodies = was.bodies.clone();
        *left.flags = *was.flags;
        prop_assert_eq!(priced, original);
    }
}

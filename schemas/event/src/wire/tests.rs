//! The published form against its schema: every example, good and bad, goes through both.

use super::*;

fn scope() -> Scope {
    Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() }
}

fn minimal() -> WireEvent {
    serde_json::from_str(
        r#"{"event_id":"e-1","kind":"consume","started_at":"2026-01-02T03:04:05.678Z","success":true}"#,
    )
    .unwrap()
}

#[test]
fn absent_stays_absent() {
    let event = minimal().into_event(scope(), Source::Kafka).unwrap();
    assert_eq!(event.created_at, event.started_at);
    assert_eq!(event.duration_ms, None);
    assert_eq!(event.tokens.total_in(), None);
    assert_eq!(event.provided_cost, None);
}

#[test]
fn the_end_follows_from_the_duration_and_back() {
    let wire = WireEvent { duration_ms: Some(1_500), ..minimal() };
    let event = wire.into_event(scope(), Source::Http).unwrap();
    assert_eq!(event.created_at.to_string(), "2026-01-02T03:04:07.178Z");
    let wire = WireEvent { created_at: Some(event.created_at), ..minimal() };
    assert_eq!(wire.into_event(scope(), Source::Http).unwrap().duration_ms, Some(1_500));
}

#[test]
fn nonsense_is_refused() {
    let early = Some("2026-01-02T03:04:05.677Z".parse().unwrap());
    let wire = WireEvent { created_at: early, ..minimal() };
    assert_eq!(wire.into_event(scope(), Source::Http), Err(WireError::EndsBeforeStart));
    let wire = WireEvent { event_id: Some(String::new()), ..minimal() };
    assert_eq!(wire.into_event(scope(), Source::Http), Err(WireError::EmptyEventId));
    for (wire, field) in [
        (WireEvent { event_id: None, ..minimal() }, "event_id"),
        (WireEvent { started_at: None, ..minimal() }, "started_at"),
    ] {
        assert_eq!(wire.into_event(scope(), Source::Http), Err(WireError::Missing { field }));
    }
    let huge = Some(BTreeMap::from([(TokenBucket::TextOutput, u64::MAX)]));
    let wire = WireEvent { tokens: huge, ..minimal() };
    assert!(matches!(wire.into_event(scope(), Source::Http), Err(WireError::Tokens(_))));
}

#[test]
fn tenants_do_not_share_ids() {
    let ours = minimal().into_event(scope(), Source::Http).unwrap();
    let other = Scope { gateway_id: "other".parse().unwrap(), ..scope() };
    let theirs = minimal().into_event(other, Source::Http).unwrap();
    assert_ne!(ours.id, theirs.id);
    assert_eq!(minimal().into_event(scope(), Source::Kafka).unwrap().id, ours.id, "the door does not matter");
}

/// The examples of `schemas/json/examples/<kind>`, by file name.
fn examples(kind: &str) -> Vec<(String, String)> {
    let folder = format!("{}/../json/examples/{kind}", env!("CARGO_MANIFEST_DIR"));
    let mut examples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    examples.sort();
    assert!(examples.len() >= 3, "{kind} examples are missing");
    examples
}

fn validator() -> jsonschema::Validator {
    let schema = include_str!("../../../json/usage_event.v1.schema.json");
    jsonschema::options().should_validate_formats(true).build(&serde_json::from_str(schema).unwrap()).unwrap()
}

#[test]
fn valid_examples_pass_the_schema_and_the_decoder() {
    let validator = validator();
    for (name, text) in examples("valid") {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(validator.is_valid(&value), "{name}: {:?}", validator.validate(&value).unwrap_err());
        let wire: WireEvent = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        wire.into_event(scope(), Source::Http).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn invalid_examples_are_refused_by_schema_and_decoder() {
    let validator = validator();
    for (name, text) in examples("invalid") {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(!validator.is_valid(&value), "{name} passes the schema");
        let decoded =
            serde_json::from_str::<WireEvent>(&text).ok().map(|wire| wire.into_event(scope(), Source::Http));
        assert!(!matches!(decoded, Some(Ok(_))), "{name} passes the decoder");
    }
}

#[test]
fn the_schema_and_the_type_have_the_same_fields() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../json/usage_event.v1.schema.json")).unwrap();
    let published: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    let mut typed: Vec<_> =
        serde_json::to_value(minimal()).unwrap().as_object().unwrap().keys().cloned().collect();
    typed.sort();
    assert_eq!(published, typed);
    let ratios: QuotaRatios = serde_json::from_str(r#"{"model_ratio":"1"}"#).unwrap();
    let mut ratios: Vec<_> =
        serde_json::to_value(ratios).unwrap().as_object().unwrap().keys().cloned().collect();
    ratios.sort();
    let published: Vec<_> =
        schema["properties"]["quota_ratios"]["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(published, ratios);
    let attributes = serde_json::to_value(Attributes::default()).unwrap();
    let mut attributes: Vec<_> = attributes.as_object().unwrap().keys().cloned().collect();
    attributes.sort();
    let published: Vec<_> =
        schema["properties"]["attributes"]["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(published, attributes);
    let buckets: Vec<_> =
        schema["properties"]["tokens"]["properties"].as_object().unwrap().keys().cloned().collect();
    let mut known: Vec<_> = TokenBucket::ALL
        .iter()
        .map(|bucket| serde_json::to_value(bucket).unwrap().as_str().unwrap().to_owned())
        .collect();
    known.sort();
    assert_eq!(buckets, known);
}

//! Measures what redaction costs per byte of a body, beside one `serde_json` pass over the same text.
//!
//! Bodies without anything to find are the rule; those with a secret show what finding it costs, and the last ones what a
//! text costs that looks suspicious all over. `RESULTS.md` has the figures.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]
#![expect(clippy::cast_precision_loss, reason = "figures for reading")]

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use weir_event::{
    Bodies, Caller, Dialect, EventId, EventKind, Flags, Scope, Source, Timestamp, Tokens, Units, UsageEvent,
};
use weir_ingest::price::{PriceBook, PricedEvent};
use weir_ingest::redact::{BuiltIn, Pattern, Policies, Redactor, Rules, Tally};

static BOOK: LazyLock<PriceBook> = LazyLock::new(PriceBook::builtin);

const SAMPLE: usize = 1 << 20;
const AT_LEAST: Duration = Duration::from_millis(400);
const SENTENCE: &str =
    "The weather in Lisbon is mild: 21 degrees, a risk of rain at 5 p.m., and it's 1727689541 now.\\n";

fn main() {
    let patterns =
        ["employee=EMP-\\d{6}", "ssn=\\b\\d{3}-\\d{2}-\\d{4}\\b"].map(|text| Pattern::parse(text).unwrap());
    let with_patterns =
        Redactor::new(Policies::default(), Rules::new(&BuiltIn::ALL, patterns.into()).unwrap(), 1_024);
    let built_in = Redactor::default();
    println!("{:<44}{:>12}{:>16}{:>14}", "body of 1 MiB", "rules MB/s", "+ 2 patterns", "parse MB/s");
    for (name, body) in samples() {
        let rules = speed(&body, |event, tally| built_in.apply(event, tally));
        let patterns = speed(&body, |event, tally| with_patterns.apply(event, tally));
        println!("{name:<44}{rules:>12.0}{patterns:>16.0}{:>14.0}", parse_speed(&body));
    }
    let small = chat(&SENTENCE.repeat(10));
    let apply = |redactor: &Redactor| {
        let mut event = priced(small.clone());
        let mut tally = Tally::default();
        rate(|| redactor.apply(black_box(&mut event), &mut tally))
    };
    println!("an event with a body of {} bytes: {:.0} ns", small.len(), 1e9 / apply(&built_in));
    let store = Redactor::new(
        Policies::new(vec![weir_service::config::Value::from_text("*/*=store").unwrap()]),
        Rules::new(&BuiltIn::ALL, Vec::new()).unwrap(),
        1_024,
    );
    println!("the same under the policy store: {:.0} ns", 1e9 / apply(&store));
}

fn samples() -> Vec<(&'static str, String)> {
    let text = SENTENCE.repeat(SAMPLE / SENTENCE.len());
    let per_kb = |secret: &str| format!("{}{secret}\\n", SENTENCE.repeat(10)).repeat(SAMPLE / 1_000);
    let event = |text: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1727689541,\"model\":\"gpt-4o\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let floats = "-0.006929283495992422,0.4539078123456789,".repeat(SAMPLE / 42);
    vec![
        ("chat in JSON, nothing to find", chat(&text)),
        ("event stream, nothing to find", event(" weather").repeat(SAMPLE / 160)),
        ("embedding", format!("{{\"data\":[{{\"embedding\":[{floats}1]}}]}}")),
        ("picture in base64", chat(&"iVBORw0KGgoAAAANSUhEUgAAB4AAAAQ4CAYAAADo08FD".repeat(SAMPLE / 44))),
        ("chat in JSON, an address in each KB", chat(&per_kb("alice@example.com"))),
        ("chat in JSON, a key in each KB", chat(&per_kb("sk-abcdEFGH1234abcdEFGH1234"))),
        ("event stream, an address in each chunk", event("a@b.example").repeat(SAMPLE / 160)),
        ("nothing but @", chat(&"a@".repeat(SAMPLE / 2))),
        ("nothing but sk-", chat(&"sk-".repeat(SAMPLE / 3))),
        ("nothing but escapes", chat(&"\\u0061\\n".repeat(SAMPLE / 8))),
    ]
}

fn chat(text: &str) -> String {
    format!("{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}")
}

/// Megabytes of body per second; the making of each event is not counted.
fn speed(body: &str, apply: impl Fn(&mut PricedEvent, &mut Tally)) -> f64 {
    let (mut took, mut rounds) = (Duration::ZERO, 0);
    let mut tally = Tally::default();
    while took < AT_LEAST || rounds < 5 {
        let mut event = priced(body.to_owned());
        let begun = Instant::now();
        apply(black_box(&mut event), &mut tally);
        took += begun.elapsed();
        rounds += 1;
    }
    (body.len() * rounds) as f64 / took.as_secs_f64() / 1e6
}

fn parse_speed(body: &str) -> f64 {
    let lines: Vec<&str> = match body.strip_prefix("data: ") {
        Some(stream) => stream.trim_end().split("\n\ndata: ").collect(),
        None => vec![body],
    };
    rate(|| lines.iter().for_each(|line| _ = black_box(serde_json::from_str::<IgnoredAny>(line).unwrap())))
        * body.len() as f64
        / 1e6
}

/// How often a second.
fn rate(mut work: impl FnMut()) -> f64 {
    let (begun, mut rounds) = (Instant::now(), 0_u32);
    while begun.elapsed() < AT_LEAST {
        work();
        rounds += 1;
    }
    f64::from(rounds) / begun.elapsed().as_secs_f64()
}

fn priced(body: String) -> PricedEvent {
    let at = Timestamp::from_millis(1_790_000_000_000).unwrap();
    let event = UsageEvent {
        id: EventId::derive(at, &[b"bench"]),
        scope: Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() },
        source: Source::Logpush,
        dialect: Dialect::MalaccaObject,
        event_id: None,
        request_id: Some("chatcmpl-9x8y7z6w5v4u3t2s1r0q".to_owned()),
        ray_id: None,
        kind: EventKind::Consume,
        started_at: at,
        created_at: at,
        duration_ms: None,
        time_to_first_token_ms: None,
        provider: Some("azure-openai".to_owned()),
        model: Some("gpt-4o-2024-05-13".to_owned()),
        model_requested: Some("gpt4o".to_owned()),
        model_type: None,
        request_type: None,
        path: Some("chat/completions".to_owned()),
        step: None,
        status_code: Some(200),
        success: true,
        cached: false,
        streamed: false,
        truncated: false,
        error: None,
        caller: Caller { user_agent: Some("OpenAI/Python 1.51.0".to_owned()), ..Caller::default() },
        tokens: Tokens::default(),
        units: Units::default(),
        service_tier: None,
        usage_json: Some(r#"{"prompt_tokens":15,"completion_tokens":354,"total_tokens":369}"#.to_owned()),
        provided_cost: None,
        custom_cost: None,
        quota: None,
        quota_ratios: None,
        metadata: None,
        attributes: None,
        bodies: Bodies { response: Some(body), ..Bodies::default() },
        flags: Flags::default(),
    };
    PricedEvent::new(event, &BOOK)
}

//! Measures the live windows: entries folded by one core, what a series takes in memory, and how soon a question is answered.
//!
//! Time is that of the processor, so that what else runs on the machine matters less. `RESULTS.md` has the figures.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]
#![expect(clippy::cast_precision_loss, reason = "figures for reading")]

use std::hint::black_box;
use std::process::Command;

use weir_aggregator::fold::{Fold, Limits, Question, WarmUp, WindowLengths};
use weir_event::bus::{UsageEntry, UsageMessage};
use weir_event::{CostSource, Dimension, EventId, Scope, Timestamp};

const START_MS: i64 = 1_795_176_000_000;
const DAY_MS: i64 = 86_400_000;
const ENTRIES: u64 = 400_000;
const PER_MESSAGE: u64 = 100;

/// How many series, and how many calls of each.
const FILLED: [(u64, u64); 7] =
    [(10_000, 1), (10_000, 24), (10_000, 240), (100_000, 1), (100_000, 24), (1_000_000, 1), (1_000_000, 10)];

fn main() {
    // What one case gave back, the next one would not have to ask for: each has a process of its own.
    let args: Vec<_> = std::env::args().collect();
    if let [_, series, calls] = args.as_slice()
        && let (Ok(series), Ok(calls)) = (series.parse(), calls.parse())
    {
        return memory(series, calls);
    }
    println!("{:>10}{:>22}{:>22}", "series", "entries/s", "with JSON");
    for series in [1_000, 10_000, 100_000] {
        let (folding, with_json) = speed(series);
        println!("{series:>10}{folding:>22.0}{with_json:>22.0}");
    }
    let heads = ["series", "calls each", "bytes a series", "bytes a call", "total ms", "by user ms"];
    println!("{}", heads.map(|head| format!("{head:>16}")).concat());
    for (series, calls) in FILLED {
        let arguments = [series.to_string(), calls.to_string()];
        let filled = Command::new(std::env::current_exe().unwrap()).args(arguments).status().unwrap();
        assert!(filled.success());
    }
}

/// Entries a second of processor time, without and with reading the messages.
fn speed(series: u64) -> (f64, f64) {
    let messages: Vec<Vec<u8>> = (0..ENTRIES / PER_MESSAGE)
        .map(|message| {
            let entry = |n| {
                let number = message * PER_MESSAGE + n;
                entry(number, scattered(number) % series, START_MS + i64::try_from(number / 10).unwrap())
            };
            serde_json::to_vec(&UsageMessage { entries: (0..PER_MESSAGE).map(entry).collect() }).unwrap()
        })
        .collect();
    let mut fold = new_fold(series);
    let (mut read_s, mut all_s) = (0.0, 0.0);
    for (sequence, message) in (1..).zip(&messages) {
        let now = at(START_MS + i64::try_from(sequence * PER_MESSAGE / 10).unwrap());
        let started = processor_s();
        let usage: UsageMessage = serde_json::from_slice(message).unwrap();
        let read = processor_s();
        black_box(fold.apply(sequence, &usage.entries, now));
        if sequence % 200 == 0 {
            fold.sweep(now);
        }
        let folded = processor_s();
        read_s += read - started;
        all_s += folded - started;
    }
    (ENTRIES as f64 / (all_s - read_s), ENTRIES as f64 / all_s)
}

/// What so many series take, with so many calls each over the past day, as one that comes at its time.
fn memory(series: u64, calls: u64) {
    let mut fold = new_fold(series);
    let before = resident_bytes();
    for call in 0..calls {
        let now_ms = START_MS + DAY_MS / i64::try_from(calls).unwrap() * i64::try_from(call).unwrap();
        for number in 0..series {
            // Each at a minute of its own.
            let at_ms = now_ms + i64::try_from(scattered(number) % 50_000).unwrap();
            let entry = entry(call * series + number, number, at_ms);
            fold.apply(call * series + number + 1, std::slice::from_ref(&entry), at(at_ms));
        }
        fold.settle((call + 1) * series);
        fold.sweep(at(now_ms + 60_000));
        fold.sweep(at(now_ms + 62_000));
    }
    let bytes = resident_bytes().saturating_sub(before);
    let now = at(START_MS + DAY_MS - DAY_MS / i64::try_from(calls).unwrap() + 62_000);
    let total = Question::of(scope(), Vec::new());
    let started = processor_s();
    let answer = black_box(fold.snapshot(&total, now));
    let total_ms = (processor_s() - started) * 1_000.0;
    assert_eq!(answer.live.rows[0].windows[3].requests, series * calls);
    let by_user = Question::of(scope(), vec![Dimension::User]);
    let started = processor_s();
    black_box(fold.snapshot(&by_user, now));
    let by_user_ms = (processor_s() - started) * 1_000.0;
    let a_call = bytes as f64 / (series * calls) as f64;
    println!("{series:>16}{calls:>16}{:>16}{a_call:>16.1}{total_ms:>16.1}{by_user_ms:>16.1}", bytes / series);
}

fn new_fold(series: u64) -> Fold {
    let windows = WindowLengths::default();
    let limits = Limits { keys_max: usize::try_from(series).unwrap(), ids_max: 100_000, windows };
    WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS))
}

/// A call of a series: one of so many tokens, 4 models, and as many users as tokens.
fn entry(number: u64, series: u64, created_ms: i64) -> UsageEntry {
    let pair = series / 4;
    UsageEntry {
        id: EventId::derive(at(created_ms), &[&number.to_le_bytes()]),
        scope: scope(),
        created_at: at(created_ms),
        provider: "openai".to_owned(),
        model: ["gpt-4o", "gpt-4o-mini", "o3", "text-embedding-3-large"][(series % 4) as usize].to_owned(),
        token: format!("token-{pair:08}"),
        user: format!("user-{:06}", pair % 1_000),
        channel: format!("{}", pair % 20),
        success: !number.is_multiple_of(50),
        cached: false,
        tokens_in: Some(200 + scattered(number) % 4_000),
        tokens_out: Some(20 + scattered(number) % 900),
        tokens_cache_read: number.is_multiple_of(3).then_some(1_024),
        tokens_cache_write: None,
        tokens_reasoning: None,
        duration_ms: Some(300 + scattered(number) % 9_000),
        time_to_first_token_ms: Some(100 + scattered(number) % 900),
        cost: Some(format!("0.00{:07}", 1 + scattered(number) % 1_000_000).parse().unwrap()),
        cost_source: CostSource::Computed,
        duplicate: false,
    }
}

fn scope() -> Scope {
    Scope { account_id: "acme".parse().unwrap(), gateway_id: "chat".parse().unwrap() }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// A number that looks like chance.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// What this thread used of the processor, in seconds.
fn processor_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

//! Measures what an event costs between the network and the store: decode, normalize, price, and
//! redact as it is by default; over bodies of 1 KB to 1 MB, as JSON and as event streams.
//!
//! The other side is the least that any receiver has to do: gunzip, and one `serde_json` parse of the outer and the inner
//! JSON. Both run on this one thread, in turns, so that a machine that slows down slows both down. `RESULTS.md` has the
//! method and figures. An argument picks the answers whose name contains it.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod rivals;
mod sample;

use std::time::{Duration, Instant};

use self::rivals::{Receiver, Weir};
use self::sample::{Answer, Batch};

const ROUNDS: usize = 15;
/// How much text a batch has, whatever the size of its events, in bytes.
const BATCH_BYTES: usize = 8 << 20;

fn main() {
    println!(
        "{ROUNDS} rounds, batches of {} MB: CPU of gunzip to price, and with redaction / gunzip and parse",
        BATCH_BYTES >> 20
    );
    let sides = [("to price", Weir::to_price()), ("with redaction", Weir::to_row())];
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for body_bytes in [1 << 10, 10 << 10, 100 << 10, 1 << 20] {
        for answer in [Answer::ChatJson, Answer::ChatStream, Answer::AnthropicJson, Answer::AnthropicStream] {
            if !format!("{answer:?}").contains(&wanted) {
                continue;
            }
            let batch = Batch::make(answer, body_bytes, BATCH_BYTES);
            for (what, weir) in &sides {
                weir.check(&batch);
                let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| round(weir, &batch)).collect();
                ratios.sort_by(f64::total_cmp);
                let (least, median, most) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
                println!(
                    "{answer:?} {} KB {what}: median {median:.2} ({least:.2} to {most:.2})",
                    body_bytes >> 10
                );
            }
        }
    }
}

fn round(weir: &Weir, batch: &Batch) -> f64 {
    let ours = timed(|| weir.work(batch));
    let theirs = timed(|| Receiver::work(batch));
    ours.as_secs_f64() / theirs.as_secs_f64()
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

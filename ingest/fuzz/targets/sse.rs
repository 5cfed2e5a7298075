//! The body of an answer as an event stream: no bytes panic in any API, as they are and as well-formed events.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_ingest::normalize::fuzzing::answer;

fuzz_target!(|body: &str| {
    answer(body);
    let events: String = body.lines().map(|line| format!("data: {line}\n\n")).collect();
    answer(&events);
    answer(&events.replace('\n', "\r\n"));
    answer(&format!("{events}data: [DONE]\n\n"));
});

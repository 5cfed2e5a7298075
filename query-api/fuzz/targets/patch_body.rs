//! The body of a patch.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| weir_query_api::api::fuzzing::patch_body(raw));

//! The query string of a deletion, with `filters` in every form.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &str| weir_query_api::api::fuzzing::delete_query(raw));

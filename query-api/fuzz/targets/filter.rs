//! The text form of a filter: whatever is understood is printed, and understood again, as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_filter::Filter;

fuzz_target!(|text: &str| {
    if let Ok(filter) = text.parse::<Filter>() {
        let printed = filter.to_string();
        assert_eq!(printed.parse(), Ok(filter), "{printed}");
    }
});

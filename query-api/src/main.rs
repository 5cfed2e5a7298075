//! query-api: the binary.

fn main() {}

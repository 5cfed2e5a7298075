//! aggregator: the binary.

fn main() {}

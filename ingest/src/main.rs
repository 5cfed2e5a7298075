//! ingest: the binary.

fn main() {}

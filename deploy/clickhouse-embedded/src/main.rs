//! clickhouse-embedded: the binary.

fn main() {}

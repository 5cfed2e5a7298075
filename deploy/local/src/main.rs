//! weir-local: the binary.

fn main() {}

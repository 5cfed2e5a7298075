//! clickhouse-embedded: the binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir_clickhouse_embedded::run(std::env::args_os())
}

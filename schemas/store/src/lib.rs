//! ClickHouse row types and migrations.

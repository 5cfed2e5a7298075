//! A local ClickHouse: the HTTP interface over libchdb.

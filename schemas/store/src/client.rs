//! The ClickHouse client as every binary of ours uses it: one place for the settings that we rely on.

use clickhouse::Client;

/// A client of the database that holds Weir's tables. No connection is opened here.
///
/// `async_insert` is off: an insert is answered when its rows are committed, and not batched with strangers' rows.
#[must_use]
pub fn client(url: &str, database: &str, user: &str, password: &str) -> Client {
    let client = Client::default()
        .with_url(url)
        .with_database(database)
        .with_user(user)
        .with_setting("async_insert", "0")
        .with_product_info("weir", env!("CARGO_PKG_VERSION"));
    if password.is_empty() { client } else { client.with_password(password) }
}

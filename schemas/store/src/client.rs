//! The ClickHouse client as every binary of ours uses it: one place for the settings that we rely on.

use clickhouse::{Client, Compression};
use url::{Host, Url};

/// A client of the database that holds Weir's tables. No connection is opened here.
///
/// `async_insert` is off: an insert is answered when its rows are committed, and not batched with strangers' rows. What goes
/// over a network is compressed with LZ4, both ways, unless the caller changes it; on one machine that would cost more than it
/// saves.
#[must_use]
pub fn client(url: &str, database: &str, user: &str, password: &str) -> Client {
    let client = Client::default()
        .with_url(url)
        .with_database(database)
        .with_user(user)
        .with_setting("async_insert", "0")
        .with_compression(if is_here(url) { Compression::None } else { Compression::Lz4 })
        .with_product_info("weir", env!("CARGO_PKG_VERSION"));
    if password.is_empty() { client } else { client.with_password(password) }
}

/// Whether a server is on this machine, by its address alone.
fn is_here(url: &str) -> bool {
    match Url::parse(url).as_ref().map(Url::host) {
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback(),
        Ok(Some(Host::Domain(name))) => name.eq_ignore_ascii_case("localhost"),
        Ok(None) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_this_machine_is_told_from_what_goes_over_a_network() {
        for url in
            ["http://127.0.0.1:8123", "http://127.8.9.1:8123/", "https://[::1]:8443", "http://LOCALHOST"]
        {
            assert!(is_here(url), "{url}");
        }
        let elsewhere = [
            "http://10.0.0.1:8123",
            "http://[::2]",
            "https://clickhouse",
            "http://localhost.example.com",
            "x",
        ];
        for url in elsewhere {
            assert!(!is_here(url), "{url}");
        }
    }
}

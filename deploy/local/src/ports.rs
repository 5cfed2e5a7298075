//! Free ports for services.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::LocalError;

/// Below the ports that the system gives to outgoing connections (from 32768 on Linux). A port from there would be
/// free now, and taken by some client's connection when the service comes back to it after a restart.
const PORTS: Range<u16> = 20_000..32_000;

/// A loopback address that nobody listens on. Never the same twice in one process; processes that run side by side
/// begin at different places.
pub fn free_address() -> Result<SocketAddr, LocalError> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    let start = u16::try_from(std::process::id().wrapping_mul(61) % u32::from(count)).unwrap_or(0);
    for _ in 0..count {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed) % count;
        let port = PORTS.start + (start + step) % count;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    let source = std::io::Error::other("all are taken");
    Err(LocalError::System { what: "find a free port", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_free_distinct_and_out_of_the_way_of_outgoing_connections() {
        let first = free_address().unwrap();
        let second = free_address().unwrap();
        assert_ne!(first, second);
        assert!(PORTS.contains(&first.port()));
        assert!(TcpListener::bind(first).is_ok());
    }
}

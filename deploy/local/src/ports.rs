//! Free ports for services.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::LocalError;

/// Below the ports that the system gives to outgoing connections (from 32768 on Linux). A port from there would be
/// free now, and taken by some client's connection when the service comes back to it after a restart.
const PORTS: Range<u16> = 20_000..32_000;

/// A process takes ports by the block, with a lock on it for as long as it lives: else another process would take the
/// port of a service that is down for a moment, and a client would find a stranger there.
const BLOCK: u16 = 50;

/// A loopback address that nobody listens on. Never the same twice in one process, nor in two that run side by side.
pub fn free_address() -> Result<SocketAddr, LocalError> {
    static RESERVED: Mutex<Reserved> = Mutex::new(Reserved { locks: Vec::new(), ports: 0..0, next_block: 0 });
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    reserved.next_free().map_err(|source| LocalError::System { what: "find a free port", source })
}

/// What this process has reserved.
struct Reserved {
    /// Held, not read.
    locks: Vec<File>,
    /// What is left of the last block.
    ports: Range<u16>,
    /// The block to try next.
    next_block: u16,
}

impl Reserved {
    fn next_free(&mut self) -> io::Result<SocketAddr> {
        loop {
            for port in self.ports.by_ref() {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                if TcpListener::bind(address).is_ok() {
                    return Ok(address);
                }
            }
            self.take_block()?;
        }
    }

    fn take_block(&mut self) -> io::Result<()> {
        // A folder per user: another's lock files could not be opened.
        let folder = env::temp_dir().join(format!("weir-ports-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(&folder)?;
        let block_count = (PORTS.end - PORTS.start) / BLOCK;
        while self.next_block < block_count {
            let start = PORTS.start + self.next_block * BLOCK;
            self.next_block += 1;
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(start.to_string()))?;
            if lock.try_lock().is_ok() {
                self.locks.push(lock);
                self.ports = start..start + BLOCK;
                return Ok(());
            }
        }
        Err(io::Error::other("every block of ports is taken"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn addresses_are_free_distinct_and_out_of_the_way_of_outgoing_connections() {
        let addresses: BTreeSet<_> = (0..=BLOCK).map(|_| free_address().unwrap()).collect();
        assert_eq!(addresses.len(), usize::from(BLOCK) + 1);
        assert!(addresses.iter().all(|address| PORTS.contains(&address.port())));
        assert!(addresses.iter().all(|address| TcpListener::bind(address).is_ok()));
    }

    #[test]
    fn what_one_process_has_reserved_another_does_not_get() {
        let process = || Reserved { locks: Vec::new(), ports: 0..0, next_block: 0 };
        // Two files opened apart are two owners to the lock, as two processes are.
        let (mut one, mut other) = (process(), process());
        let taken = one.next_free().unwrap().port();
        let block = one.ports.end - BLOCK..one.ports.end;
        assert!(block.contains(&taken));
        assert!(!block.contains(&other.next_free().unwrap().port()));
    }
}

//! How often one client may ask.
//!
//! Of each client the times of its last requests are known, so that what is allowed holds for any time of the window's length.
//! No more than [`CLIENTS_MAX`] are known at once: the ones that were silent for the longest are forgotten, and begin anew. Who
//! has more addresses than that is not held by a limit for each of them.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use warp::http::{HeaderMap, HeaderName};

use super::dialect::Limit;
use super::error::Error;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// So many clients are known at least, and no more than twice as many.
const CLIENTS_MAX: usize = 4_096;

/// The limits of this process.
#[derive(Debug)]
pub struct Limits {
    requests: Option<RateLimit>,
    keys: Option<RateLimit>,
    proxies: usize,
}

/// A limit with those whom it is about.
#[derive(Debug)]
struct RateLimit {
    limit: Limit,
    clients: Mutex<Clients>,
}

/// The times of requests that were let in, the oldest first.
type Times = VecDeque<Instant>;

/// By when they asked last: those who did lately are in the first.
#[derive(Debug, Default)]
struct Clients {
    lately: HashMap<IpAddr, Times>,
    before: HashMap<IpAddr, Times>,
}

impl Limits {
    /// For all requests, and for those of them that show a key; `proxies` is how many there are in front of this process that
    /// write down whom they ask for.
    #[must_use]
    pub fn new(requests: Option<Limit>, keys: Option<Limit>, proxies: usize) -> Self {
        let of = |limit| RateLimit { limit, clients: Mutex::default() };
        Self { requests: requests.map(of), keys: keys.map(of), proxies }
    }

    /// Counts a request, if it is not one too many.
    pub(super) fn admit(
        &self,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
        shows_key: bool,
    ) -> Result<(), Error> {
        let client = grouped(client(peer, headers, self.proxies));
        let now = Instant::now();
        for limit in self.requests.iter().chain(self.keys.iter().filter(|_| shows_key)) {
            limit.admit(client, now).map_err(|wait| Error::TooMany { retry_after_s: wait.as_secs() + 1 })?;
        }
        Ok(())
    }
}

impl RateLimit {
    /// Lets a request in, or says how long its client has to wait.
    fn admit(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let Limit { requests, window } = self.limit;
        // The state is whole at every unlock, so a panic elsewhere does not spoil it.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let times = clients.times_of(client);
        while times.front().is_some_and(|time| now.saturating_duration_since(*time) >= window) {
            times.pop_front();
        }
        match times.front() {
            Some(oldest) if times.len() >= requests as usize => {
                Err(window.saturating_sub(now.saturating_duration_since(*oldest)))
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

impl Clients {
    fn times_of(&mut self, client: IpAddr) -> &mut Times {
        if !self.lately.contains_key(&client) && self.lately.len() >= CLIENTS_MAX {
            self.before = std::mem::take(&mut self.lately);
        }
        let before = &mut self.before;
        self.lately.entry(client).or_insert_with(|| before.remove(&client).unwrap_or_default())
    }
}

/// Who asks: the peer, or with proxies in front of this process whom the first of these wrote down. What stands before that
/// anybody may have written.
fn client(peer: Option<IpAddr>, headers: &HeaderMap, proxies: usize) -> IpAddr {
    let written = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(',').map(str::trim).collect::<Vec<_>>());
    let written: Vec<_> = written.collect();
    let named = proxies.checked_sub(1).and_then(|position| written.iter().rev().nth(position));
    let address = named.and_then(|text| {
        text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
    });
    address.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// One household, or one machine, has 2^64 addresses of version 6.
fn grouped(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(requests: u32, window_ms: u64) -> RateLimit {
        let limit = Limit { requests, window: Duration::from_millis(window_ms) };
        RateLimit { limit, clients: Mutex::default() }
    }

    fn number(index: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(index))
    }

    #[test]
    fn no_window_has_more_requests_than_it_may() {
        let (limit, start) = (limited(3, 1_000), Instant::now());
        let admitted = [0, 400, 900, 999, 1_000, 1_001, 1_400, 1_899, 1_900].map(|millis| {
            limit.admit(number(1), start + Duration::from_millis(millis)).map_err(|wait| wait.as_millis())
        });
        assert_eq!(admitted, [Ok(()), Ok(()), Ok(()), Err(1), Ok(()), Err(399), Ok(()), Err(1), Ok(())]);
        // Another client is not held by it.
        assert_eq!(limit.admit(number(2), start + Duration::from_millis(1_901)), Ok(()));
    }

    #[test]
    fn a_flood_of_clients_takes_no_more_memory_and_frees_nobody_who_goes_on_asking() {
        let (limit, now) = (limited(1, 1_000_000), Instant::now());
        assert_eq!(limit.admit(number(0), now), Ok(()));
        for index in 1..100_000 {
            assert_eq!(limit.admit(number(index), now), Ok(()));
            if index % 1_000 == 0 {
                assert!(limit.admit(number(0), now).is_err(), "{index}");
            }
        }
        let clients = limit.clients.lock().unwrap();
        assert!(clients.lately.len() + clients.before.len() <= 2 * CLIENTS_MAX);
        drop(clients);
        assert_eq!(limit.admit(number(1), now), Ok(()), "it was silent for the longest");
    }

    #[test]
    fn a_client_is_whom_the_proxies_saw_and_not_whom_it_says() {
        let check = |proxies, forwarded: &[&'static str], expected: &str| {
            let values = forwarded.iter().map(|text| (FORWARDED_FOR, text.parse().unwrap()));
            let found = client(Some(number(1)), &values.collect(), proxies);
            assert_eq!(found.to_string(), expected, "{proxies} {forwarded:?}");
        };
        check(0, &["9.9.9.9"], "0.0.0.1");
        check(1, &["9.9.9.9, 8.8.8.8"], "8.8.8.8");
        check(2, &["7.7.7.7, 9.9.9.9", "8.8.8.8"], "9.9.9.9");
        check(1, &["2001:db8::1"], "2001:db8::1");
        check(1, &["[2001:db8::1]:443"], "2001:db8::1");
        check(1, &["8.8.8.8:80"], "8.8.8.8");
        // Where there is nothing to be read, all that is known is who is next to this process.
        for odd in [&[][..], &["unknown"], &[""]] {
            check(1, odd, "0.0.0.1");
        }
        check(3, &["9.9.9.9, 8.8.8.8"], "0.0.0.1");
    }

    #[test]
    fn the_addresses_of_one_network_are_one_client() {
        let check = |one: &str, other: &str, expected: bool| {
            let of = |text: &str| grouped(text.parse().unwrap());
            assert_eq!(of(one) == of(other), expected, "{one} {other}");
        };
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("::ffff:10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
    }
}

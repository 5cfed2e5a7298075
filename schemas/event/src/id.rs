//! Event ids: 26 characters, shaped like a ULID, derived from what happened and never drawn at random.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::Timestamp;

/// Crockford's base 32, the alphabet of ULIDs: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 26;
const HASH_BITS: u32 = 80;

/// Identifies an event: 48 bits of its start time, then 80 bits of a hash of its natural key.
///
/// The same event always gets the same id, whatever it arrives through and however often; that is what makes
/// results exactly-once over at-least-once deliveries. The time in it is `started_at`, the one time that every
/// delivery of an event agrees on (the end of a call is lost when a log was truncated).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; LEN]);

/// Why a text is not an [`EventId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventIdError {
    /// Not 26 characters of upper-case Crockford base 32 that hold 128 bits.
    #[error("not 26 characters of Crockford base 32")]
    Malformed,
    /// The time in it is outside the accepted range.
    #[error("its time is out of range")]
    Time,
}

impl EventId {
    /// Derives the id of what started at `started_at` and is told apart by `natural_key`.
    ///
    /// The parts are hashed with their lengths, so `["ab", "c"]` and `["a", "bc"]` differ.
    #[must_use]
    pub fn derive(started_at: Timestamp, natural_key: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in natural_key {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let mut low = [0_u8; 16];
        low[6..].copy_from_slice(&digest[..10]);
        // A Timestamp is never negative, and its range fits 48 bits.
        let time = u128::from(started_at.millis().unsigned_abs());
        Self::encode(time << HASH_BITS | u128::from_be_bytes(low))
    }

    /// The start time that the id carries, in whole milliseconds.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.decode().and_then(Self::time_of).expect("both constructors put a valid time in")
    }

    /// The id as its 26 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }

    /// The id as its 26 ASCII bytes, as ClickHouse's `FixedString(26)` holds it.
    #[must_use]
    pub fn bytes(&self) -> [u8; LEN] {
        self.0
    }

    /// A number from 1 to 2^53 - 1, for who knows events by numbers. It is made of the hash: that any two of 10 million events
    /// have the same one happens once in 180 times.
    #[must_use]
    pub fn number(&self) -> i64 {
        const MASK: u128 = (1 << 53) - 1;
        let bits = self.decode().expect("both constructors put 128 bits in") & MASK;
        i64::try_from(bits).unwrap_or(1).max(1)
    }

    fn encode(bits: u128) -> Self {
        let mut text = [0_u8; LEN];
        let mut rest = bits;
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        Self(text)
    }

    fn decode(&self) -> Option<u128> {
        let mut bits = 0_u128;
        for (position, byte) in self.0.iter().enumerate() {
            let digit = ALPHABET.iter().position(|letter| letter == byte)?;
            if position == 0 && digit > 7 {
                return None;
            }
            bits = bits << 5 | digit as u128;
        }
        Some(bits)
    }

    fn time_of(bits: u128) -> Option<Timestamp> {
        let millis = i64::try_from(bits >> HASH_BITS).ok()?;
        Timestamp::from_millis(millis).ok()
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Self(text.as_bytes().try_into().map_err(|_| EventIdError::Malformed)?);
        let bits = id.decode().ok_or(EventIdError::Malformed)?;
        Self::time_of(bits).ok_or(EventIdError::Time)?;
        Ok(id)
    }
}

impl TryFrom<[u8; LEN]> for EventId {
    type Error = EventIdError;

    fn try_from(bytes: [u8; LEN]) -> Result<Self, Self::Error> {
        std::str::from_utf8(&bytes).map_err(|_| EventIdError::Malformed)?.parse()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({})", self.as_str())
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn the_same_event_gets_the_same_id() {
        let id = EventId::derive(at(1_727_689_534_741), &[b"malacca", b"8cb347e7f97794b7"]);
        // Pinned: a change of this text would make every stored event arrive as a new one.
        assert_eq!(id.as_str(), "01J9154B8N555TAWY8E5RWHFRS");
        assert_eq!(id.started_at(), at(1_727_689_534_741));
    }

    #[test]
    fn parts_do_not_run_together() {
        let start = at(1_727_689_534_741);
        assert_ne!(EventId::derive(start, &[b"ab", b"c"]), EventId::derive(start, &[b"a", b"bc"]));
        assert_ne!(EventId::derive(start, &[b"a"]), EventId::derive(start, &[b"a", b""]));
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in [
            "",
            "01J9154B8N",
            "01J9154B8N555TAWY8E5RWHFRU",
            "81J9154B8N555TAWY8E5RWHFRS",
            "é1J9154B8N555TAWY8E5RWHFR",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(EventIdError::Malformed), "{text}");
        }
        assert_eq!("00000000000000000000000000".parse::<EventId>(), Err(EventIdError::Time));
    }

    proptest! {
        #[test]
        fn ids_round_trip_and_sort_by_time(a in 946_684_800_000_i64..4_102_444_800_000, b in 946_684_800_000_i64..4_102_444_800_000, key: Vec<u8>) {
            let (first, second) = (EventId::derive(at(a), &[&key]), EventId::derive(at(b), &[&key]));
            prop_assert_eq!(first.as_str().parse::<EventId>(), Ok(first));
            prop_assert_eq!(first.started_at(), at(a));
            prop_assert_eq!(a.cmp(&b), first.as_str().cmp(second.as_str()));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<EventId>();
        }
    }
}

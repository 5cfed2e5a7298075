//! The kinds of value that a key can have, and how each is written.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// The text is not a value of the kind that its key wants. Reasons are fixed texts, so that none can repeat a
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// Not of the kind at all.
    #[error("not of the expected kind")]
    OtherKind,
    /// Of the kind, but it cannot be used, for this reason: a lowercase fragment that follows the value.
    #[error("{0}")]
    Unusable(&'static str),
}

/// A kind of value.
pub trait Value: Sized {
    /// What is expected, with an example, to follow "is not".
    const EXPECTED: &'static str;

    /// Reads the text as it stands in a file, a variable or a flag.
    fn from_text(text: &str) -> Result<Self, InvalidValue>;
}

/// A text that must not be seen. `Debug` and `Display` show that it is there, and nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

/// A number of bytes, written with a unit: `512B`, `64KiB`, `64MiB`, `1GiB`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl Secret {
    /// Takes over a secret that came from elsewhere than the configuration.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the client that sends it, never for a log or an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length; all that can be addressed if it is more than that.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const BYTE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = BYTE_UNITS.into_iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        let (name, unit) = exact.unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl Value for String {
    const EXPECTED: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() { Err(InvalidValue::Unusable("is empty")) } else { Ok(text.to_owned()) }
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        String::from_text(text).map(Self::from)
    }
}

impl Value for Secret {
    const EXPECTED: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        String::from_text(text).map(Self)
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map_err(|_| InvalidValue::OtherKind)
    }
}

/// Writes `Value` for whole numbers.
macro_rules! whole_number {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            const EXPECTED: &'static str = "a whole number in range";

            fn from_text(text: &str) -> Result<Self, InvalidValue> {
                text.parse().map_err(|_| InvalidValue::OtherKind)
            }
        }
    )*};
}
whole_number!(u8, u16, u32, u64, usize, i32, i64);

impl Value for SocketAddr {
    const EXPECTED: &'static str = "an address with a port, such as 127.0.0.1:8787 or [::]:8787";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map_err(|_| InvalidValue::OtherKind)
    }
}

impl Value for Url {
    const EXPECTED: &'static str = "a URL such as http://127.0.0.1:8123";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let url = Self::parse(text).map_err(|_| InvalidValue::OtherKind)?;
        match url.scheme() {
            "http" | "https" | "nats" | "tls" if url.has_host() => Ok(url),
            _ => Err(InvalidValue::OtherKind),
        }
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a duration such as 250ms, 30s, 5m or 1h";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let (number, unit) = split_unit(text)?;
        let millis_per_unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(InvalidValue::OtherKind),
        };
        number
            .checked_mul(millis_per_unit)
            .map(Self::from_millis)
            .ok_or(InvalidValue::Unusable("is too long"))
    }
}

impl Value for ByteSize {
    const EXPECTED: &'static str = "a size such as 512B, 64KiB, 64MiB or 1GiB";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let (number, unit) = split_unit(text)?;
        let (_, bytes_per_unit) =
            BYTE_UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(InvalidValue::OtherKind)?;
        number.checked_mul(bytes_per_unit).map(Self).ok_or(InvalidValue::Unusable("is too large"))
    }
}

/// `30s` -> 30 and `s`. A number without a unit has the unit "", which no kind knows.
fn split_unit(text: &str) -> Result<(u64, &str), InvalidValue> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = number.parse().map_err(|_| InvalidValue::OtherKind)?;
    Ok((number, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<V: Value + PartialEq + fmt::Debug>(text: &str, expected: &Result<V, InvalidValue>) {
        assert_eq!(V::from_text(text), *expected, "{text:?}");
    }

    const OTHER_KIND: InvalidValue = InvalidValue::OtherKind;

    #[test]
    fn durations_need_a_unit() {
        check("250ms", &Ok(Duration::from_millis(250)));
        check("30s", &Ok(Duration::from_secs(30)));
        check("5 m", &Ok(Duration::from_mins(5)));
        check("1h", &Ok(Duration::from_hours(1)));
        check("7d", &Ok(Duration::from_hours(168)));
        for bad in ["30", "", "s", "-1s", "1.5s", "30 sec", "1m30s", "99999999999999999999s"] {
            check::<Duration>(bad, &Err(OTHER_KIND));
        }
        check::<Duration>("18446744073709551615d", &Err(InvalidValue::Unusable("is too long")));
    }

    #[test]
    fn sizes_need_a_binary_unit() {
        check("0B", &Ok(ByteSize::from_bytes(0)));
        check("64MiB", &Ok(ByteSize::from_bytes(64 << 20)));
        check("1 GiB", &Ok(ByteSize::from_bytes(1 << 30)));
        for bad in ["64", "64MB", "64M", "MiB", "-1B", "1.5GiB"] {
            check::<ByteSize>(bad, &Err(OTHER_KIND));
        }
        check::<ByteSize>("18446744073709551615KiB", &Err(InvalidValue::Unusable("is too large")));
    }

    #[test]
    fn sizes_are_shown_in_their_largest_exact_unit() {
        let check = |bytes, expected| assert_eq!(format!("{:?}", ByteSize::from_bytes(bytes)), expected);
        check(0, "0B");
        check(1_000, "1000B");
        check(64 << 20, "64MiB");
        check(3 << 30, "3GiB");
    }

    #[test]
    fn urls_are_of_the_schemes_that_we_speak() {
        assert!(Url::from_text("https://ch.example:8443/path").is_ok());
        assert!(Url::from_text("nats://127.0.0.1:4222").is_ok());
        for bad in ["127.0.0.1:8123", "localhost:8123", "ftp://x/", "http://", "nats:4222", ""] {
            check::<Url>(bad, &Err(OTHER_KIND));
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::from_text("hunter2").unwrap();
        assert_eq!(format!("{secret:?} {secret}"), "<secret> <secret>");
        assert_eq!(secret.expose(), "hunter2");
    }
}

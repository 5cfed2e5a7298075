//! `client_protocol_version`: the Native format as a server writes it for a client of that revision.
//!
//! The engine writes Native for revision 0. The official Go client, and Grafana through it, asks for a newer one: a
//! block then starts with its properties, and each column says whether its serialization is a special one (never,
//! here). To find where a column ends, its data is skipped by its type; a type that cannot be skipped is an error.

use crate::exception::{Code, Exception};

/// From this revision on, columns say whether their serialization is special.
const WITH_CUSTOM_SERIALIZATION: u32 = 54_454;
/// No overflow, no bucket: what a block of a result always says.
const BLOCK_PROPERTIES: [u8; 8] = [1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0];
/// Nested types deeper than this are not skipped.
const DEPTH_MAX: usize = 32;

/// Rewrites a stream of Native blocks.
pub struct NativeUpgrade {
    revision: u32,
    pending: Vec<u8>,
    /// Trying to read a block is worth it from this size on.
    try_at: usize,
}

impl NativeUpgrade {
    /// For a client of this revision, which is not 0.
    #[must_use]
    pub fn new(revision: u32) -> Self {
        Self { revision, pending: Vec::new(), try_at: 0 }
    }

    /// Takes the next bytes and gives the blocks that are complete.
    pub fn push(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        self.pending.extend_from_slice(data);
        let mut out = Vec::new();
        let mut done = 0;
        while self.pending.len() - done >= self.try_at && done < self.pending.len() {
            match self.block(&self.pending[done..], &mut out) {
                Ok(size) => {
                    done += size;
                    self.try_at = 0;
                }
                // Twice as much before the next try: a block is read a few times, not once for every piece of it.
                Err(Stop::Short) => self.try_at = (self.pending.len() - done) * 2,
                Err(Stop::Failed(exception)) => return Err(exception),
            }
        }
        self.pending.drain(..done);
        Ok(out)
    }

    /// Gives the last blocks.
    pub fn finish(mut self) -> Result<Vec<u8>, Exception> {
        self.try_at = 0;
        let out = self.push(&[])?;
        if self.pending.is_empty() {
            return Ok(out);
        }
        Err(Exception::from_engine("the result ends inside a block"))
    }

    /// Rewrites one block from the start of `bytes`; gives its size there.
    fn block(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Stop> {
        let start = out.len();
        let mut cursor = Cursor { bytes, at: 0 };
        let copied = self.copy_block(&mut cursor, out);
        if copied.is_err() {
            out.truncate(start);
        }
        copied.map(|()| cursor.at)
    }

    fn copy_block(&self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Stop> {
        let columns = cursor.varint()?;
        let rows = cursor.varint()?;
        out.extend_from_slice(&BLOCK_PROPERTIES);
        out.extend_from_slice(&cursor.bytes[..cursor.at]);
        for _ in 0..columns {
            let start = cursor.at;
            cursor.string()?;
            let name = cursor.string()?;
            let kind = std::str::from_utf8(name).ok().and_then(|name| Type::parse(name, 0));
            let name = || String::from_utf8_lossy(name).into_owned();
            let kind = kind.ok_or_else(|| Stop::Failed(unsupported(&name())))?;
            out.extend_from_slice(&cursor.bytes[start..cursor.at]);
            if self.revision >= WITH_CUSTOM_SERIALIZATION {
                out.push(0);
            }
            let data = cursor.at;
            if rows > 0 {
                cursor.skip(kind.dictionaries().saturating_mul(8))?;
                cursor.column(&kind, rows)?;
            }
            out.extend_from_slice(&cursor.bytes[data..cursor.at]);
        }
        Ok(())
    }
}

/// Why a block could not be read.
enum Stop {
    /// It is not all there yet.
    Short,
    Failed(Exception),
}

/// A column's type, as far as its size goes.
#[derive(Debug, PartialEq, Eq)]
enum Type {
    Fixed(usize),
    Text,
    Nullable(Box<Type>),
    Array(Box<Type>),
    Tuple(Vec<Type>),
    Dictionary(Box<Type>),
}

impl Type {
    fn parse(text: &str, depth: usize) -> Option<Self> {
        if depth > DEPTH_MAX {
            return None;
        }
        let text = text.trim();
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name, split(rest.strip_suffix(')')?)),
            None => (text, Vec::new()),
        };
        let first = || Self::parse(arguments.first()?, depth + 1).map(Box::new);
        let all = || {
            arguments.iter().map(|argument| Self::parse(unnamed(argument), depth + 1)).collect::<Option<_>>()
        };
        let digits = || arguments.first()?.trim().parse::<usize>().ok();
        Some(match name {
            "String" => Self::Text,
            "Bool" | "Int8" | "UInt8" | "Enum8" | "Nothing" => Self::Fixed(1),
            "Int16" | "UInt16" | "Enum16" | "Date" | "BFloat16" => Self::Fixed(2),
            "Int32" | "UInt32" | "Float32" | "Date32" | "DateTime" | "IPv4" | "Time" => Self::Fixed(4),
            "Int64" | "UInt64" | "Float64" | "DateTime64" | "Time64" => Self::Fixed(8),
            "Int128" | "UInt128" | "UUID" | "IPv6" => Self::Fixed(16),
            "Int256" | "UInt256" => Self::Fixed(32),
            "Decimal" => Self::Fixed(match digits()? {
                0..=9 => 4,
                10..=18 => 8,
                19..=38 => 16,
                _ => 32,
            }),
            "FixedString" => Self::Fixed(digits()?),
            "Nullable" => Self::Nullable(first()?),
            "Array" => Self::Array(first()?),
            "LowCardinality" => Self::Dictionary(match *first()? {
                // The dictionary keeps null as a key of its own.
                Self::Nullable(inner) => inner,
                other => Box::new(other),
            }),
            "Tuple" => Self::Tuple(all()?),
            "Map" | "Nested" => Self::Array(Box::new(Self::Tuple(all()?))),
            "SimpleAggregateFunction" => Self::parse(arguments.get(1)?, depth + 1)?,
            interval if interval.starts_with("Interval") => Self::Fixed(8),
            _ => return None,
        })
    }

    /// How many dictionaries announce their version before the column's data.
    fn dictionaries(&self) -> usize {
        match self {
            Self::Fixed(_) | Self::Text => 0,
            Self::Nullable(inner) | Self::Array(inner) => inner.dictionaries(),
            Self::Tuple(parts) => parts.iter().map(Self::dictionaries).sum(),
            Self::Dictionary(_) => 1,
        }
    }
}

/// The arguments of a type, at commas outside brackets and quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_usize, None, false);
    for (at, c) in text.char_indices() {
        match (quoted, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(quote), c) if quote == c => quoted = None,
            (None, '\'' | '`' | '"') => quoted = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            (Some(_) | None, _) => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A tuple's element without its name, if it has one.
fn unnamed(text: &str) -> &str {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('`') {
        return rest.split_once("` ").map_or(text, |(_, kind)| kind);
    }
    match text.split_once(' ') {
        Some((name, kind)) if !name.contains('(') => kind,
        Some(_) | None => text,
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or(Stop::Short)?;
        let skipped = &self.bytes[self.at..end];
        self.at = end;
        Ok(skipped)
    }

    fn skip_each(&mut self, count: usize, size: usize) -> Result<&'a [u8], Stop> {
        self.skip(count.saturating_mul(size))
    }

    fn varint(&mut self) -> Result<usize, Stop> {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = self.skip(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(usize::try_from(value).unwrap_or(usize::MAX));
            }
        }
        Err(Stop::Failed(Exception::from_engine("a number in the result is too long")))
    }

    fn number(&mut self) -> Result<u64, Stop> {
        let bytes = self.skip(8)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn string(&mut self) -> Result<&'a [u8], Stop> {
        let size = self.varint()?;
        self.skip(size)
    }

    fn column(&mut self, kind: &Type, rows: usize) -> Result<(), Stop> {
        match kind {
            Type::Fixed(size) => self.skip_each(rows, *size).map(drop),
            Type::Text => (0..rows).try_for_each(|_| self.string().map(drop)),
            Type::Nullable(inner) => {
                self.skip(rows)?;
                self.column(inner, rows)
            }
            Type::Array(inner) => {
                if rows == 0 {
                    return Ok(());
                }
                self.skip_each(rows - 1, 8)?;
                let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
                self.column(inner, count)
            }
            Type::Tuple(parts) => parts.iter().try_for_each(|part| self.column(part, rows)),
            Type::Dictionary(keys) => {
                if rows == 0 {
                    return Ok(());
                }
                let index_size = 1 << (self.number()? & 0xff).min(3);
                let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
                self.column(keys, count)?;
                let rows = usize::try_from(self.number()?).unwrap_or(usize::MAX);
                self.skip_each(rows, index_size).map(drop)
            }
        }
    }
}

fn unsupported(kind: &str) -> Exception {
    Exception::new(
        Code::NotImplemented,
        format!(
            "The embedded server cannot send type {kind} in Native format to a client of this protocol version"
        ),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_are_read_as_the_engine_writes_them() {
        let parse = |text: &str| Type::parse(text, 0);
        assert_eq!(parse("Decimal(38, 18)"), Some(Type::Fixed(16)));
        assert_eq!(parse("DateTime64(3, 'UTC')"), Some(Type::Fixed(8)));
        assert_eq!(parse("Enum8('a,(' = 1, 'b\\'' = 2)"), Some(Type::Fixed(1)));
        assert_eq!(
            parse("Map(LowCardinality(String), String)"),
            Some(Type::Array(Box::new(Type::Tuple(vec![
                Type::Dictionary(Box::new(Type::Text)),
                Type::Text
            ])))),
        );
        assert_eq!(
            parse("Tuple(a Nullable(UInt8), `b c` FixedString(26))"),
            Some(Type::Tuple(vec![Type::Nullable(Box::new(Type::Fixed(1))), Type::Fixed(26)])),
        );
        assert_eq!(parse("LowCardinality(Nullable(String))"), Some(Type::Dictionary(Box::new(Type::Text))));
        for unknown in ["JSON", "AggregateFunction(sum, UInt8)", "Dynamic", "Array(", ""] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn blocks_get_their_properties_and_columns_their_flag() {
        let block = b"\x02\x02\x01a\x05UInt8\x07\x08\x01s\x06String\x00\x01;";
        let expected =
            [&BLOCK_PROPERTIES[..], b"\x02\x02\x01a\x05UInt8\0\x07\x08\x01s\x06String\0\x00\x01;"].concat();
        for piece in [1, 3, 100] {
            let mut upgrade = NativeUpgrade::new(54_460);
            let twice = [&block[..], block].concat();
            let mut out = Vec::new();
            for part in twice.chunks(piece) {
                out.extend(upgrade.push(part).unwrap());
            }
            out.extend(upgrade.finish().unwrap());
            assert_eq!(out, [expected.as_slice(), &expected].concat(), "{piece}");
        }
        let mut short = NativeUpgrade::new(54_405);
        assert!(short.push(&block[..10]).unwrap().is_empty());
        assert!(short.finish().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut upgrade = NativeUpgrade::new(54_460);
            if upgrade.push(&bytes).is_ok() {
                let _ = upgrade.finish();
            }
        }

        #[test]
        fn any_type_is_an_answer_not_a_panic(text in "[A-Za-z(),'` 0-9]{0,60}") {
            let _ = Type::parse(&text, 0);
        }
    }
}

//! Rows in ClickHouse's `RowBinary` format, without an insert at hand: a batch is encoded by the thread that made it, is
//! kept as bytes, and is sent when its turn comes.
//!
//! The client has the same encoding but keeps it to itself. Ours knows the types that our rows have and no others: what a
//! row must not have is an error at the first test that encodes one.

use std::fmt;

use clickhouse::Row;
use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeStruct, SerializeTuple, Serializer};

/// A row has a field of a type that no column has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row cannot have {0}")]
pub struct RowBinaryError(String);

/// Appends a row: the values of its columns in the order of the struct, which is that of [`columns`].
pub fn append_row<R: Row + Serialize>(row: &R, out: &mut Vec<u8>) -> Result<(), RowBinaryError> {
    row.serialize(Encoder { out })
}

/// The columns of a row in the order in which they are encoded, as an insert names them.
#[must_use]
pub fn columns<R: Row>() -> String {
    R::COLUMN_NAMES.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

struct Encoder<'o> {
    out: &'o mut Vec<u8>,
}

impl Encoder<'_> {
    /// A length as LEB128.
    fn length(&mut self, mut length: usize) {
        const MORE: u8 = 0x80;
        loop {
            let low = length.to_le_bytes()[0] & !MORE;
            length >>= 7;
            if length == 0 {
                return self.out.push(low);
            }
            self.out.push(low | MORE);
        }
    }

    fn of<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowBinaryError> {
        value.serialize(Encoder { out: self.out })
    }
}

/// Integers lie there as they are, the least significant byte first.
macro_rules! little_endian {
    ($($method:ident: $type:ty,)+) => {
        $(fn $method(self, value: $type) -> Result<(), RowBinaryError> {
            self.out.extend_from_slice(&value.to_le_bytes());
            Ok(())
        })+
    };
}

macro_rules! refuse {
    ($($method:ident($($type:ty),*): $what:literal,)+) => {
        $(fn $method(self, $(_: $type),*) -> Result<(), RowBinaryError> {
            Err(RowBinaryError($what.to_owned()))
        })+
    };
}

impl Serializer for Encoder<'_> {
    type Ok = ();
    type Error = RowBinaryError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), RowBinaryError>;
    type SerializeTupleVariant = Impossible<(), RowBinaryError>;
    type SerializeMap = Impossible<(), RowBinaryError>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), RowBinaryError>;

    little_endian! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
    }

    refuse! {
        serialize_f32(f32): "a float",
        serialize_f64(f64): "a float",
        serialize_char(char): "a char",
        serialize_unit(): "a unit",
        serialize_unit_struct(&'static str): "a unit struct",
        serialize_unit_variant(&'static str, u32, &'static str): "an enum",
    }

    fn serialize_bool(self, value: bool) -> Result<(), RowBinaryError> {
        self.out.push(u8::from(value));
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), RowBinaryError> {
        self.serialize_bytes(text.as_bytes())
    }

    fn serialize_bytes(mut self, bytes: &[u8]) -> Result<(), RowBinaryError> {
        self.length(bytes.len());
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), RowBinaryError> {
        self.out.push(1);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), RowBinaryError> {
        self.out.push(0);
        self.of(value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), RowBinaryError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), RowBinaryError> {
        Err(RowBinaryError("an enum".to_owned()))
    }

    fn serialize_seq(mut self, length: Option<usize>) -> Result<Self, RowBinaryError> {
        self.length(length.ok_or_else(|| RowBinaryError("a sequence of unknown length".to_owned()))?);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, RowBinaryError> {
        Ok(self)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, RowBinaryError> {
        Err(RowBinaryError("a tuple struct".to_owned()))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, RowBinaryError> {
        Err(RowBinaryError("an enum".to_owned()))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, RowBinaryError> {
        Err(RowBinaryError("a map; columns of maps are sequences of pairs".to_owned()))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, RowBinaryError> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, RowBinaryError> {
        Err(RowBinaryError("an enum".to_owned()))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl SerializeSeq for Encoder<'_> {
    type Ok = ();
    type Error = RowBinaryError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowBinaryError> {
        self.of(value)
    }

    fn end(self) -> Result<(), RowBinaryError> {
        Ok(())
    }
}

impl SerializeTuple for Encoder<'_> {
    type Ok = ();
    type Error = RowBinaryError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowBinaryError> {
        self.of(value)
    }

    fn end(self) -> Result<(), RowBinaryError> {
        Ok(())
    }
}

impl SerializeStruct for Encoder<'_> {
    type Ok = ();
    type Error = RowBinaryError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), RowBinaryError> {
        self.of(value)
    }

    fn end(self) -> Result<(), RowBinaryError> {
        Ok(())
    }
}

impl ser::Error for RowBinaryError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::ScaledUsd;

    #[derive(Row, Serialize, Deserialize)]
    struct Example<'a> {
        number: u16,
        amount: Option<ScaledUsd>,
        nothing: Option<u64>,
        text: &'a str,
        fixed: [u8; 3],
        list: Vec<(&'a str, u8)>,
        yes: bool,
        #[serde(with = "serde_bytes")]
        raw: &'a [u8],
    }

    #[test]
    fn every_type_lies_there_as_the_format_has_it() {
        let row = Example {
            number: 0x0102,
            amount: Some(ScaledUsd::ZERO),
            nothing: None,
            text: "é",
            fixed: *b"abc",
            list: vec![("a", 1), ("", 2)],
            yes: true,
            raw: &[0xff],
        };
        let mut out = vec![7];
        append_row(&row, &mut out).unwrap();
        let mut expected = vec![7, 2, 1, 0];
        expected.extend([0; 16]);
        expected.extend([1, 2, 0xc3, 0xa9, b'a', b'b', b'c', 2, 1, b'a', 1, 0, 2, 1, 1, 0xff]);
        assert_eq!(out, expected);
        assert_eq!(
            columns::<Example<'_>>(),
            "`number`, `amount`, `nothing`, `text`, `fixed`, `list`, `yes`, `raw`"
        );
    }

    #[test]
    fn lengths_are_leb128() {
        #[derive(Row, Serialize, Deserialize)]
        struct Text {
            text: String,
        }
        for (length, expected) in [(127, vec![127]), (128, vec![0x80, 1]), (300, vec![0xac, 2])] {
            let mut out = Vec::new();
            append_row(&Text { text: "x".repeat(length) }, &mut out).unwrap();
            assert_eq!((&out[..out.len() - length], out.len()), (&expected[..], expected.len() + length));
        }
    }

    #[test]
    fn a_float_is_refused() {
        #[derive(Row, Serialize, Deserialize)]
        struct Float {
            float: f64,
        }
        let error = append_row(&Float { float: 1.0 }, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "a row cannot have a float");
    }
}

//! Query strings: names, and values of any bytes.

use crate::exception::{Code, Exception};

/// More fields than any client sends.
const FIELDS_MAX: usize = 10_000;

/// One `name=value`, of the URL or of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
}

/// Splits and decodes a query string. A `%` that starts no code stands for itself, as in browsers.
pub(super) fn parse(query: &str) -> Result<Vec<Field>, Exception> {
    let mut fields = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if fields.len() == FIELDS_MAX {
            return Err(Exception::new(Code::BadArguments, format!("More than {FIELDS_MAX} parameters")));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = String::from_utf8(decode(name))
            .map_err(|_| Exception::new(Code::BadArguments, "A parameter's name is not UTF-8"))?;
        fields.push(Field { name, value: decode(value) });
    }
    Ok(fields)
}

fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = || Some(hex(*bytes.get(at + 1)?)? << 4 | hex(*bytes.get(at + 2)?)?);
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => match code() {
                Some(byte) => {
                    out.push(byte);
                    at += 2;
                }
                None => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    out
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(query: &str, expected: &[(&str, &[u8])]) {
        let fields = parse(query).unwrap();
        let found: Vec<(&str, &[u8])> =
            fields.iter().map(|field| (field.name.as_str(), field.value.as_slice())).collect();
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn values_may_hold_any_bytes() {
        check("", &[]);
        check("&&", &[]);
        check("query=SELECT+1%3B&a", &[("query", b"SELECT 1;"), ("a", b"")]);
        check("param_x=%00%ff%3D=&%71=1", &[("param_x", b"\x00\xff=="), ("q", b"1")]);
        check("a=100%&b=%zz%4", &[("a", b"100%"), ("b", b"%zz%4")]);
        assert_eq!(parse("%ff=1").unwrap_err().code(), 36);
        assert_eq!(parse(&"a&".repeat(FIELDS_MAX + 1)).unwrap_err().code(), 36);
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(query in "\\PC{0,200}") {
            if let Ok(fields) = parse(&query) {
                let size: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
                prop_assert!(size <= query.len());
            }
        }

        #[test]
        fn encoded_bytes_come_back(value in proptest::collection::vec(any::<u8>(), 0..50)) {
            let hex = value.iter().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>();
            let encoded = hex.concat();
            prop_assert_eq!(&parse(&format!("v={encoded}")).unwrap()[0].value, &value);
        }
    }
}

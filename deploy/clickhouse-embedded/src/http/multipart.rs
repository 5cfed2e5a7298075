//! `multipart/form-data` bodies: the official Rust client sends the statement and its parameters as form fields.
//!
//! Only plain fields are taken. A part with a file name would be an external table, which is refused.

use super::query_string::Field;
use crate::exception::{Code, Exception};

/// The boundary, if the content type is a form.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    rest.split(';').filter_map(|part| part.trim().split_once('=')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    })
}

/// The fields of a form.
pub(super) fn parse(body: &[u8], boundary: &str) -> Result<Vec<Field>, Exception> {
    let delimiter = format!("--{boundary}");
    let between = format!("\r\n{delimiter}");
    let mut rest = strip(body, delimiter.as_bytes())?;
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        let headers_end = find(rest, b"\r\n\r\n").ok_or_else(broken)?;
        // The line end after the delimiter stays in the headers, where it is an empty line.
        let name = field_name(&rest[..headers_end])?;
        let value = &rest[headers_end + 4..];
        let value_end = find(value, between.as_bytes()).ok_or_else(broken)?;
        fields.push(Field { name, value: value[..value_end].to_vec() });
        rest = &value[value_end + between.len()..];
    }
}

fn field_name(headers: &[u8]) -> Result<String, Exception> {
    let headers = std::str::from_utf8(headers).map_err(|_| broken())?;
    let disposition = headers
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
        .map(|(_, value)| value)
        .ok_or_else(broken)?;
    let attribute = |wanted: &str| {
        disposition.split(';').filter_map(|part| part.trim().split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    if attribute("filename").is_some() {
        return Err(Exception::new(
            Code::NotImplemented,
            "External tables in a form are not supported by the embedded server",
        ));
    }
    attribute("name").ok_or_else(broken)
}

fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Result<&'a [u8], Exception> {
    text.strip_prefix(prefix).ok_or_else(broken)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn broken() -> Exception {
    Exception::new(Code::BadArguments, "The multipart/form-data body is broken")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: &[u8] =
        b"--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {x:String}\r\n--b\r\n\
        Content-Disposition: form-data; name=\"param_x\"\r\n\r\na\r\n--\0\xff\r\n--b--\r\n";

    #[test]
    fn fields_keep_their_bytes() {
        let fields = parse(FORM, "b").unwrap();
        assert_eq!(fields.len(), 2);
        assert_eq!(
            (fields[0].name.as_str(), fields[0].value.as_slice()),
            ("query", &b"SELECT {x:String}"[..])
        );
        assert_eq!((fields[1].name.as_str(), fields[1].value.as_slice()), ("param_x", &b"a\r\n--\0\xff"[..]));
    }

    #[test]
    fn boundaries_are_found_only_in_forms() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x; Boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("application/x-www-form-urlencoded"), None);
        assert_eq!(boundary("multipart/form-data"), None);
    }

    #[test]
    fn files_and_broken_forms_are_refused() {
        let file = b"--b\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\r\n--b--";
        assert_eq!(parse(file, "b").unwrap_err().code(), 48);
        for body in [&b""[..], b"--b", b"--b\r\n\r\n", b"--c--", &FORM[..FORM.len() - 8]] {
            assert_eq!(parse(body, "b").unwrap_err().code(), 36, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_not_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&[b"--b\r\n", body.as_slice()].concat(), "b");
        }
    }
}

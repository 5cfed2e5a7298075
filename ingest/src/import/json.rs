//! Writes a row as a JSON object, to be read by the decoder that reads pushed rows.

use super::columns::Kind;

/// A row under construction. What cannot be a value of its column is written as it came, for the decoder to refuse: then
/// the row is a dead letter, and shows it.
#[derive(Debug, Default)]
pub(super) struct JsonRow(Vec<u8>);

impl JsonRow {
    /// Begins a new row.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a value that was text.
    pub(super) fn text(&mut self, name: &str, kind: Kind, text: &[u8]) {
        match kind {
            Kind::Number if text.is_empty() => {}
            Kind::Number if is_number(text) => self.raw(name, text),
            Kind::Flag => match text.to_ascii_lowercase().as_slice() {
                b"" => {}
                b"1" | b"t" | b"true" => self.raw(name, b"true"),
                b"0" | b"f" | b"false" => self.raw(name, b"false"),
                _ => self.quoted(name, text),
            },
            Kind::Number | Kind::Text => self.quoted(name, text),
        }
    }

    /// Adds a value that was a whole number.
    pub(super) fn number(&mut self, name: &str, kind: Kind, number: i64) {
        let digits = number.to_string();
        match (kind, number) {
            (Kind::Flag, 0) => self.raw(name, b"false"),
            (Kind::Flag, 1) => self.raw(name, b"true"),
            (Kind::Number | Kind::Flag, _) => self.raw(name, digits.as_bytes()),
            (Kind::Text, _) => self.quoted(name, digits.as_bytes()),
        }
    }

    /// The row.
    pub(super) fn end(&mut self) -> &[u8] {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        &self.0
    }

    fn raw(&mut self, name: &str, json: &[u8]) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self.0.extend_from_slice(json);
    }

    fn quoted(&mut self, name: &str, text: &[u8]) {
        match std::str::from_utf8(text) {
            Ok(text) => {
                let json = serde_json::to_string(text).expect("a text prints as JSON");
                self.raw(name, json.as_bytes());
            }
            // No JSON: the decoder says so, and the letter has the bytes.
            Err(_) => self.raw(name, &[b"\"", text, b"\""].concat()),
        }
    }
}

/// Whether these are the digits of a number as JSON has them.
fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let has_zero_in_front = digits.len() > 1 && digits[0] == b'0' && digits[1] != b'.';
    !has_zero_in_front && parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_texts(values: &[(&str, Kind, &[u8])]) -> Vec<u8> {
        let mut row = JsonRow::default();
        for (name, kind, text) in values {
            row.text(name, *kind, text);
        }
        row.end().to_vec()
    }

    fn check(kind: Kind, text: &[u8], expected: &str) {
        assert_eq!(String::from_utf8_lossy(&of_texts(&[("a", kind, text)])), expected, "{text:?}");
    }

    #[test]
    fn a_value_is_written_as_what_its_column_holds() {
        check(Kind::Number, b"12", r#"{"a":12}"#);
        check(Kind::Number, b"-3.0", r#"{"a":-3.0}"#);
        check(Kind::Number, b"", "{}");
        for odd in ["007", "1e3", "1.", "-", ".5", "1.2.3", "twelve", " 1", "+1"] {
            check(Kind::Number, odd.as_bytes(), &format!(r#"{{"a":"{odd}"}}"#));
        }
        for (text, expected) in
            [("t", "true"), ("True", "true"), ("1", "true"), ("0", "false"), ("f", "false")]
        {
            check(Kind::Flag, text.as_bytes(), &format!(r#"{{"a":{expected}}}"#));
        }
        check(Kind::Flag, b"yes", r#"{"a":"yes"}"#);
        check(Kind::Text, b"12", r#"{"a":"12"}"#);
        check(Kind::Text, b"", r#"{"a":""}"#);
        check(Kind::Text, "\"\\\n\0名".as_bytes(), "{\"a\":\"\\\"\\\\\\n\\u0000名\"}");
        let broken = of_texts(&[("a", Kind::Text, b"\xff")]);
        assert!(serde_json::from_slice::<serde_json::Value>(&broken).is_err());
    }

    #[test]
    fn every_text_is_read_back_as_it_was() {
        proptest::proptest!(|(texts: Vec<String>)| {
            let values: Vec<_> = texts.iter().map(|text| ("a", Kind::Text, text.as_bytes())).collect();
            for value in &values {
                let json: serde_json::Value = serde_json::from_slice(&of_texts(&[*value])).unwrap();
                proptest::prop_assert_eq!(json["a"].as_str().unwrap().as_bytes(), value.2);
            }
        });
    }

    #[test]
    fn whole_numbers_of_a_database_are_what_their_column_holds() {
        let mut row = JsonRow::default();
        row.number("id", Kind::Number, i64::MIN);
        row.number("on", Kind::Flag, 1);
        row.number("odd", Kind::Flag, 2);
        row.number("name", Kind::Text, 7);
        assert_eq!(row.end(), br#"{"id":-9223372036854775808,"on":true,"odd":2,"name":"7"}"#);
        row.clear();
        assert_eq!(row.end(), b"{}");
    }
}

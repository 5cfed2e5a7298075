//! Blanks the secrets of headers in a record that is kept as it came: they never enter, not even with what cannot be
//! read, and whatever the gateway's policy is.
//!
//! The record may be no JSON at all, so this looks at bytes: a name between quotes that speaks of a secret, a colon,
//! and a text between quotes. The rule for names is Cloudflare's own. What is inside a body (its quotes are escaped) is
//! the caller's text: the rules are for that.

use std::ops::Range;

use memchr::memchr;

/// What a blanked value reads, as Cloudflare has it.
pub(super) const REDACTED: &str = "REDACTED";
/// Parts of names that speak of a secret.
const SECRET_PARTS: [&[u8]; 6] = [b"auth", b"cookie", b"jwt", b"key", b"secret", b"token"];
const NAME_BYTES_MAX: usize = 64;
/// Names that speak of tokens and have none: fields of events, which are stored as they are when the event can be read.
/// Without them a letter could not be replayed.
const OF_EVENTS: [&[u8]; 5] =
    [b"token_id", b"token_name", b"token_display", b"per_token_in", b"per_token_out"];
/// The field of events with the SHA-256 of a token. What else is written there may be the token itself.
const TOKEN_HASH: &[u8] = b"token_hash";
const HASH_BYTES: usize = 32;

/// A copy of the record with its secrets blanked. Takes time in proportion to its length.
fn blank(record: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(record.len());
    let mut rest = record;
    while let Some(quote) = memchr(b'"', rest) {
        let (before, from_quote) = rest.split_at(quote);
        copy.extend_from_slice(before);
        if let Some((lead, value)) = secret_after(&from_quote[1..]) {
            copy.extend_from_slice(&from_quote[..=lead]);
            copy.extend_from_slice(REDACTED.as_bytes());
            rest = &from_quote[1 + lead + value..];
        } else {
            copy.push(b'"');
            rest = &from_quote[1..];
        }
    }
    copy.extend_from_slice(rest);
    copy
}

/// The same, but for the places that are to stay as they are: they are in order and do not overlap. What is encrypted has
/// members with telling names, and would be lost with them. Gives these places in the copy as well.
pub(super) fn blank_around(record: &[u8], places: &[Range<usize>]) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut copy = Vec::with_capacity(record.len());
    let mut begin = 0;
    let kept = |place: &Range<usize>| {
        copy.extend(blank(&record[begin..place.start]));
        begin = place.end;
        let start = copy.len();
        copy.extend_from_slice(&record[place.clone()]);
        start..copy.len()
    };
    let kept = places.iter().map(kept).collect();
    copy.extend(blank(&record[begin..]));
    (copy, kept)
}

/// If a secret's name begins here: how far it is to its value, and how long that is.
fn secret_after(text: &[u8]) -> Option<(usize, usize)> {
    let window = &text[..text.len().min(NAME_BYTES_MAX)];
    let name = &window[..memchr(b'"', window)?];
    if name.contains(&b'\\') || !speaks_of_a_secret(name) {
        return None;
    }
    let after_name = text[name.len() + 1..].trim_ascii_start();
    let value = after_name.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let length = string_length(value);
    let is_hash =
        name == TOKEN_HASH && hex::decode(&value[..length]).is_ok_and(|hash| hash.len() == HASH_BYTES);
    (!is_hash).then_some((text.len() - value.len(), length))
}

/// Whether what stands under a name may be a secret.
pub(super) fn speaks_of_a_secret(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    !OF_EVENTS.contains(&name.as_slice())
        && SECRET_PARTS.iter().any(|part| name.windows(part.len()).any(|window| window == *part))
}

/// Up to the quote that closes the string, or to the end of a record that was cut.
fn string_length(value: &[u8]) -> usize {
    let mut escaped = false;
    let closes = |byte: &u8| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    };
    value.iter().position(closes).unwrap_or(value.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(record: &str, expected: &str) {
        assert_eq!(String::from_utf8(blank(record.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn values_under_telling_names_are_blanked() {
        check(
            r#"{"headers":{"Authorization" : "Bearer sk-1","host":"h","x-api-key":"a\"b","Set-Cookie":"s=1"}}"#,
            r#"{"headers":{"Authorization" : "REDACTED","host":"h","x-api-key":"REDACTED","Set-Cookie":"REDACTED"}}"#,
        );
        check(r#"{"cookie":""}"#, r#"{"cookie":"REDACTED"}"#);
    }

    #[test]
    fn a_record_that_is_cut_or_no_json_keeps_no_secret_either() {
        check(r#"{"api-key":"sk-12"#, r#"{"api-key":"REDACTED"#);
        check(r#"" "token":"sk-1" ]]"#, r#"" "token":"REDACTED" ]]"#);
        check(r#"{"api-key":"sk-\"#, r#"{"api-key":"REDACTED"#);
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        for record in [
            r#"{"usage":{"prompt_tokens":15},"model":"gpt","a":"token"}"#,
            r#"{"Message":["{\"request_body\":{\"api_key\":\"user text\"}}"]}"#,
            "plain text, no quotes",
            "\"",
            "",
        ] {
            check(record, record);
        }
    }

    #[test]
    fn what_an_event_says_of_a_token_stays_unless_it_may_be_the_token() {
        let hash = "ab".repeat(32);
        let event = format!(
            r#"{{"token_id":"7","token_name":"team-a","token_display":"sk-…9","token_hash":"{hash}","per_token_in":"0.1"}}"#
        );
        check(&event, &event);
        check(r#"{"token_hash":"sk-1","token":"sk-2"}"#, r#"{"token_hash":"REDACTED","token":"REDACTED"}"#);
    }

    #[test]
    fn what_is_to_stay_stays_and_what_is_around_it_is_blanked() {
        let record = r#"{"token":"a","sealed":{"key":"b"},"more":{"key":"c"}}"#;
        let place = record.find(r#"{"key":"b"#).unwrap();
        let kept = place..place + r#"{"key":"b"}"#.len();
        let (copy, places) = blank_around(record.as_bytes(), std::slice::from_ref(&kept));
        let expected = r#"{"token":"REDACTED","sealed":{"key":"b"},"more":{"key":"REDACTED"}}"#;
        assert_eq!(String::from_utf8(copy).unwrap(), expected);
        assert_eq!(places.into_iter().map(|place| &expected[place]).collect::<Vec<_>>(), [&record[kept]]);
        assert_eq!(blank_around(record.as_bytes(), &[]), (blank(record.as_bytes()), Vec::new()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_but_values_changes(bytes: Vec<u8>, secret in "[a-z]{8,20}") {
            prop_assert!(blank(&bytes).len() <= bytes.len() * REDACTED.len() + 1);
            let record = [&bytes[..], br#"{"authorization":""#, secret.as_bytes(), br#""}"#].concat();
            let copy = blank(&record);
            prop_assert!(!copy.windows(secret.len()).any(|window| window == secret.as_bytes()) || bytes.contains(&b'"'));
        }
    }
}

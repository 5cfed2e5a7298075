//! How letters are shown: a table and a page for people, JSON for programs.
//!
//! What a letter holds came from outside: a terminal gets its control characters escaped.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use weir_event::Timestamp;

use super::table::{Head, Letter};

/// How much of a digest is shown in the table.
pub(super) const DIGEST_SHOWN: usize = 12;

const TITLES: [&str; 7] =
    ["received", "account/gateway", "source", "batch:line", "reason", "digest", "settled as"];

/// Letters as a table.
pub(super) struct Listing<'h> {
    heads: &'h [Head],
    has_more: bool,
}

/// A letter for programs.
#[derive(Serialize)]
struct LetterJson<'l> {
    received_at: String,
    account_id: &'l str,
    /// Absent where it names none.
    gateway_id: Option<&'l str>,
    digest: &'l str,
    source: &'l str,
    form: &'l str,
    batch: &'l str,
    position: u64,
    attributes: BTreeMap<&'l str, &'l str>,
    reason: &'l str,
    detail: &'l str,
    settled_at: Option<String>,
    settled_as: Option<&'l str>,
    /// As text, a number of 64 bits.
    write_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'l str>,
    /// In place of the other where the record is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
}

impl<'h> Listing<'h> {
    /// The first `limit` of the letters, and whether that is all.
    pub(super) fn new(heads: &'h [Head], limit: u64) -> Self {
        let shown = heads.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        Self { heads: &heads[..shown], has_more: shown < heads.len() }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if self.heads.is_empty() {
            return writeln!(out, "no letters");
        }
        let rows: Vec<_> = self.heads.iter().map(row).collect();
        write_table(TITLES, &rows, out)?;
        let shown = self.heads.len();
        if self.has_more {
            writeln!(out, "the latest {shown} are shown, there are more (--limit)")
        } else {
            writeln!(out, "{shown} letters")
        }
    }
}

/// Rows under their titles, in columns as wide as what is in them.
pub(super) fn write_table<const N: usize>(
    titles: [&str; N],
    rows: &[[String; N]],
    out: &mut impl Write,
) -> io::Result<()> {
    let titles = titles.map(str::to_owned);
    let all = || std::iter::once(&titles).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in all() {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn row(head: &Head) -> [String; 7] {
    [
        time(head.received_at),
        printable(&head.whose()),
        printable(&head.source),
        printable(&format!("{}:{}", head.batch, head.position)),
        printable(&head.reason),
        printable(&head.digest).chars().take(DIGEST_SHOWN).collect(),
        printable(&head.settled_as),
    ]
}

/// A line of JSON with everything that a letter has.
pub(super) fn write_json(letter: &Letter, out: &mut impl Write) -> io::Result<()> {
    let raw = std::str::from_utf8(&letter.raw).ok();
    let json = LetterJson {
        received_at: time(letter.received_at),
        account_id: &letter.account_id,
        gateway_id: Some(letter.gateway_id.as_str()).filter(|gateway| !gateway.is_empty()),
        digest: &letter.digest,
        source: &letter.source,
        form: &letter.form,
        batch: &letter.batch,
        position: letter.position,
        attributes: letter.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        reason: &letter.reason,
        detail: &letter.detail,
        settled_at: letter.settled_at.map(time),
        settled_as: Some(letter.settled_as.as_str()).filter(|outcome| !outcome.is_empty()),
        write_id: letter.write_id.to_string(),
        raw,
        raw_base64: raw.is_none().then(|| STANDARD.encode(&letter.raw)),
    };
    serde_json::to_writer(&mut *out, &json)?;
    writeln!(out)
}

/// A letter for people: what is known of it, an empty line, its record.
pub(super) fn write_letter(letter: &Letter, out: &mut impl Write) -> io::Result<()> {
    let gateway = if letter.gateway_id.is_empty() { "(none)" } else { &letter.gateway_id };
    let lines = [
        ("digest", letter.digest.clone()),
        ("account", letter.account_id.clone()),
        ("gateway", gateway.to_owned()),
        ("received", time(letter.received_at)),
        ("source", format!("{}, form {}", letter.source, letter.form)),
        ("batch", format!("{}, line {}", letter.batch, letter.position)),
        ("reason", format!("{}: {}", letter.reason, letter.detail)),
    ];
    for (name, text) in &lines {
        writeln!(out, "{name:<10}{}", printable(text))?;
    }
    for (name, value) in &letter.attributes {
        writeln!(out, "{:<10}{}", "attribute", printable(&format!("{name}: {value}")))?;
    }
    let settled = letter.settled_at.map(|at| format!("{}, at {}", letter.settled_as, time(at)));
    writeln!(out, "{:<10}{}", "settled", settled.unwrap_or_else(|| "no".to_owned()))?;
    let size = letter.raw.len();
    let Ok(text) = std::str::from_utf8(&letter.raw) else {
        let escaped = letter.raw.escape_ascii();
        return writeln!(out, "{:<10}{size} bytes, not UTF-8: shown escaped\n\n{escaped}", "record");
    };
    writeln!(out, "{:<10}{size} bytes\n\n{}", "record", printable_lines(text))
}

/// The text with its control characters escaped, line ends too.
pub(super) fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same but for tabs and line ends.
fn printable_lines(text: &str) -> String {
    escaped(text, |character| matches!(character, '\n' | '\t'))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_control() || stays(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_default());
        }
    }
    escaped
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;
    use crate::dead_letters::testing::letter;

    fn shown(raw: &[u8]) -> String {
        let mut out = Vec::new();
        write_letter(&letter(raw), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_tells_everything_and_ends_with_the_record() {
        let expected = format!(
            "digest    {}\naccount   acc\ngateway   (none)\nreceived  2026-08-01T00:00:00.000Z\n\
             source    http, form events\nbatch     push-1, line 7\nreason    no_gateway: neither names one\n\
             attribute type: x\\u{{1b}}[2J\nsettled   no\nrecord    4 bytes\n\n{{\"ä\n",
            "ab".repeat(32)
        );
        assert_eq!(shown("{\"ä".as_bytes()), expected);
        assert!(shown(b"\xff\x1b\n").ends_with("3 bytes, not UTF-8: shown escaped\n\n\\xff\\x1b\\n\n"));
        assert!(
            shown(b"\x1b]0;\n").ends_with("\n\n\\u{1b}]0;\n\n"),
            "a record does not speak to the terminal"
        );
    }

    #[test]
    fn json_has_bytes_that_are_no_text_in_base64() {
        let json = |raw: &[u8]| {
            let mut out = Vec::new();
            write_json(&letter(raw), &mut out).unwrap();
            assert_eq!(out.lines().count(), 1);
            serde_json::from_slice::<serde_json::Value>(&out).unwrap()
        };
        let text = json(b"a\nb");
        assert_eq!((&text["raw"], text.get("raw_base64")), (&"a\nb".into(), None));
        assert_eq!((&text["gateway_id"], &text["settled_at"]), (&().into(), &().into()));
        assert_eq!(
            (&text["write_id"], &text["attributes"]["type"]),
            (&"18446744073709551614".into(), &"x\u{1b}[2J".into())
        );
        let bytes = json(b"\xff");
        assert_eq!((bytes.get("raw"), &bytes["raw_base64"]), (None, &"/w==".into()));
    }

    #[test]
    fn a_listing_says_whether_it_is_all() {
        let head = |gateway: &str, batch: &str| Head {
            received_at: 1_785_542_400_000,
            account_id: "acc".to_owned(),
            gateway_id: gateway.to_owned(),
            digest: "ab".repeat(32),
            source: "logpush".to_owned(),
            batch: batch.to_owned(),
            position: 1,
            reason: "malformed_json".to_owned(),
            settled_as: String::new(),
        };
        let heads = [head("gw", "a"), head("", "long\u{7}")];
        let write = |limit| {
            let mut out = Vec::new();
            Listing::new(&heads, limit).write(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let expected = "\
received                  account/gateway  source   batch:line   reason          digest        settled as
2026-08-01T00:00:00.000Z  acc/gw           logpush  a:1          malformed_json  abababababab
2026-08-01T00:00:00.000Z  acc/-            logpush  long\\u{7}:1  malformed_json  abababababab
2 letters
";
        assert_eq!(write(2), expected, "{}", write(2));
        assert!(write(1).ends_with("the latest 1 are shown, there are more (--limit)\n"), "{}", write(1));
    }
}

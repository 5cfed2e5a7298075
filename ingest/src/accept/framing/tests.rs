//! The same records come out of every framing, in whatever pieces the body comes; what is broken is kept.

use std::io::BufReader;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;

const LIMITS: ChunkLimits = ChunkLimits { lines_max: 3, bytes_max: 100, line_bytes_max: 1_000 };

/// Positions and texts, with `…` where a record was cut.
fn read(body: &[u8], framing: Framing, buffer: usize, limits: ChunkLimits) -> Vec<(u64, String)> {
    let (records, error) = read_on(body, framing, buffer, limits);
    assert_eq!(error, None, "{}", String::from_utf8_lossy(body));
    records
}

/// The same, and the error that it may end with.
fn read_on(
    body: &[u8],
    framing: Framing,
    buffer: usize,
    limits: ChunkLimits,
) -> (Vec<(u64, String)>, Option<String>) {
    let body = BufReader::with_capacity(buffer, Cursor::new(body));
    let mut reader = RecordReader::new(body, framing, limits).unwrap();
    let mut records = Vec::new();
    loop {
        let chunk = match reader.next_chunk() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return (records, None),
            Err(error) => return (records, Some(error.to_string())),
        };
        let texts = chunk.records().map(|record| {
            let text = String::from_utf8_lossy(record.bytes).into_owned();
            (record.position, text + if record.cut_from.is_some() { "…" } else { "" })
        });
        records.extend(texts);
    }
}

fn check_framing(framing: &Framing, body: &str, expected: &[(u64, &str)]) {
    for buffer in [1, 3, 1_000] {
        let found = read(body.as_bytes(), framing.clone(), buffer, LIMITS);
        let found: Vec<_> = found.iter().map(|(position, text)| (*position, text.as_str())).collect();
        assert_eq!(found, expected, "{framing:?} {body:?} in pieces of {buffer}");
    }
}

/// What is not pretty-printed is read the same as lines and as documents.
fn check(body: &str, expected: &[(u64, &str)]) {
    check_framing(&Framing::Lines, body, expected);
    check_framing(&Framing::Documents, body, expected);
}

#[test]
fn the_first_byte_tells_the_framing() {
    let both = [(1, r#"{"a":1}"#), (2, r#"{"b":2}"#)];
    check("{\"a\":1}\n{\"b\":2}\n", &both);
    check(r#"[{"a":1},{"b":2}]"#, &both);
    check(" \n[ {\"a\":1}\n, {\"b\":2} ]\n", &both);
    check(r#"{"events":[{"a":1},{"b":2}]}"#, &both);
    check(" { \"events\" :\n [ {\"a\":1} , {\"b\":2} ] } \n", &both);
    check("\u{feff}{\"a\":1}\n{\"b\":2}", &both);
    check("\u{feff}[{\"a\":1},{\"b\":2}]", &both);
}

#[test]
fn what_only_begins_like_another_framing_is_a_line() {
    for line in [
        r#"{"events":{"a":[1]}}"#,
        r#"{"event":[1]}"#,
        r#"{"eventss":[1]}"#,
        r#"{"a":1,"events":[1]}"#,
        r#"{"events""#,
        "{",
        "\u{fee0}",
    ] {
        check(line, &[(1, line)]);
    }
    check("\n \n{\"a\":1}", &[(3, r#"{"a":1}"#)]);
    let far = format!("{{{}\"events\":[1]}}", " ".repeat(2_000));
    let cut = read(far.as_bytes(), Framing::Lines, 7, LIMITS);
    assert!(cut.len() == 1 && cut[0].1.ends_with('…'), "{cut:?}");
}

#[test]
fn an_empty_body_has_no_record_and_neither_has_an_empty_array() {
    for body in ["", " \n\n", "\u{feff}", "[]", " [ ] ", r#"{"events":[]}"#, "{\"events\": [\n] }\n"] {
        check(body, &[]);
    }
}

#[test]
fn elements_end_where_their_brackets_close() {
    check(
        r#"[{"a":"]},\"[\\"},[1,[2]],"x,\"y",-1.5e+3,true,null]"#,
        &[
            (1, r#"{"a":"]},\"[\\"}"#),
            (2, "[1,[2]]"),
            (3, r#""x,\"y""#),
            (4, "-1.5e+3"),
            (5, "true"),
            (6, "null"),
        ],
    );
    check("[{\n  \"a\": 1\n}]", &[(1, "{\n  \"a\": 1\n}")]);
}

#[test]
fn of_a_broken_array_the_whole_elements_are_kept_and_the_rest_is_one_record() {
    check(r#"[{"a":1},{"b":"#, &[(1, r#"{"a":1}"#), (2, r#"{"b":"#)]);
    check(r#"[{"a":1} {"b":2},{"c":3}]"#, &[(1, r#"{"a":1}"#), (2, r#"{"b":2},{"c":3}]"#)]);
    check(r#"[{"a":1},,{"b":2}]"#, &[(1, r#"{"a":1}"#), (2, r#",{"b":2}]"#)]);
    check(r#"[{"a":1},]"#, &[(1, r#"{"a":1}"#), (2, "]")]);
    check("[1}", &[(1, "1"), (2, "}")]);
    check("[1] x", &[(1, "1"), (2, "x")]);
    check(r#"{"events":[1],"more":2}"#, &[(1, "1"), (2, r#","more":2}"#)]);
    check(r#"{"events":[1]}}"#, &[(1, "1"), (2, "}")]);
    check("[tru", &[(1, "tru")]);
}

#[test]
fn an_array_without_an_end_is_told_even_where_nothing_else_is_left() {
    check(r#"[{"a":1}"#, &[(1, r#"{"a":1}"#), (2, "")]);
    check("[1,", &[(1, "1"), (2, "")]);
    check("[", &[(1, "")]);
    check(r#"{"events":[1]"#, &[(1, "1"), (2, "")]);
}

#[test]
fn what_is_behind_an_array_is_looked_at_anew() {
    let three = [(1, "1"), (2, r#"{"a":1}"#), (3, r#"{"b":2}"#)];
    check("[1]\n{\"a\":1}\n{\"b\":2}\n", &three);
    check("[1]\n[{\"a\":1},{\"b\":2}]", &three);
    check(r#"[1][{"a":1}] {"events":[{"b":2}]}"#, &three);
    check("{\"events\":[1]}\n{\"a\":1}\n{\"b\":2}", &three);
    check("[]\n[ ]\n[1]\n[]", &[(1, "1")]);
    check("{\"a\":1}\n[1]\n{\"b\":2}", &[(1, r#"{"a":1}"#), (2, "[1]"), (3, r#"{"b":2}"#)]);
    let arrays = RecordReader::new(&b"[1]\n[2]\n[3]\n[4]"[..], Framing::Lines, LIMITS);
    let chunk = arrays.unwrap().next_chunk().unwrap().unwrap();
    assert_eq!(chunk.records().count(), LIMITS.lines_max, "a chunk goes on with the next array");
}

#[test]
fn records_that_a_broken_place_takes_along_are_kept_whole_or_not_acked() {
    let good = |count: usize, between: &str| vec![r#"{"a":1}"#; count].join(between);
    for (framing, broken, behind, position) in [
        (Framing::Lines, "[1,2 ", ",", 3),
        (Framing::Lines, "[1,2,{", ",", 3),
        (Framing::Lines, "[1,2,,", ",", 3),
        (Framing::Lines, "[1,2,{\"a\":\"}", ",", 3),
        (Framing::Lines, "[1,2,{\"a\":{", ",", 3),
        (Framing::Lines, "[1,2,{]},{", ",", 4),
        (Framing::Lines, "{\"events\":[1,2],", ",", 3),
        (Framing::Lines, "[1\n", "\n", 2),
        (Framing::Documents, "[1,2,[", ",", 3),
        (Framing::Documents, "1\n2\n{\n", "\n", 3),
        (Framing::Documents, "[1]\n2\n{\"a\":[\n", "\n", 3),
    ] {
        // What closes a document closes it, whatever is in it.
        let ends = if behind == "\n" { &[""][..] } else { &["", "]", "]}", "}"] };
        for end in ends {
            for (count, is_long) in [(10, false), (1_000, true)] {
                let body = format!("{broken}{}{end}", good(count, behind));
                let (records, error) = read_on(body.as_bytes(), framing.clone(), 7, LIMITS);
                let kept: usize = records.iter().map(|(_, text)| text.matches(r#"{"a":1}"#).count()).sum();
                if is_long {
                    let told = format!("from record {position} on");
                    assert!(error.is_some_and(|error| error.contains(&told)), "{framing:?} {broken} {end}");
                } else {
                    assert_eq!((kept, error), (count, None), "{framing:?} {broken} {end}");
                }
            }
        }
    }
}

#[test]
fn a_document_may_be_printed_over_several_lines() {
    let event = "{\n  \"a\": \"}\",\n  \"b\": [\n    1\n  ]\n}";
    check_framing(&Framing::Documents, event, &[(1, event)]);
    check_framing(
        &Framing::Documents,
        &format!("\n{event}\n{{\"c\":3}}\n"),
        &[(2, event), (8, r#"{"c":3}"#)],
    );
    check_framing(&Framing::Lines, "{\n\"a\":1}", &[(1, "{"), (2, "\"a\":1}")]);
}

#[test]
fn a_line_that_breaks_off_in_a_string_does_not_take_the_next_one_along() {
    check(
        "{\"a\":\"br\n{\"b\":2}\n}\n{\"c\":3}",
        &[(1, "{\"a\":\"br"), (2, "{\"b\":2}"), (3, "}"), (4, "{\"c\":3}")],
    );
}

#[test]
fn a_message_is_one_record_with_its_attributes() {
    let attributes: Attributes = [("id".to_owned(), "1".to_owned())].into_iter().collect();
    for body in ["", "[1,2]", "{\n}\n", "no JSON"] {
        let framing = Framing::Message(attributes.clone());
        check_framing(&framing, body, &[(1, body)]);
        let mut reader = RecordReader::new(body.as_bytes(), framing, LIMITS).unwrap();
        let chunk = reader.next_chunk().unwrap().unwrap();
        assert_eq!(chunk.records().next().unwrap().attributes, Some(&attributes));
    }
    let long = "x".repeat(1_001);
    check_framing(&Framing::Message(attributes), &long, &[(1, &format!("{}…", &long[..1_000]))]);
}

#[test]
fn an_element_that_is_too_long_is_cut_as_a_line_is_and_the_next_one_is_read() {
    let long = json!({ "a": "x".repeat(5_000) }).to_string();
    let cut = format!("{}…", &long[..1_000]);
    check(&format!("{long}\n{{}}"), &[(1, &cut), (2, "{}")]);
    check(&format!("[{long},{{}}]"), &[(1, &cut), (2, "{}")]);
    let digests = [format!("{long}\n"), format!("[{long}]"), format!(" {long}\n")].map(|body| {
        let mut reader = RecordReader::new(body.as_bytes(), Framing::Lines, LIMITS).unwrap();
        reader.next_chunk().unwrap().unwrap().records().next().unwrap().cut_from.unwrap()
    });
    let expected: [u8; 32] = Sha256::digest(&long).into();
    assert_eq!(digests, [expected; 3]);
}

#[test]
fn no_depth_is_too_much() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let limits = ChunkLimits { line_bytes_max: 10_000_000, ..LIMITS };
    let records = read(format!("[{deep},1]").as_bytes(), Framing::Lines, 1_000, limits);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].1.len(), deep.len());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~\\n\\t\"\\\\\u{e9}\u{1f600}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec(("[a-z\"\\\\]{0,4}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_scanner_cuts_where_serde_json_does(values in vec(any_json(), 0..6), pretty: bool, buffer in 1_usize..40) {
        let array = Value::Array(values.clone());
        let body = if pretty { serde_json::to_string_pretty(&array) } else { serde_json::to_string(&array) }.unwrap();
        let found = read(body.as_bytes(), Framing::Lines, buffer, LIMITS);
        prop_assert_eq!(found.len(), values.len());
        for ((position, text), (number, value)) in found.iter().zip((1..).zip(&values)) {
            prop_assert_eq!(*position, number);
            let streamed: Vec<Value> = serde_json::Deserializer::from_str(text).into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(&streamed, &vec![value.clone()]);
        }
    }

    #[test]
    fn every_framing_of_the_same_records_gives_the_same_records(values in vec(any_json(), 0..6), buffer in 1_usize..40, lines_max in 1_usize..4, bytes_max in 1_usize..50) {
        let limits = ChunkLimits { lines_max, bytes_max, ..LIMITS };
        // Only objects are told from an array by the first byte of all lines.
        let records: Vec<String> = values.iter().map(|value| json!({ "a": value }).to_string()).collect();
        let expected: Vec<(u64, String)> = (1..).zip(records.iter().cloned()).collect();
        let (lines, elements) = (records.join("\n"), records.join(","));
        for body in [lines, format!("[{elements}]"), format!("{{\"events\":[{elements}]}}")] {
            for framing in [Framing::Lines, Framing::Documents] {
                prop_assert_eq!(&read(body.as_bytes(), framing, buffer, limits), &expected);
            }
        }
    }

    #[test]
    fn however_a_body_is_split_its_records_are_the_same(body in "[\\[\\]{}\",:a1 \n\\\\\u{feff}]{0,40}", wrapped: bool, buffer in 1_usize..10) {
        let body = if wrapped { format!("{{\"events\":[{body}") } else { body };
        for framing in [Framing::Lines, Framing::Documents] {
            let whole = read(body.as_bytes(), framing.clone(), 10_000, LIMITS);
            prop_assert_eq!(&read(body.as_bytes(), framing, buffer, LIMITS), &whole);
        }
    }

    #[test]
    fn no_byte_of_a_broken_array_is_lost(body in "[\\[\\]{}\",:a1\\\\]{0,40}", buffer in 1_usize..10) {
        let records = read(format!("[{body}").as_bytes(), Framing::Lines, buffer, LIMITS);
        let kept: String = records.iter().map(|(_, text)| text.as_str()).collect();
        // All but what holds arrays together.
        let content = |text: &str| text.replace(['[', ']', ','], "");
        prop_assert_eq!(content(&kept), content(&body), "{:?}", records);
    }
}

//! A dump of new-api's table of keys: CSV with the names of the columns, an array of JSON objects, or one on each line.

use std::collections::HashMap;

use serde_json::{Map, Value};
use weir_event::Timestamp;

use crate::identity::arguments::NAME_CHARS_MAX;

/// How databases write NULL in CSV, beside nothing at all.
const NULL: &str = r"\N";

/// The columns that have to be there.
const REQUIRED: [&str; 2] = ["id", "key"];

/// A key as it was dumped, in the terms of our own table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dumped {
    /// With or without `sk-`.
    pub(super) key: String,
    pub(super) token_id: i64,
    pub(super) user_id: i64,
    pub(super) name: String,
    pub(super) status: &'static str,
    /// In milliseconds since 1970.
    pub(super) expires_at: Option<i64>,
    pub(super) granted_quota: Option<i64>,
    pub(super) used_quota: Option<i64>,
}

/// The values of a row, of those columns that it has one for.
type Fields = HashMap<String, String>;

/// Reads a dump, or tells everything that is wrong with it. No key is in what is told.
pub(super) fn read(text: &str) -> Result<Vec<Dumped>, Vec<String>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let rows = match text.chars().next() {
        None => return Ok(Vec::new()),
        Some('[' | '{') => json_rows(text),
        Some(_) => csv_rows(text),
    };
    let rows = rows.map_err(|problem| vec![problem])?;
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (number, fields) in (1_u64..).zip(&rows) {
        match Dumped::of(fields) {
            Ok(key) => read.push(key),
            Err(problem) => problems.push(format!("row {number}: {problem}")),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

fn json_rows(text: &str) -> Result<Vec<Fields>, String> {
    let not_read = |error: serde_json::Error| {
        // Its own text has none of the dump's.
        format!("it is no JSON at line {}, column {}", error.line(), error.column())
    };
    let objects: Vec<Map<String, Value>> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(not_read)?
    } else {
        serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(not_read)?
    };
    let text_of = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let fields = |object: Map<String, Value>| {
        object.into_iter().filter_map(|(name, value)| Some((name, text_of(value)?))).collect()
    };
    Ok(objects.into_iter().map(fields).collect())
}

fn csv_rows(text: &str) -> Result<Vec<Fields>, String> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let names: Vec<_> = reader
        .headers()
        .map_err(|_| "its first line cannot be read".to_owned())?
        .iter()
        .map(|name| name.trim().to_owned())
        .collect();
    if let Some(missing) = REQUIRED.into_iter().find(|name| !names.iter().any(|other| other == name)) {
        return Err(format!(
            "read as CSV with the columns' names in the first line, it has no column {missing}"
        ));
    }
    let rows = (1_u64..).zip(reader.records()).map(|(number, record)| {
        let record =
            record.map_err(|_| format!("row {number}: it has not as many fields as the first line"))?;
        let filled = names.iter().zip(record.iter()).filter(|(_, value)| !value.is_empty() && *value != NULL);
        Ok(filled.map(|(name, value)| (name.clone(), value.to_owned())).collect())
    });
    rows.collect()
}

impl Dumped {
    fn of(fields: &Fields) -> Result<Self, String> {
        let text = |name: &str| fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
        let number = |name: &str| {
            let read = |text: &str| text.parse::<i64>().map_err(|_| format!("{name} is no whole number"));
            text(name).map(read).transpose()
        };
        let key = text("key").ok_or("key is missing")?;
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("key has a character that cannot stand in a header".to_owned());
        }
        let token_id = number("id")?.filter(|id| *id > 0).ok_or("id is missing")?;
        let name = text("name").unwrap_or_default();
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(format!("name has more than {NAME_CHARS_MAX} characters"));
        }
        let used_quota = number("used_quota")?;
        let expires_s = number("expired_time")?.filter(|end| *end > 0);
        // What is too late to be told as a time of ours is as good as never.
        let expires_at = expires_s.map(|end| end.saturating_mul(1_000).min(Timestamp::MAX.millis()));
        Ok(Self {
            key: key.to_owned(),
            token_id,
            user_id: number("user_id")?.unwrap_or_default(),
            name: name.to_owned(),
            status: status(number("status")?, text("deleted_at"))?,
            expires_at,
            granted_quota: granted(flag(text("unlimited_quota"))?, number("remain_quota")?, used_quota)?,
            used_quota,
        })
    }
}

/// New-api's 3 and 4, expired and exhausted, are what its times and quota say anyway.
fn status(number: Option<i64>, deleted_at: Option<&str>) -> Result<&'static str, String> {
    match (deleted_at, number) {
        (Some(_), _) => Ok("removed"),
        (None, None | Some(1 | 3 | 4)) => Ok("enabled"),
        (None, Some(2)) => Ok("disabled"),
        (None, Some(other)) => Err(format!("status {other} is not known")),
    }
}

fn flag(text: Option<&str>) -> Result<bool, String> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("0" | "f" | "false") => Ok(false),
        Some("1" | "t" | "true") => Ok(true),
        Some(_) => Err("unlimited_quota is neither true nor false".to_owned()),
    }
}

/// All that a key was ever granted.
fn granted(is_unlimited: bool, remain: Option<i64>, used: Option<i64>) -> Result<Option<i64>, String> {
    match (is_unlimited, remain) {
        (true, _) => Ok(None),
        (false, None) => Err("remain_quota is missing".to_owned()),
        (false, Some(remain)) => {
            let all = remain.checked_add(used.unwrap_or_default());
            all.map(Some).ok_or_else(|| "remain_quota and used_quota are too much".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL";

    fn expected() -> Dumped {
        Dumped {
            key: KEY.to_owned(),
            token_id: 7,
            user_id: 3,
            name: "team, a".to_owned(),
            status: "disabled",
            expires_at: Some(1_798_761_600_000),
            granted_quota: Some(500_100),
            used_quota: Some(100),
        }
    }

    #[test]
    fn every_form_of_a_dump_means_the_same() {
        let csv = format!(
            "id,user_id,key,status,name,created_time,expired_time,remain_quota,unlimited_quota,used_quota,deleted_at\n\
             7,3,{KEY},2,\"team, a\",1,1798761600,500000,f,100,\\N\n"
        );
        let json = format!(
            r#"{{"id":7,"user_id":3,"key":"{KEY}","status":2,"name":"team, a","expired_time":1798761600,"remain_quota":500000,"unlimited_quota":false,"used_quota":100,"deleted_at":null}}"#
        );
        for text in [&csv, &json, &format!("[{json}]"), &format!("\u{feff}{json}\n")] {
            assert_eq!(read(text), Ok(vec![expected()]), "{text}");
        }
        assert_eq!(read(&format!("{json}\n{json}\n")).map(|keys| keys.len()), Ok(2));
        assert_eq!(read(" \n"), Ok(Vec::new()));
    }

    #[test]
    fn what_has_no_end_and_no_bound_says_so() {
        let of = |fields: &str| {
            let text = format!(r#"{{"id":7,"key":"sk-{KEY}","expired_time":-1,{fields}}}"#);
            read(&text).map(|keys| keys.into_iter().next().unwrap())
        };
        let unlimited = of(r#""unlimited_quota":true,"remain_quota":-5"#).unwrap();
        assert_eq!(
            (unlimited.granted_quota, unlimited.used_quota, unlimited.expires_at, unlimited.status),
            (None, None, None, "enabled")
        );
        assert_eq!(of(r#""unlimited_quota":1,"status":4"#).unwrap().status, "enabled");
        assert_eq!(of(r#""remain_quota":"1","deleted_at":"2026-01-01""#).unwrap().status, "removed");
    }

    #[test]
    fn everything_that_is_wrong_is_told_and_no_key_is() {
        let check = |text: &str, expected: &[&str]| {
            let problems = read(text).unwrap_err();
            assert_eq!(problems, expected, "{text}");
        };
        check(
            "id,name\n1,x\n",
            &["read as CSV with the columns' names in the first line, it has no column key"],
        );
        check(&format!("id,key\n1,{KEY},x\n"), &["row 1: it has not as many fields as the first line"]);
        check(
            &format!("id,key,remain_quota\nx,{KEY},1\n0,{KEY},1\n1,,1\n"),
            &["row 1: id is no whole number", "row 2: id is missing", "row 3: key is missing"],
        );
        check(&format!(r#"{{"id":1,"key":"{KEY}"}}"#), &["row 1: remain_quota is missing"]);
        check(
            &format!(r#"{{"id":1,"key":"{KEY}","status":9,"unlimited_quota":1}}"#),
            &["row 1: status 9 is not known"],
        );
        check(&format!(r#"{{"id":1,"key":"{KEY}""#), &["it is no JSON at line 1, column 64"]);
        check(r#"[{"id":1,"key":"a b"}]"#, &["row 1: key has a character that cannot stand in a header"]);
    }
}

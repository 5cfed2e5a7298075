//! Rows and questions at random, of few values, so that they meet often enough.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::model::{Ask, Row};

pub(super) const USERS: [(&str, &str); 4] = [("1", "mina"), ("2", "omar"), ("3", "mi%a"), ("", "")];
/// The key of a token: two of the next have its hash, with and without `sk-`, and a third its number.
pub(super) const KEY: &str = "abcdefghijklmnopqrst";
/// Number, name, hash.
pub(super) const TOKENS: [(&str, &str, &str); 4] = [
    ("31", "search-team", ""),
    ("32", "a%", "0c8568410c01bd08861179b30fff507978dd444772d735981338731ca27aa243"),
    ("", "", "dd65eea0329dcb94b17187af9dff28c31a1d78026737a16af75979a1fa4618e5"),
    ("", "", ""),
];
const MODELS: [&str; 8] = ["gpt-4o", "gpt_4o", "GPT-4o", "gpt-4o-mini", "claude", "%", r"a\b", "模型"];
const KINDS: [&str; 9] =
    ["consume", "consume", "consume", "topup", "manage", "error", "system", "refund", "login"];
const CONTENTS: [&str; 4] = ["", "error: rate limit", "兑换码充值", "1_000 %"];
/// What admins see, what users do as documented, and what they do in 0.9 and 1.0.
const OTHERS: [[&str; 3]; 6] = [
    ["", "null", "null"],
    [
        r#"{"model_ratio":15.0,"admin_info":{"use_channel":["7"]}}"#,
        r#"{"model_ratio":15}"#,
        r#"{"model_ratio":15}"#,
    ],
    [
        r#"{"z":1e3,"a":{"y":"<b>","x":null},"audit_info":1}"#,
        r#"{"a":{"x":null,"y":"\u003cb\u003e"},"z":1000}"#,
        r#"{"a":{"x":null,"y":"\u003cb\u003e"},"z":1000}"#,
    ],
    [
        r#"{"status_code":429,"channel_id":7,"channel_name":"main","channel_type":1}"#,
        r#"{"channel_id":7,"status_code":429}"#,
        r#"{"channel_id":7,"channel_name":"main","channel_type":1,"status_code":429}"#,
    ],
    ["[1]", "null", "null"],
    ["no json", "null", "null"],
];
/// The time of most rows: an hour's begin, in seconds.
const NOON_S: i64 = 1_762_776_000;

const VALUES: [(&str, &[&str]); 19] = [
    ("type", &["0", "1", "2", "2", "4", "5", "6", "7", "8", "-1", "x"]),
    ("start_timestamp", &["0", "1762776000", "1762776001", "1762772399", "99999999999", "-5", "abc"]),
    ("end_timestamp", &["0", "1762776000", "1762776001", "1762779600", "1", "-5", "1762776000.5"]),
    ("username", &["mina", "omar", "mi%a", "mi_a", "%", "%%", "m%n%", "nobody", "_%"]),
    ("token_name", &["search-team", "a%", "search%", "x"]),
    (
        "model_name",
        &[
            "gpt-4o", "gpt%", "gpt_4o", "%", "%4o%", "%%", "%a%b%", "g%", r"a\b", r"%\b", "模型", "模%", "_",
            "_____",
        ],
    ),
    ("channel", &["0", "7", "8", "-1", "x", "07"]),
    ("group", &["default", "vip", "def%"]),
    ("request_id", &["req-1", "req-2", "x"]),
    ("upstream_request_id", &["up-1", "x"]),
    ("p", &["1", "2", "3", "0", "-1", "-3", "1000", "x"]),
    ("page_size", &["1", "5", "20", "100", "101", "0", "-1", "x"]),
    ("ps", &["3", "0"]),
    ("size", &["4"]),
    ("keyword", &["2", "4", "5", "error", "1_0", "1%", "兑换码", "x"]),
    ("p", &[""]),
    ("type", &[""]),
    ("group", &[""]),
    ("unknown", &["1"]),
];

/// A row of a gateway, from `NOON_S` on or from `future_ms` on.
pub(super) fn row(future_ms: i64) -> impl Strategy<Value = Row> {
    let at = prop_oneof![
        4 => (0_i64..4).prop_map(|n| (NOON_S + n) * 1_000),
        2 => (-8_000_i64..8_000).prop_map(|millis| NOON_S * 1_000 + millis),
        1 => (0_i64..5_000_000).prop_map(move |millis| future_ms + millis),
    ];
    let names = (
        select(&["gw", "gw", "gw", "other"][..]),
        any::<u64>(),
        select(&KINDS[..]),
        at,
        select(&USERS[..]),
        select(&TOKENS[..]),
        (option::weighted(0.8, select(&MODELS[..])), option::weighted(0.8, select(&MODELS[..]))),
        select(&["default", "vip", ""][..]),
        select(&["7", "8", "", "07"][..]),
        prop_oneof![6 => (1_i64..9_999_999).prop_map(|n| n.to_string()), 1 => Just(String::new()), 1 => Just("a-1".to_owned())],
    );
    let measures = (
        option::weighted(0.6, -5_i64..5_000),
        (option::weighted(0.8, 0_u64..5_000), option::weighted(0.8, 0_u64..500)),
        option::weighted(0.2, -3_i64..9_000),
        any::<bool>(),
        select(&CONTENTS[..]),
        (select(&["", "req-1", "req-2"][..]), select(&["", "up-1"][..])),
        select(&OTHERS[..]),
        any::<bool>(),
    );
    (names, measures).prop_map(|(names, measures)| {
        let (gateway, key, kind, at_ms, user, token, models, group, channel, event_id) = names;
        let (quota, tokens, prompt, success, content, request_ids, other, is_old) = measures;
        Row {
            gateway,
            key: key.to_string(),
            event_id,
            kind,
            at_ms,
            user,
            token,
            models: (models.0.unwrap_or(""), models.1.unwrap_or("")),
            group,
            channel,
            quota,
            tokens,
            prompt,
            success,
            content,
            request_ids,
            other,
            is_old,
        }
    })
}

/// A question to any of these paths.
pub(super) fn ask(paths: &'static [&'static str]) -> impl Strategy<Value = Ask> {
    let parameter = select(&VALUES[..]).prop_flat_map(|(name, values)| (Just(name), select(values)));
    (select(paths), vec(parameter, 0..5)).prop_map(|(path, parameters)| Ask { path, parameters })
}
